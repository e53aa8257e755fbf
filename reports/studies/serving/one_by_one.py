"""One request, or one batch, after the other: by size and batch, by stage, through the cascade, with two threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from baselines.serving import Server
from baselines.training.features import Events
from reports.numbers.quantiles import quantile_ci
from reports.studies.serving.bench import Bench, ask, of_size, offers_of
from reports.studies.serving.load import (
    as_dict,
    change_of_qps,
    interleaved,
    quantiles,
    together,
)
from reports.studies.serving.settings import CLOCKS, REQUESTS
from simulator.auction import auction

FEWEST = 5


def closed(bench: Bench, ads: int) -> list[dict[str, Any]]:
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


def stages(bench: Bench) -> list[dict[str, Any]]:
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


def cascade(bench: Bench) -> list[dict[str, Any]]:
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


def threads(bench: Bench) -> list[dict[str, Any]]:
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
