"""Latency, measured after all cells, alone: arms interleaved request by request, trained weights, warm state."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from reports.numbers.quantiles import quantile_ci
from reports.studies.market.evaluation import sample
from simulator.auction import auction
from simulator.feedback import examine_p
from simulator.plugins import Ranker, Retriever
from simulator.records import take
from simulator.scenario import Scenario
from simulator.world import World

T = TypeVar("T")
BATCH = 256
WARM_UP = 30


def measure(
    scenario: Scenario, world: World, arms: Mapping[str, tuple[Retriever, Ranker]], ks: Sequence[int]
) -> dict[str, Any]:
    """p50, p95, p99 of single-request retrieval and of the whole cascade per arm, QPS in batches, cascade p50 per K.

    One thread. Requests are the final evaluation's; each is served by every arm before the next one, in alternating
    order, so that the machine's moods hit all arms alike.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    n, K = scenario.run.latency, scenario.cascade.candidates
    s = sample(world, scenario.run.burn_in + scenario.run.days - 1, max(n, BATCH), "latency")
    names = list(arms)
    seen = examine_p(scenario.auction.slots, scenario.feedback.examine_decay)

    def cascade(name: str, row: slice, k: int) -> None:
        retriever, ranker = arms[name]
        one = take(s.requests, row)
        found = retriever.retrieve(one, s.offers, k)
        auction(found.ad, ranker.rank(one, found.ad).pctr, s.offers.bid, scenario.auction, seen)

    def retrieval(name: str, row: slice, k: int) -> None:
        arms[name][0].retrieve(take(s.requests, row), s.offers, k)

    with threadpool_limits(1):
        single = {
            "retrieval": _interleaved(names, n, lambda a, r: retrieval(a, r, K)),
            "cascade": _interleaved(names, n, lambda a, r: cascade(a, r, K)),
        }
        few = max(40, n // 10)
        points = [(name, k) for k in ks for name in names]
        by_k = _interleaved(points, few, lambda point, r: cascade(point[0], r, point[1]))
        batches = _interleaved(names, 12, lambda a, _: retrieval(a, slice(0, BATCH), K))
    out: dict[str, Any] = {}
    for name in names:
        out[name] = {kind: _quantiles(times[name]) for kind, times in single.items()}
        out[name]["qps_batch"] = {"batch": BATCH, "qps": float(BATCH / np.median(batches[name]))}
        out[name]["k"] = {"k": list(ks), "cascade_p50_ms": [float(np.median(by_k[name, k]) * 1e3) for k in ks]}
    return out


def _interleaved(names: Sequence[T], n: int, serve: Callable[[T, slice], None]) -> dict[T, Any]:
    """Seconds of ``serve`` for each name and each of ``n`` requests."""
    times = {name: np.empty(n) for name in names}
    for i in range(-min(WARM_UP, n), n):
        for name in names if i % 2 else reversed(names):
            begin = time.perf_counter()
            serve(name, slice(max(i, 0), max(i, 0) + 1))
            if i >= 0:
                times[name][i] = time.perf_counter() - begin
    return times


def _quantiles(seconds: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"n": int(seconds.size)}
    for label, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        ci = quantile_ci(seconds * 1e3, q)
        out[label] = {"value": ci.value, "lo": ci.lo, "hi": ci.hi}
    return out


def machine() -> dict[str, Any]:
    """What the clock ran on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "threads_per_measurement": 1,
    }
