"""Load on whatever serves: closed loop, open loop without coordinated omission, the knee, several threads.

In a closed loop a client asks again when it was answered: a slow answer delays the next question, and nothing is ever
seen to wait. In an open loop questions come when they come. Each one's latency counts from its scheduled arrival, so
that a stall is charged to all who waited in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from reports.numbers.quantiles import quantile_ci

T = TypeVar("T")
Times = npt.NDArray[np.float64]
WARM_UP = 20
SLEEP = 2e-3
"""The client sleeps until so many seconds before an arrival and spins the rest: a sleep ends late."""
STRETCH = 3.0
"""Beyond the knee the p95 is more than so many times what it is at the lightest load."""


def interleaved(
    names: Sequence[T], n: int, serve: Callable[[T, int], object], clock: Callable[[], float] = time.perf_counter
) -> dict[T, Times]:
    """Closed loop: seconds of ``serve(name, i)`` for each name and each of ``n`` requests.

    Each request goes to every name before the next one, in alternating order: the machine's moods hit all alike.
    """
    seconds = {name: np.empty(n) for name in names}
    for i in range(-min(WARM_UP, n), n):
        for name in names if i % 2 else reversed(names):
            begin = clock()
            serve(name, max(i, 0))
            if i >= 0:
                seconds[name][i] = clock() - begin
    return seconds


def poisson(rate: float, n: int, draws: np.random.Generator) -> Times:
    """Arrivals [n] in seconds, ``rate`` a second on average, each independent of the others."""
    if not rate > 0:
        raise ValueError(f"rate == {rate}, must be above 0")
    return np.cumsum(draws.exponential(1 / rate, n))


def open_loop(arrivals: Times, serve: Callable[[int], object]) -> tuple[Times, float]:
    """One server, questions at ``arrivals`` [n], ascending seconds from the start.

    Returns:
        Seconds from each scheduled arrival to its answer [n], and answers a second from the first arrival on.
    """
    latency = np.empty(len(arrivals))
    start = time.perf_counter()
    for i, due in enumerate(arrivals.tolist()):
        while (left := start + due - time.perf_counter()) > 0:
            if left > SLEEP:
                time.sleep(left - SLEEP)
        serve(i)
        latency[i] = time.perf_counter() - start - due
    return latency, len(arrivals) / (time.perf_counter() - start - float(arrivals[0]))


def knee(loads: Sequence[float], p95: Sequence[float]) -> float | None:
    """The highest load up to which the p95 stays within ``STRETCH`` times that of the lightest; None without loads.

    Args:
        loads: ascending.
        p95: of each.
    """
    within = None
    for load, value in zip(loads, p95, strict=True):
        if not value <= STRETCH * p95[0]:
            break
        within = load
    return within


def together(threads: int, n: int, serve: Callable[[int], object]) -> float:
    """Answers a second when so many threads ask ``serve`` in a closed loop, ``n`` times each."""
    gate = threading.Barrier(threads + 1)

    def client(first: int) -> None:
        gate.wait()
        for i in range(first, first + n):
            serve(i)

    clients = [threading.Thread(target=client, args=(c * n,)) for c in range(threads)]
    for one in clients:
        one.start()
    gate.wait()
    begin = time.perf_counter()
    for one in clients:
        one.join()
    return threads * n / (time.perf_counter() - begin)


def quantiles(seconds: Times) -> dict[str, Any]:
    """p50, p95, p99 in ms with 95 % order-statistic intervals; an end that ``n`` cannot give is None."""
    out: dict[str, Any] = {"n": int(seconds.size)}
    for label, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        out[label] = as_dict(quantile_ci(seconds * 1e3, q))
    return out


def change_of_qps(base: Times, other: Times) -> dict[str, Any]:
    """Median over paired requests of ``base / other - 1``, with its interval: what a closed loop gains or loses."""
    return as_dict(quantile_ci(base / other - 1, 0.5))


def as_dict(ci: Any) -> dict[str, Any]:
    """Value and ends, None where undefined."""
    return {name: None if np.isnan(x) else float(x) for name, x in (("value", ci.value), ("lo", ci.lo), ("hi", ci.hi))}
