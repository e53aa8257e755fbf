"""Requests that come when they come: latency by load, at the same rates for each arm."""

from __future__ import annotations

from typing import Any

import numpy as np

from baselines.serving import Server
from reports.studies.serving.bench import Bench, ask, of_size, offers_of
from reports.studies.serving.load import (
    interleaved,
    knee,
    open_loop,
    poisson,
    quantiles,
)
from reports.studies.serving.settings import FULL
from simulator.keyed_random import subseed


def under_load(bench: Bench) -> dict[str, Any]:
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
