"""What makes a rival dear: upkeep by the clock, who is dominated, and what an arm earns in the reference's time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.numbers.paired import paired_difference, paired_lift
from reports.numbers.quantiles import quantile_ci
from reports.studies.arms import make_retriever, parse
from reports.studies.machine.workers import one_thread
from reports.studies.market.cells import burn_in_log
from reports.studies.market.evaluation import sample
from reports.studies.market.summary import Facts
from simulator.experiment import RunDirectory
from simulator.records import DAY, take
from simulator.scenario import Scenario
from simulator.world import World

ROWS = 2048
"""Rows of one timed update."""
WARM_UP, UPDATES, SYNCS = 3, 15, 15


def upkeep(
    run: RunDirectory, scenario: Scenario, world: World, settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Training rows a second, and milliseconds from a sync's begin to the first answer out of what it published.

    Fresh retrievers read the same rows of the burn-in's log, one thread, arms in turn so that the machine's moods hit
    all alike: figures are medians with order-statistic intervals.

    Args:
        run: holds the burn-in's log.
        scenario: the resolved configuration.
        world: whose log it is.
        settings: of each arm that is timed.
    """
    log = burn_in_log(run, world.seed)
    log = log[: min(len(log), (WARM_UP + UPDATES) * ROWS)]
    s = sample(world, 0, 8, "upkeep")
    one = take(s.requests, slice(0, 1))
    retrievers = {
        arm: make_retriever(parse(arm), world.catalog, world.seed, given, {}) for arm, given in settings.items()
    }
    steps = len(log) // ROWS
    spent: dict[str, list[float]] = {arm: [] for arm in retrievers}
    synced: dict[str, list[float]] = {arm: [] for arm in retrievers}
    with one_thread():
        for step in range(steps):
            rows = log[step * ROWS : (step + 1) * ROWS]
            names = list(retrievers) if step % 2 else list(reversed(retrievers))
            for arm in names:
                begin = time.perf_counter()
                retrievers[arm].update(rows)
                spent[arm].append(time.perf_counter() - begin)
        now = int(log.ready_at[steps * ROWS - 1]) if steps else DAY
        for step in range(SYNCS):
            for arm in list(retrievers) if step % 2 else list(reversed(retrievers)):
                begin = time.perf_counter()
                retrievers[arm].sync(now + step)
                retrievers[arm].retrieve(one, s.offers, scenario.cascade.candidates)
                synced[arm].append(time.perf_counter() - begin)
    return {
        arm: {
            "train_rows_per_second": _rate(spent[arm][min(WARM_UP, steps - 1) :]) if steps else None,
            "sync_ms": _median(np.array(synced[arm]) * 1e3),
            "batch": ROWS,
        }
        for arm in retrievers
    }


def _rate(seconds: Sequence[float]) -> dict[str, Any]:
    return _median(ROWS / np.array(seconds))


def _median(values: Any) -> dict[str, Any]:
    ci = quantile_ci(values, 0.5)
    return {"value": ci.value, "lo": ci.lo, "hi": ci.hi, "n": int(values.size)}


def money(facts: Sequence[Facts]) -> Any:
    """Revenue expected given the slates, a figure per world."""
    return np.array([sum(day["expected_revenue"] for day in one["days"]) for one in facts])


def pareto(facts: Mapping[str, Sequence[Facts]], latency: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Who is dominated: another arm retrieves as fast or faster, finds no less, earns no less, and is better in one.

    Money is expected revenue given the slates, recall is of the final evaluation, time is p50 of one request's
    retrieval: means over the same worlds. A dominated arm is ``surely`` so when the 95 % interval of the paired
    difference in money excludes 0, else the order of the two may be luck.

    Args:
        facts: of each arm, a row per world.
        latency: of each arm that was timed; the others take no part.
    """
    timed = [arm for arm in facts if arm in latency]
    p50 = {arm: float(latency[arm]["retrieval"]["p50_ms"]["value"]) for arm in timed}
    earned = {arm: float(np.log(money(facts[arm])).mean()) for arm in timed}
    found = {arm: float(np.mean([one["recall"] for one in facts[arm]])) for arm in timed}
    out = {}
    for arm in timed:
        better = [
            other
            for other in timed
            if other != arm
            and (p50[other] <= p50[arm] and earned[other] >= earned[arm] and found[other] >= found[arm])
            and (p50[other] < p50[arm] or earned[other] > earned[arm] or found[other] > found[arm])
        ]
        by = max(better, key=lambda other: earned[other]) if better else None
        surely = None
        if by is not None and len(facts[arm]) > 1:
            surely = paired_lift(money(facts[arm]), money(facts[by])).lo > 0
        out[arm] = {"p50_ms": p50[arm], "recall": found[arm], "dominated_by": by, "surely": surely}
    return out


def equal_latency(
    scenario: Scenario, facts: Mapping[str, Sequence[Facts]], latency: Mapping[str, Any], reference: str
) -> dict[str, dict[str, Any]]:
    """What each arm earns when its whole cascade may take no longer than the reference's at K.

    A slower retriever pays with candidates: the K at which its cascade's p50 equals the reference's is read off its
    own measured curve, and its expected revenue at that K off its own sweep of the final evaluation, world by world,
    both linear between their points.

    Args:
        scenario: says K.
        facts: of each arm, a row per world.
        latency: of each arm that was timed.
        reference: whose time is the budget.

    Returns:
        By arm ``k``, ``rel_effect`` with ``ci``, or a ``reason`` why there is none.
    """
    if reference not in latency:
        return {}
    K = scenario.cascade.candidates
    budget = float(np.interp(K, *_curve(latency[reference])))
    base = np.array([_at(one, K) for one in facts[reference]])
    out: dict[str, dict[str, Any]] = {}
    for arm, mine in facts.items():
        if arm not in latency:
            continue
        k, p50 = _curve(latency[arm])
        if arm != reference and p50[0] > budget:
            reason = f"its cascade takes {p50[0]:.2f} ms with {k[0]:.0f} candidates already, the budget is {budget:.2f}"
            out[arm] = {"k": None, "budget_ms": budget, "reason": reason}
            continue
        affords = K if arm == reference else float(np.interp(budget, p50, k))  # the ends of the curve are its bounds
        found = paired_lift(base, np.array([_at(one, affords) for one in mine]))
        gap = paired_difference(base, np.array([_at(one, affords) for one in mine]))
        out[arm] = {
            "k": affords,
            "at_the_end": affords == k[-1],
            "budget_ms": budget,
            "rel_effect": found.rel_effect,
            "ci": [found.lo, found.hi],
            "p": found.p,
            "per_1000": gap.effect,
        }
    return out


def _curve(timed: Mapping[str, Any]) -> tuple[Any, Any]:
    """K and p50 of the cascade; a median that falls with more candidates is the clock's noise, so it is levelled."""
    k = np.asarray(timed["k"]["k"], dtype=np.float64)
    return k, np.maximum.accumulate(np.asarray(timed["k"]["cascade_p50_ms"], dtype=np.float64))


def _at(one: Facts, k: float) -> float:
    return float(np.interp(k, one["k_sweep"]["k"], one["k_sweep"]["revenue"]))
