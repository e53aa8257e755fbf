"""Question: how many days, users or worlds does a design need to find a lift?

Two answers, side by side. The normal formula starts from what a live test would know after its first day, its own
standard error, and lets it shrink with the root of the days. The simulated one moves every world's error (estimate
minus truth, as log lifts) to the lift that is asked for and counts the worlds whose own interval then leaves 0. Errors
are centred first: bias is not power, and stands beside it. Where they differ, the simulated one decides.

The cells are those of the laboratory's interference meter, at one level and one share of traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.power import power_of, units_needed, worlds_needed
from reports.numbers.rounding import no_rounding, spread_of
from reports.studies.lab import study as lab
from reports.studies.lab.live import USER_SHARES
from reports.studies.machine.engines import Dask
from reports.studies.machine.workers import one_thread
from reports.studies.market.twins import facts_of
from simulator.experiment import RunDirectory, read_json, write_json
from simulator.keyed_random import subseed

Facts = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
ALPHA = 0.05
LEAST_LIFT, MOST_LIFT = 1e-6, 100.0
"""Beyond them no days, users or worlds can be told apart from none, or from all that there are."""
REPLICATES = 2000
"""Resampled studies of each number of worlds."""
WORLDS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)
"""Numbers of paired worlds whose power is drawn."""


def run_power(
    plan: lab.Plan,
    lift: float,
    power: float,
    out: Path | None,
    jobs: int,
    *,
    quiet: bool = False,
    engine: Dask | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Run or resume the laboratory's cells and read power off them.

    Args:
        plan: of one meter, interference, with one level and one share of traffic.
        lift: relative, to be found.
        power: wanted.
        out: run directory; the plan's own if None.
        jobs: worker processes.
        quiet: no progress bar.
        engine: compute the cells there instead of on this machine.

    Returns:
        The run directory and the content of its ``power.json``.

    Raises:
        ValueError: one line, for anything the caller can mend.
    """
    if plan.meters != ("interference",) or len(plan.tightness) != 1 or len(plan.shares) != 1:
        raise ValueError(f"tightness, shares == {plan.tightness}, {plan.shares}, must be one of each")
    if not (-1 < lift <= MOST_LIFT and abs(lift) >= LEAST_LIFT):
        raise ValueError(f"lift == {lift}, must be above -1, at most {MOST_LIFT:g}, and at least {LEAST_LIFT:g} from 0")
    if not 0 < power < 1:
        raise ValueError(f"power == {power}, must be between 0 and 1")
    if plan.scenario.run.worlds < 2:
        raise ValueError("run.worlds == 1, must be at least 2: one world has no variance")
    root, results = lab.run_lab(plan, out, jobs, quiet=quiet, engine=engine)
    run = RunDirectory(root, {"identity": plan.identity()})
    cells = facts_of(run, list(lab.tasks_of(plan, root)))
    found = summary(plan, cells, lift, power) | {key: results[key] for key in ("scenario", "small", "worlds", "days")}
    write_json(root / "power.json", found)
    run.seal()
    return root, read_json(root / "power.json")


@one_thread()
def summary(plan: lab.Plan, cells: Sequence[Facts], lift: float, power: float) -> dict[str, Any]:
    """The content of ``power.json``."""
    log_lift = float(np.log1p(lift))
    money = {arm: np.array([one["revenue"][arm] for one in cells]).cumsum(axis=1) for arm in ("control", "treatment")}
    truth = np.log(money["treatment"]) - np.log(money["control"])  # [W, days], the true lift so far
    users = plan.scenario.world.users
    designs = {}
    for live in next(iter(lab.tasks_of(plan, Path()).values())).lives:
        of = [one["live"][live.key] for one in cells]
        designs[live.design.name] = by_days(of, truth, log_lift, power) | by_users(of, truth, log_lift, power, users)
    return {
        "schema": 1,
        "kind": "power",
        "lift": lift,
        "power": power,
        "alpha": ALPHA,
        "budget_clicks": plan.tightness[0],
        "share": plan.shares[0],
        "control": plan.interference[0],
        "treatment": plan.interference[1],
        "users": users,
        "designs": designs,
        "twin": by_worlds(truth[:, -1], log_lift, power, plan.scenario.run.seed),
    }


def by_days(of: Sequence[Facts], truth: Floats, log_lift: float, power: float) -> dict[str, Any]:
    """Power and days needed, of one live design.

    Args:
        of: its facts in every world.
        truth: [W, days], log of the true lift so far.
        log_lift: to be found.
        power: wanted.
    """
    estimate = np.array([[_log(day["rel_effect"]) for day in one["by_day"]] for one in of])
    se = np.array([[_real(day["se"]) for day in one["by_day"]] for one in of])
    days = np.arange(1, truth.shape[1] + 1)
    known = np.isfinite(estimate) & np.isfinite(se) & (se > 0)
    if known.sum(axis=0).min() < 2:
        return {"day": days, "n_worlds": int(known.all(axis=1).sum()), "reason": "fewer than 2 worlds have an estimate"}
    error = np.where(known, estimate - truth, np.nan)
    first = float(np.nanmean(np.where(known, se, np.nan)[:, 0] ** 2)) ** 0.5
    sd = no_rounding(np.nanstd(error, axis=0, ddof=1), 1.0)
    moved = np.abs(error - np.nanmean(error, axis=0) + log_lift) > stats.norm.ppf(1 - ALPHA / 2) * se
    return {
        "day": days,
        "n_worlds": int(known.all(axis=1).sum()),
        "simulated": np.where(known, moved, 0).sum(axis=0) / known.sum(axis=0),
        "formula": power_of(log_lift, first / np.sqrt(days), ALPHA),
        "bias": float(np.nanmean(error[:, -1])),
        "sd": {"simulated": sd, "formula": first / np.sqrt(days)},
        "days_needed": {
            "formula": units_needed(log_lift, first, 1, power, ALPHA),
            "simulated": units_needed(log_lift, float(sd[-1]), int(days[-1]), power, ALPHA),
        },
    }


def by_users(of: Sequence[Facts], truth: Floats, log_lift: float, power: float, users: int) -> dict[str, Any]:
    """Sd of the error by the share of users that is looked at, and users needed over the whole test."""
    if any("by_users" not in one for one in of):
        return {}
    estimate = np.array([[_log(part["rel_effect"]) for part in one["by_users"]] for one in of])
    se = np.array([[_real(part["se"]) for part in one["by_users"]] for one in of])
    if not np.isfinite(estimate).all():
        return {}
    sd = spread_of(estimate - truth[:, -1:], 1.0)
    whole = float((se[:, -1] ** 2).mean() ** 0.5)
    counts = np.array(USER_SHARES) * users
    return {
        "by_users": {"users": counts, "simulated": sd, "formula": whole * np.sqrt(users / counts)},
        "users_needed": {
            "formula": units_needed(log_lift, whole, users, power, ALPHA),
            "simulated": units_needed(log_lift, float(sd[-1]), users, power, ALPHA),
        },
    }


def by_worlds(d: Floats, log_lift: float, power: float, seed: int) -> dict[str, Any]:
    """Power of the paired t test over twin worlds, and worlds needed: by the noncentral t, and by resampling.

    Args:
        d: [W], log lift of each world.
        log_lift: to be found; the worlds' differences are moved to it.
        power: wanted.
        seed: of the resamples.
    """
    sd = float(spread_of(d, 1.0))
    found = {"worlds": list(WORLDS), "sd": sd, "n_worlds": int(d.size)}
    if not sd > 0:
        nothing = {key: [float("nan")] * len(WORLDS) for key in ("simulated", "formula")}
        needed = dict.fromkeys(nothing)
        return found | nothing | {"worlds_needed": needed, "reason": "the true lift is the same in all worlds"}
    rng = np.random.default_rng(subseed(seed, "power"))
    moved = (d - d.mean()) * np.sqrt(d.size / (d.size - 1)) + log_lift
    simulated = [_found(moved[rng.integers(d.size, size=(REPLICATES, worlds))]) for worlds in WORLDS]
    formula = [
        float(stats.nct.sf(stats.t.ppf(1 - ALPHA / 2, w - 1), w - 1, abs(log_lift) / sd * np.sqrt(w))) for w in WORLDS
    ]
    enough = [w for w, share in zip(WORLDS, simulated, strict=True) if share >= power]
    worlds = {"formula": worlds_needed(log_lift, sd, power, ALPHA), "simulated": min(enough, default=None)}
    return found | {"simulated": simulated, "formula": formula, "worlds_needed": worlds}


def _found(drawn: Floats) -> float:
    """Share of studies [n, worlds] whose t test finds an effect; one that drew the same world only has no test."""
    worlds = drawn.shape[1]
    spread = spread_of(drawn.T, 1.0) / np.sqrt(worlds)
    far = np.abs(drawn.mean(axis=1)) > stats.t.ppf(1 - ALPHA / 2, worlds - 1) * spread
    return float((far & (spread > 0)).mean())


def _log(rel_effect: float | None) -> float:
    return float("nan") if rel_effect is None else float(np.log1p(rel_effect))


def _real(value: float | None) -> float:
    return float("nan") if value is None else float(value)
