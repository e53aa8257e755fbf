"""How the time of a request grows with ads, K and users: exponents fitted request by request.

The same request is asked at every size in turn, so each has a slope of its own, log time over log size. The exponent is
their median with its order-statistic interval: 1 is linear, 0 is no growth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.numbers.quantiles import quantile_ci
from reports.studies.serving.bench import Bench, ask, bench_of, of_size, offers_of
from reports.studies.serving.load import as_dict, interleaved, quantiles
from reports.studies.serving.settings import CLOCKS, FULL


def growth(bench: Bench) -> list[dict[str, Any]]:
    """Times and exponents of the base and the full arm (or the last one) along each dial.

    Returns:
        Rows of ``dial``, ``arm``, ``points`` (``size`` and quantiles in ms) and ``exponent``.
    """
    config = bench.config
    names = list(dict.fromkeys([config.arms[0], FULL if FULL in config.arms else config.arms[-1]]))
    return [*_ads(bench, names), *_candidates(bench, names), *_users(bench, names)]


def _ads(bench: Bench, names: Sequence[str]) -> list[dict[str, Any]]:
    config = bench.config
    scans = {
        ads: of_size(bench.arms[names[0]], ads, offers_of(bench), config.seed).scan for ads in sorted(set(config.ads))
    }
    servers = {(arm, ads): bench.arms[arm].server.over(scan) for arm in names for ads, scan in scans.items()}
    return _timed(bench, "ads", servers, lambda key, i: ask(servers[key], bench.some(i, 1), config.candidates))


def _candidates(bench: Bench, names: Sequence[str]) -> list[dict[str, Any]]:
    config = bench.config
    scan = of_size(bench.arms[names[0]], config.open_ads, offers_of(bench), config.seed).scan
    servers = {arm: bench.arms[arm].server.over(scan) for arm in names}
    keys = {(arm, k): None for arm in names for k in config.growth_k}
    return _timed(bench, "K", keys, lambda key, i: ask(servers[key[0]], bench.some(i, 1), key[1]))


def _users(bench: Bench, names: Sequence[str]) -> list[dict[str, Any]]:
    config = bench.config.model_copy(update={"arms": tuple(names)})
    ads = min(config.ads)
    scan = of_size(bench.arms[names[0]], ads, offers_of(bench), config.seed).scan
    benches = {times: bench_of(config, lambda: None, users=times) for times in config.growth_users}
    base = bench.scenario.world.users
    known = {
        (arm, base * times): (one.arms[arm].server.over(scan), one) for times, one in benches.items() for arm in names
    }

    def serve(key: tuple[str, int], i: int) -> None:
        server, one = known[key]
        ask(server, one.some(i, 1), config.candidates)

    return _timed(bench, "users", known, serve)


def _timed(
    bench: Bench, dial: str, keys: Mapping[tuple[str, int], Any], serve: Callable[[tuple[str, int], int], object]
) -> list[dict[str, Any]]:
    """Time every (arm, size), all in turn for each request."""
    config = bench.config
    seconds = interleaved(list(keys), config.calls, serve, CLOCKS[config.clock])
    found = []
    for arm in dict.fromkeys(name for name, _ in keys):
        sizes = [size for name, size in keys if name == arm]
        times = np.stack([seconds[arm, size] for size in sizes])
        row: dict[str, Any] = {
            "dial": dial,
            "arm": arm,
            "points": [{"size": size, **quantiles(seconds[arm, size])} for size in sizes],
        }
        if len(sizes) > 1:
            row["exponent"] = as_dict(quantile_ci(exponents(sizes, times), 0.5))
        found.append(row)
    return found


def exponents(sizes: Sequence[int], seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slope of log time over log size, by least squares.

    Args:
        sizes: [m], two or more that differ.
        seconds: [m, n], times of each request at each size.

    Returns:
        [n].
    """
    x = np.log(np.asarray(sizes, dtype=np.float64))
    x -= x.mean()
    slope: npt.NDArray[np.float64] = x @ np.log(seconds) / (x @ x)
    return slope
