"""Question: what does a request cost, for each retriever and each cell of the ablation, and what does load do to it?

``cs3bench latency`` trains every arm a little on a day of a world (weights do not matter for time, filled state does),
freezes it (``baselines.serving``), and asks it without the simulator around: features -> state fetch (what was
published lies in the process's own arrays) -> user tower -> exact search of catalogues of any size -> top K.

    1 state   2 closed loop by size and batch   3 stages of a request   4 the cascade   5 threads   6 open loop
    7 growth with ads, K and users (``serving_growth``)

One thread, but in step 5. A catalogue larger than the world's holds the trained item vectors with noise, at unit
length: an exact scan takes its time by their number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field

from baselines.search.scan import Scan
from baselines.serving import Server, freeze
from baselines.serving.runtimes import RUNTIMES
from baselines.serving.server import TORCH
from baselines.training.features import Events
from reports.numbers.quantiles import quantile_ci
from reports.studies.arms import WIDTH, make_ranker, make_retriever, parse, takes_extras
from reports.studies.machine.manifests import made_by
from reports.studies.machine.workers import one_thread
from reports.studies.market.evaluation import sample
from reports.studies.serving.latency import machine
from reports.studies.serving.load import (
    as_dict,
    change_of_qps,
    interleaved,
    knee,
    open_loop,
    poisson,
    quantiles,
    together,
)
from simulator import feasible
from simulator.auction import auction
from simulator.config import MOST_SEED, Section, validated
from simulator.experiment import digest, write_json
from simulator.files import refuse_links
from simulator.footprint import fits
from simulator.keyed_random import subseed
from simulator.marketplace import Marketplace
from simulator.plugins import RETRIEVERS, Ranker, make, nearest
from simulator.records import DAY, MOST_IDS, Floats, Impressions, Offers, Requests, take
from simulator.retrieval import PopularityRetriever
from simulator.scenario import Scenario, load
from simulator.seal import seal_run
from simulator.world import World, WorldConfig, build

CELLS = ("dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cas+cts", "dssm+cas+cms", "dssm+cts+cms", "dssm+cs3")
OTHERS = ("dssm-bare", "dat", "seqtower")
BASE, FULL = "dssm", "dssm+cs3"
STACKS_ONLY = ("seqtower",)
"""Backbones whose user tower is no plain stack of layers: they are served by their own forward."""
PAPER_QPS = (-0.589, -0.388, -0.456)
"""Change of QPS in percent by the full CS3 in the paper's three scenarios."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
NOISE = 0.3
SHARE = 0.1
"""Of the ads that may not compete."""
FEWEST = 5
REQUESTS = 512


class ServingConfig(Section):
    """What is measured.

    Attributes:
        arms: by spelling; the first is the base of the comparisons.
        ads: sizes of the catalogue.
        batches: requests at a time; 1 must be among them.
        calls: timed calls per arm at batch 1, in proportion fewer of larger batches; the interval of the p99 has an
            upper end from 299 on.
        candidates: K of the retrieval; the cascade's is the scenario's.
        loads: of the open loop, shares of the base's capacity in a closed loop.
        open_ads: size of the catalogue under load.
        arrivals: questions per load.
        growth_k: K of the growth step. growth_users: its multiples of the world's users.
        runtime: of the user tower.
        clock: of the closed loops at one thread: ``wall``, or ``cpu`` time of the thread, which does not see that
            others had the machine; on a shared one its ratios alone mean something. Threads and the open loop: wall.
        scenario: the world; small: its small form; rows: that the arms learn from.
        seed: of everything.
    """

    arms: tuple[str, ...] = Field(default=CELLS + OTHERS, min_length=1)
    ads: tuple[int, ...] = Field(default=(10_000, 100_000, 1_000_000), min_length=1)
    batches: tuple[int, ...] = (1, 16, 256)
    calls: int = Field(default=400, ge=2)
    candidates: int = Field(default=200, ge=1)
    loads: tuple[float, ...] = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
    open_ads: int = Field(default=100_000, ge=1)
    arrivals: int = Field(default=400, ge=2)
    growth_k: tuple[int, ...] = Field(default=(50, 200, 800), min_length=2)
    growth_users: tuple[int, ...] = Field(default=(1, 4, 16), min_length=2)
    runtime: str = "onnx"
    clock: Literal["wall", "cpu"] = "wall"
    scenario: str = "quickstart"
    small: bool = False
    rows: int = Field(default=4096, ge=1, le=MOST_IDS)
    seed: int = Field(default=1, ge=0, le=MOST_SEED)

    def default_out(self) -> Path:
        """``runs/latency-DIGEST``."""
        return Path("runs") / f"latency-{digest({'config': self.model_dump(mode='json'), **made_by()})}"


SMALL: Mapping[str, Any] = {
    "small": True,
    "arms": (BASE, FULL),
    "ads": (2_000, 20_000),
    "batches": (1, 16),
    "calls": 60,
    "candidates": 50,
    "loads": (0.3, 0.7, 1.1),
    "open_ads": 20_000,
    "arrivals": 60,
    "growth_k": (20, 80),
    "growth_users": (1, 2),
    "rows": 512,
}
"""The form for continuous integration: it shows that all of it runs, and no figure."""


class Warm(NamedTuple):
    """A served arm.

    Attributes:
        server: over the world's own ads.
        items: float32 [A, d], what it searches.
        cost: of its retriever.
        state: float32 numbers that the user tower fetches per request.
    """

    server: Server
    items: Floats
    cost: Any
    state: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all measurements share."""

    config: ServingConfig
    scenario: Scenario
    world: World
    arms: Mapping[str, Warm]
    ranker: Ranker
    requests: Requests

    def some(self, i: int, batch: int) -> Requests:
        """The ``i``-th batch, round and round."""
        first = i * batch % (len(self.requests) - batch + 1)
        return take(self.requests, slice(first, first + batch))


def check(config: ServingConfig) -> None:
    """Refuse what cannot be measured, before anything is.

    Raises:
        ValueError: one line.
    """
    if 1 not in config.batches or max(config.batches) > REQUESTS or min(config.batches) < 1:
        raise ValueError(f"batches == {config.batches}, must hold 1 and nothing above {REQUESTS}")
    if config.runtime not in (*RUNTIMES, TORCH):
        raise ValueError(f"runtime == '{config.runtime}', must be one that exists{nearest(config.runtime, RUNTIMES)}")
    for name in ("arms", "ads", "batches", "loads", "growth_k", "growth_users"):
        values = getattr(config, name)
        if not values or len(set(values)) < len(values) or (name != "arms" and not min(values) > 0):
            raise ValueError(f"{name} == {values}, must be different{'' if name == 'arms' else ' and above 0'}")
    least = min(*config.ads, config.open_ads)
    if max(config.candidates, *config.growth_k) > least:
        raise ValueError(
            f"candidates, growth_k == {config.candidates}, {config.growth_k}, must be at most the {least} ads"
        )
    for arm in config.arms:
        if not takes_extras(make(parse(arm).backbone, RETRIEVERS)):
            raise ValueError(f"arm == '{arm}', must be towers: nothing else is served here")
    most = max(*config.ads, config.open_ads)
    fits(4 * WIDTH * most, f"ads, open_ads == {most}")
    scenario = scenario_of(config, max(config.growth_users))
    feasible.check(scenario)
    feasible.check_worlds(scenario, [config.seed])


def scenario_of(config: ServingConfig, users: int = 1) -> Scenario:
    """The scenario with so many times its users, on a day that leaves the rows that are wanted."""
    scenario = load(config.scenario, small=config.small)
    world = scenario.world.model_dump() | {"users": users * scenario.world.users}
    traffic = {"requests_per_day": max(2 * config.rows // scenario.auction.slots, 50)}
    return scenario.model_copy(
        update={
            "world": validated(WorldConfig, world, "growth_users"),
            "traffic": scenario.traffic.model_copy(update=traffic),
        }
    )


def run(config: ServingConfig, out: Path, *, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Measure; writes ``results.json``, ``latency.md`` and figures into ``out``.

    Args:
        config: what to measure.
        out: the directory.
        quiet: no progress bar.
        command: what was typed, for the record.

    Raises:
        ValueError: one line, for batches without 1, or an arm that this path cannot serve.
    """
    refuse_links(out)
    check(config)
    from tqdm import tqdm

    steps = len(config.arms) + len(config.ads) + 5
    with one_thread(), tqdm(total=steps, desc="latency", disable=quiet or None) as bar:
        bench = bench_of(config, bar.update)
        results: dict[str, Any] = {
            "kind": "latency",
            "command": command,
            "config": config.model_dump(mode="json"),
            "machine": machine(),
            "paper_qps_percent": list(PAPER_QPS),
            "arms": {name: _about(warm, max(config.ads)) for name, warm in bench.arms.items()},
            "closed": [],
        }
        for ads in config.ads:
            results["closed"] += _closed(bench, ads)
            bar.update()
        results["stages"] = _stages(bench)
        bar.update()
        results["cascade"] = _cascade(bench)
        bar.update()
        results["threads"] = _threads(bench)
        bar.update()
        results["open"] = _open(bench)
        bar.update()
        from reports.studies.serving.exponents import growth

        results["growth"] = growth(bench)
        bar.update()
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", results)
    seal_run(out)
    from reports.pages.serving.page import write_latency

    write_latency(results, out)
    return results


# --- 1: state -----------------------------------------------------------------------------------------------------


def bench_of(config: ServingConfig, done: Callable[[], Any], users: int = 1) -> Bench:
    """Arms that learned, published and are served, in a world with ``users`` times the scenario's users."""
    scenario = scenario_of(config, users)
    world = build(scenario.world, config.seed, 2)
    ranker = make_ranker(parse(BASE), world.catalog, config.seed, {})
    log = _log(scenario, world, ranker, config.rows)
    arms = {}
    for name in config.arms:
        arms[name] = _warm(name, config, world, log)
        done()
    requests = sample(world, 0, REQUESTS, "latency").requests
    return Bench(config=config, scenario=scenario, world=world, arms=arms, ranker=ranker, requests=requests)


def _log(scenario: Scenario, world: World, ranker: Ranker, rows: int) -> Impressions:
    """So many rows of a day that an exploring popularity cascade served."""
    retriever = PopularityRetriever(world.catalog, 3, temperature=1.0)
    return Marketplace(world, scenario.market, retriever, ranker).run_day(0).log[:rows]


def _warm(name: str, config: ServingConfig, world: World, log: Impressions) -> Warm:
    """An arm that learned, published, and is served."""
    retriever: Any = make_retriever(parse(name), world.catalog, config.seed, {}, {})
    retriever.update(log)
    retriever.sync(DAY)
    own = parse(name).backbone in STACKS_ONLY
    server = freeze(retriever, runtime="torch" if own else config.runtime)
    return Warm(server, retriever.items().numpy(), retriever.cost(), retriever.extra_widths()[0])


def _about(warm: Warm, ads: int) -> dict[str, Any]:
    """What an arm costs by its shapes."""
    d = warm.items.shape[1]
    return {
        "item_bytes": 4 * d,
        "state_bytes_per_user": 4 * warm.state,
        "user_flops": warm.cost.user_flops,
        "scan_flops_per_ad": 2 * (d + 1),
        "scan_flops_at_largest": 2 * (d + 1) * ads,
    }


def of_size(warm: Warm, ads: int, offers: Offers, seed: int) -> Server:
    """The arm over so many ads: the world's own, and more like them."""
    draws = np.random.default_rng(subseed(seed, f"serving {ads}"))
    n, d = warm.items.shape
    like = draws.integers(n, size=ads)
    items = warm.items[like] + np.float32(NOISE / np.sqrt(d)) * draws.standard_normal((ads, d), dtype=np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    scan = Scan(items)
    log_bid = offers.log_bid()[like] + np.float32(0.1) * draws.standard_normal(ads, dtype=np.float32)
    scan.offer(np.where(draws.random(ads) < SHARE, np.float32(-np.inf), log_bid))
    return warm.server.over(scan)


def offers_of(bench: Bench) -> Offers:
    """All ads, at the world's bids."""
    bid = bench.world.demand.bid
    return Offers(eligible=np.ones(bid.size, dtype=bool), bid=bid)


def ask(server: Server, requests: Requests, k: int) -> Any:
    """The top ``k`` of some requests."""
    return server.serve(requests.user, requests.time, requests.context, k)


# --- 2: closed loop -----------------------------------------------------------------------------------------------


def _closed(bench: Bench, ads: int) -> list[dict[str, Any]]:
    """Times of each arm at one size, by batch. One catalogue at a time is in memory: of all arms alike."""
    config, names = bench.config, list(bench.arms)
    # Arms take turns over one catalogue's memory: what differs between them is what they do before the scan.
    shared = of_size(bench.arms[names[0]], ads, offers_of(bench), config.seed)
    servers = {name: warm.server.over(shared.scan) for name, warm in bench.arms.items()}
    rows: list[dict[str, Any]] = []
    for batch in config.batches:

        def serve(name: str, i: int, batch: int = batch) -> None:
            ask(servers[name], bench.some(i, batch), config.candidates)

        calls = config.calls if batch == 1 else max(config.calls // batch, FEWEST)
        seconds = interleaved(names, calls, serve, CLOCKS[config.clock])
        rows += [
            {
                "arm": name,
                "ads": ads,
                "batch": batch,
                **quantiles(seconds[name]),
                "qps": float(batch / np.median(seconds[name])),
                "qps_change": change_of_qps(seconds[names[0]], seconds[name]),
            }
            for name in names
        ]
    return rows


# --- 3: stages ----------------------------------------------------------------------------------------------------


def _stages(bench: Bench) -> list[dict[str, Any]]:
    """Medians of the stages of a single request: input (features and fetch), tower, search of ``open_ads``."""
    config, rows = bench.config, []
    scan = of_size(bench.arms[config.arms[0]], config.open_ads, offers_of(bench), config.seed).scan
    events = [Events.of(bench.some(i, 1)) for i in range(REQUESTS)]
    ways: dict[tuple[str, str], Callable[[int], object]] = {}
    for name, warm in bench.arms.items():
        tower = warm.server.tower
        inputs = [tower.inputs(event).copy() for event in events]
        vectors = [np.array(tower.encode(x)) for x in inputs]
        ways[name, "input"] = lambda i, t=tower: t.inputs(events[i % REQUESTS])  # type: ignore[misc]
        ways[name, "tower"] = lambda i, t=tower, x=inputs: t.encode(x[i % REQUESTS])  # type: ignore[misc]
        ways[name, "search"] = lambda i, u=vectors: scan.search(u[i % REQUESTS], config.candidates)  # type: ignore[misc]
    seconds = interleaved(list(ways), config.calls, lambda way, i: ways[way](i), CLOCKS[config.clock])
    for name in bench.arms:
        medians = {f"{s}_us": as_dict(quantile_ci(1e6 * seconds[name, s], 0.5)) for s in ("input", "tower", "search")}
        rows.append({"arm": name, "ads": scan.size, **medians})
    return rows


# --- 4: the cascade -----------------------------------------------------------------------------------------------


def _cascade(bench: Bench) -> list[dict[str, Any]]:
    """Retrieve from ``open_ads``, rank K, auction: a single request through all of it."""
    config, k, A = bench.config, bench.scenario.cascade.candidates, bench.world.catalog.ads.rows
    scan = of_size(bench.arms[config.arms[0]], config.open_ads, offers_of(bench), config.seed).scan
    servers = {name: warm.server.over(scan) for name, warm in bench.arms.items()}

    def serve(name: str, i: int) -> None:
        one = bench.some(i, 1)
        # The ranker and the auction know the world's ads.
        ads = np.sort(ask(servers[name], one, k).ad % A, axis=1)
        auction(ads, bench.ranker.rank(one, ads).pctr, bench.world.demand.bid, bench.scenario.auction)

    seconds = interleaved(list(servers), config.calls, serve, CLOCKS[config.clock])
    base = seconds[config.arms[0]]
    return [
        {"arm": n, "ads": scan.size, "k": k, **quantiles(s), "qps_change": change_of_qps(base, s)}
        for n, s in seconds.items()
    ]


# --- 5: threads ---------------------------------------------------------------------------------------------------


def _threads(bench: Bench) -> list[dict[str, Any]]:
    """QPS of the base with one and two clients, each on one thread; and with two threads inside one request."""
    from threadpoolctl import threadpool_limits

    config, rows = bench.config, []
    for ads in config.ads:
        server = of_size(bench.arms[config.arms[0]], ads, offers_of(bench), config.seed)
        for batch in config.batches:
            n = config.calls // 2 if batch == 1 else max(config.calls // batch // 2, FEWEST)

            def serve(i: int, server: Server = server, batch: int = batch) -> None:
                ask(server, bench.some(i, batch), config.candidates)

            together(2, 2, serve)
            qps: dict[str, list[float]] = {"one": [], "two clients": [], "two threads inside": []}
            for _ in range(3):
                qps["one"].append(batch * together(1, n, serve))
                qps["two clients"].append(batch * together(2, n, serve))
                with threadpool_limits(2):
                    torch.set_num_threads(2)
                    try:
                        qps["two threads inside"].append(batch * together(1, n, serve))
                    finally:
                        torch.set_num_threads(1)
            rows.append(
                {"ads": ads, "batch": batch, "qps": {how: float(np.median(found)) for how, found in qps.items()}}
            )
    return rows


# --- 6: open loop -------------------------------------------------------------------------------------------------


def _open(bench: Bench) -> dict[str, Any]:
    """Latency by load of the base and the full arm (or the last one), at the same rates."""
    config = bench.config
    names = list(dict.fromkeys([config.arms[0], FULL if FULL in config.arms else config.arms[-1]]))
    scan = of_size(bench.arms[names[0]], config.open_ads, offers_of(bench), config.seed).scan
    servers = {name: bench.arms[name].server.over(scan) for name in names}
    alone = interleaved(names, config.calls, lambda n, i: ask(servers[n], bench.some(i, 1), config.candidates))
    # What one server does in a second: the mean counts, slow answers included.
    capacity = float(1 / alone[names[0]].mean())
    points: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for share in config.loads:
        for name in names:

            def serve(i: int, server: Server = servers[name]) -> None:
                ask(server, bench.some(i, 1), config.candidates)

            draws = np.random.default_rng(subseed(config.seed, f"arrivals {share}"))
            latency, achieved = open_loop(poisson(share * capacity, config.arrivals, draws), serve)
            points[name].append(
                {"load": share, "offered": share * capacity, "achieved": achieved, **quantiles(latency)}
            )
    found = {}
    for name, each in points.items():
        at = knee([p["offered"] for p in each], [p["p95_ms"]["value"] for p in each])
        found[name] = {"points": each, "knee": at}
    return {"ads": config.open_ads, "capacity": capacity, "arms": found}
