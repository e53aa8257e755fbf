"""Speed of the serving path; ratios are of the thread's CPU time in one run, taken turn by turn."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.search.faiss_index import on_one_thread
from baselines.search.scan import Scan
from baselines.serving import freeze
from baselines.serving.layers import layers_of
from baselines.serving.runtimes import RUNTIMES
from reports.studies.arms import make_retriever, parse
from reports.studies.serving.load import interleaved
from simulator.records import DAY, take
from simulator.traffic import day_requests
from simulator.world import PLACEMENTS

WIDTH, K = 64, 200
UNTIMED_ADS = 20_000


def unit(n, seed):
    rows = np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def ratios(benchmark, ways, rounds):
    """Median CPU time of each way over the first one's, turn by turn; nothing when benchmarks run untimed."""
    if benchmark.enabled:
        seconds = interleaved(list(ways), rounds, lambda way, _: ways[way](), time.thread_time)
        first = np.median(seconds[next(iter(ways))])
        found = {f"{way} over {next(iter(ways))}": round(float(np.median(s) / first), 3) for way, s in seconds.items()}
        benchmark.extra_info.update(found)
        print(f"\n{benchmark.name}: {found}")  # noqa: T201


@pytest.fixture(scope="module")
def requests(world, scenario):
    truth = world.truth
    return take(day_requests(scenario.traffic, 7, 1, truth.activity, truth.arrival, PLACEMENTS), slice(0, 256))


@pytest.fixture(scope="module")
def served(world, market):
    """A warm retriever by its spelling, learned from some rows with made-up hidden vectors."""
    rows = market(1000).run_day(0).log[:1024]
    hidden = np.abs(np.random.default_rng(4).standard_normal((len(rows), WIDTH)))
    log = replace(rows, hidden=hidden.astype(np.float16))

    def make(spelling):
        retriever = make_retriever(parse(spelling), world.catalog, 7, {}, {})
        retriever.update(log)
        retriever.sync(DAY)
        return retriever

    return make


@pytest.mark.parametrize(("requests_at_once", "ads"), [(256, 20_000), (256, 100_000), (256, 1_000_000), (1, 100_000)])
def test_exact_search(described, requests_at_once, ads):
    benchmark = described("exact top 200", requests=requests_at_once, ads=ads, width=WIDTH, candidates=K)
    if not benchmark.enabled and ads > UNTIMED_ADS:
        pytest.skip("untimed: the small size says whether it is right")
    items, queries = unit(ads, 1), unit(requests_at_once, 2)
    scan = Scan(items)
    flat = on_one_thread().IndexFlatIP(WIDTH)
    flat.add(items)
    score, ad = benchmark.pedantic(scan.search, (queries, K), rounds=5, warmup_rounds=1)
    expected, theirs = flat.search(queries, K)
    np.testing.assert_allclose(score, expected, atol=1e-5)
    assert (ad == theirs).mean() > 0.999  # neighbours a rounding apart may change places
    ratios(benchmark, {"ours": lambda: scan.search(queries, K), "faiss": lambda: flat.search(queries, K)}, 5)


def test_user_tower_at_batch_1(described, served):
    benchmark = described("frozen user tower, batch 1", requests=1)
    stacks = {spelling: served(spelling).serving.user.layers for spelling in ("dssm", "dssm+cas")}
    x = np.random.default_rng(3).standard_normal((1, stacks["dssm"][0].in_features), dtype=np.float32)
    linear = [(m.weight.numpy().T.copy(), m.bias.numpy()) for m in stacks["dssm"] if isinstance(m, torch.nn.Linear)]

    def bare():
        h = x
        for i, (weight, bias) in enumerate(linear):
            h = h @ weight + bias
            if i < len(linear) - 1:
                h = np.maximum(h, 0)
        return h / np.sqrt((h * h).sum())

    encoders = {
        f"{spelling} {runtime}": make(layers_of(stack))
        for spelling, stack in stacks.items()
        for runtime, make in RUNTIMES.items()
    }
    u = benchmark(encoders["dssm onnx"], x)
    np.testing.assert_allclose(u, bare(), atol=1e-5)
    with torch.inference_mode():
        gated = torch.nn.functional.normalize(stacks["dssm+cas"](torch.from_numpy(x)), dim=1).numpy()
    for runtime in RUNTIMES:
        np.testing.assert_allclose(encoders[f"dssm+cas {runtime}"](x), gated, atol=1e-5)
    ways = {"bare": bare} | {name: lambda encode=encode: encode(x) for name, encode in encoders.items()}
    ratios(benchmark, ways, 3000)


def test_single_request(described, served, requests):
    ads, k = 100_000, K
    benchmark = described("a request on the serving path", requests=1, ads=ads, candidates=k)
    scan = Scan(unit(ads, 1))
    retrievers = {spelling: served(spelling) for spelling in ("dssm", "dssm+cas", "dssm+cs3")}
    servers = {spelling: freeze(retriever).over(scan) for spelling, retriever in retrievers.items()}
    one = take(requests, slice(5, 6))

    def ask(server):
        return server.serve(one.user, one.time, one.context, k)

    found = benchmark(ask, servers["dssm"])
    u = retrievers["dssm"].encode_users(one).numpy()
    gain, bias = (float(x) for x in (retrievers["dssm"].serving.gain(), retrievers["dssm"].serving.bias))
    items = unit(ads, 1)[found.ad[0]]
    np.testing.assert_allclose(found.logit[0], gain * (items @ u[0]) + bias, atol=1e-4)
    assert (np.diff(found.logit[0]) <= 0).all()
    ratios(benchmark, {name: lambda server=server: ask(server) for name, server in servers.items()}, 400)
