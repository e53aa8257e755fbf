"""Question: what would a live test have reported, and how far is that from the truth?

``cs3bench lab`` runs two meters. The interference meter: every live design over budget tightness and the treatment's
share of traffic, arms without models by default. The contamination meter: arms that learn, in a user split whose
budgets do not bind, by what rows they learn from. The truth is that of twin worlds, world by world.

1 the cells: a world at a level of a meter, its truth and all of its live designs (`live`), 2 bias, spread, coverage,
sign errors and cost of every design over worlds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reports.numbers.looks import guarded, judged
from reports.numbers.paired import paired_lift
from reports.numbers.quality import quality
from reports.numbers.rounding import spread_of
from reports.numbers.split import SRM_ALARM
from reports.numbers.untested import alike, idle
from reports.numbers.verdict import Light
from reports.studies.arms import parse
from reports.studies.lab.live import LabTask, Live, compute, ticks
from reports.studies.machine.engines import Dask
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.workers import compute_all, one_thread
from reports.studies.market.twins import facts_of
from reports.studies.sensitivity.levels import apart
from simulator import feasible
from simulator.config import validated
from simulator.designs import LIVE, Assignment, DesignConfig
from simulator.experiment import Cell, RunDirectory, digest
from simulator.names import readable
from simulator.scenario import Scenario
from simulator.training_rows import Training
from simulator.world import WorldConfig

Facts = Mapping[str, Any]
Meter = Literal["interference", "contamination"]
METERS: tuple[Meter, ...] = ("interference", "contamination")
MODEL_FREE = ("popularity[temperature=0.5]", "popularity")
"""Default arms of the interference meter: the same smoothed click rates, with and without noise in the order."""
LEARNING = ("dssm-bare", "dssm")
"""Default arms of the contamination meter: towers without and with online counters, each with its own ranker."""
TIGHTNESS = (1e9, 60.0, 15.0)
"""Default levels of ``world.budget_clicks``: median daily budget of a campaign, in clicks."""
SHARES = (0.5, 0.1)
VARIANTS = ("plain", "cuped", "winsorised")
"""Estimators of a design; all but the plain one are of users."""
TRAININGS: tuple[Training, ...] = ("own", "pooled", "weighted")
BLOCK = 3600
POINT = 0.01
"""A standard error of one point of lift, which the cost is asked for."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A laboratory.

    Attributes:
        scenario: the resolved configuration.
        meters: what is measured.
        interference, contamination: control and treatment of each meter.
        designs: live designs of the interference meter.
        tightness: levels of ``world.budget_clicks``, loosest first.
        shares: of traffic, to the treatment.
        trainings: rules of the contamination meter.
        small: whether the scenario's small form was asked for.
        command: what was typed, for the record.
    """

    scenario: Scenario
    meters: tuple[Meter, ...] = METERS
    interference: tuple[str, str] = MODEL_FREE
    contamination: tuple[str, str] = LEARNING
    designs: tuple[str, ...] = LIVE
    tightness: tuple[float, ...] = TIGHTNESS
    shares: tuple[float, ...] = SHARES
    trainings: tuple[Training, ...] = TRAININGS
    small: bool = False
    command: str = "cs3bench lab"

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "kind": "lab",
            "meters": list(self.meters),
            "interference": list(self.interference),
            "contamination": list(self.contamination),
            "designs": list(self.designs),
            "tightness": list(self.tightness),
            "shares": list(self.shares),
            "trainings": list(self.trainings),
            "config": self.scenario.model_dump(mode="json"),
            **made_by(),
        }

    def default_out(self) -> Path:
        """``runs/lab-SCENARIO-DIGEST``: the same command resumes the same directory."""
        return (
            Path("runs")
            / f"lab-{readable(self.scenario.name)}{'-small' if self.small else ''}-{digest(self.identity())}"
        )

    @property
    def seeds(self) -> range:
        """The worlds."""
        return feasible.worlds_of(self.scenario)


def run_lab(
    plan: Plan, out: Path | None, jobs: int, *, quiet: bool = False, engine: Dask | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run or resume a laboratory.

    Args:
        plan: what to run.
        out: run directory, :meth:`Plan.default_out` if None.
        jobs: worker processes.
        quiet: no progress bar.
        engine: compute the cells there instead of on this machine.

    Returns:
        The run directory and the content of its ``results.json``.

    Raises:
        ValueError: one line, for anything the caller can mend.
    """
    check(plan)
    root = out or plan.default_out()
    arms = (*plan.interference, *plan.contamination)
    tasks = tasks_of(plan, root.absolute())
    more: dict[str, Any] = {"cells": len(tasks), "arms": arms, "small": plan.small}

    def answer(run: RunDirectory) -> Answer:
        begin = time.perf_counter()
        missing = run.missing(tasks)
        compute_all(
            run,
            {cell: (tasks[cell], len(tasks)) for cell in missing},
            compute,
            cells=len(tasks),
            ticks=sum(ticks(tasks[cell]) for cell in missing),
            jobs=jobs,
            label="experimenting",
            quiet=quiet,
            engine=engine,
        )

        def clock() -> dict[str, Any]:
            from reports.studies.serving.latency import machine

            return {"wall_seconds": {"total": time.perf_counter() - begin}, "machine": machine(), "jobs": jobs}

        return Answer(summary(plan, {cell: facts_of(run, [cell])[0] for cell in tasks}), clock)

    return root, run_or_resume(root, manifest(plan.identity(), command=plan.command, seeds=plan.seeds, **more), answer)


def check(plan: Plan) -> None:
    """Refuse what cannot run, before anything does."""
    for spelling in {*plan.interference, *plan.contamination}:
        parse(spelling)
    for name, values in (("tightness", plan.tightness), ("shares", plan.shares)):
        if not values or not all(0 < value < np.inf for value in values) or len(set(values)) < len(values):
            raise ValueError(f"{name} == {list(values)}, must be different numbers above 0")
        apart(name, values)
    if not all(share < 1 for share in plan.shares):
        raise ValueError(f"shares == {list(plan.shares)}, must be below 1: both arms need traffic")
    nobody = np.zeros(1, dtype=np.int32)
    for live in _lives(plan, "interference"):
        Assignment(seed=0, design=live.design, campaign=nobody)
    for scenario in dict.fromkeys(at_level(plan.scenario, clicks) for clicks in plan.tightness):
        feasible.check(scenario)
        feasible.check_worlds(scenario, plan.seeds)


def at_level(scenario: Scenario, clicks: float) -> Scenario:
    """The scenario with one level of the meter."""
    world = scenario.world.model_dump() | {"budget_clicks": clicks}
    return scenario.model_copy(update={"world": validated(WorldConfig, world, "tightness")})


def _lives(plan: Plan, meter: Meter) -> tuple[Live, ...]:
    if meter == "contamination":
        design = DesignConfig(name="user_split", share=plan.shares[0])
        return tuple(Live(design=design, training=training) for training in plan.trainings)
    designs = [
        DesignConfig.model_validate({"name": name, "share": share, "block": BLOCK})
        for share in plan.shares
        for name in plan.designs
    ]
    return tuple(Live(design=design) for design in designs)


def tasks_of(plan: Plan, root: Path) -> dict[Cell, LabTask]:
    """Every cell: the worlds of each level of the interference meter, then those of the contamination meter."""
    found: dict[Cell, LabTask] = {}
    for meter in plan.meters:
        arms = plan.interference if meter == "interference" else plan.contamination
        for clicks in plan.tightness if meter == "interference" else plan.tightness[:1]:
            for seed in plan.seeds:
                cell = Cell(world=seed, name=meter, variant=f"{clicks:g}")
                found[cell] = LabTask(
                    cell=cell,
                    scenario=at_level(plan.scenario, clicks),
                    control=arms[0],
                    treatment=arms[1],
                    true_ranker=meter == "interference",
                    lives=_lives(plan, meter),
                    root=str(root),
                    identity=plan.identity(),
                    index=len(found),
                )
    return found


# --- after the cells -----------------------------------------------------------------------------------------------


@one_thread()
def summary(plan: Plan, facts: Mapping[Cell, Facts]) -> dict[str, Any]:
    """The whole of ``results.json``; nothing in it knows a clock.

    Raises:
        ValueError: one line, if an arm sold nothing in a world: there is no lift over nothing.
    """
    s = plan.scenario
    lights: list[dict[str, Any]] = []
    meters = {}
    for meter in plan.meters:
        arms = plan.interference if meter == "interference" else plan.contamination
        levels = []
        for clicks in plan.tightness if meter == "interference" else plan.tightness[:1]:
            cells = [one for cell, one in facts.items() if (cell.name, cell.variant) == (meter, f"{clicks:g}")]
            levels.append({"budget_clicks": clicks, **level(cells, _lives(plan, meter))})
            where = f"{meter} at {clicks:g} clicks a day"
            lights += [light._asdict() | {"name": f"{light.name}, {where}"} for light in _nothing(arms, cells)]
        meters[meter] = {"control": arms[0], "treatment": arms[1], "levels": levels}
    return {
        "schema": 1,
        "kind": "lab",
        "scenario": s.name,
        "small": plan.small,
        "worlds": list(plan.seeds),
        "days": {"burn_in": s.run.burn_in, "test": s.run.days},
        "requests_per_world": s.traffic.requests_per_day * s.run.days,
        "users": s.world.users,
        "ads": s.world.ads,
        "k": s.cascade.candidates,
        "slots": s.auction.slots,
        "meters": meters,
        "lights": lights,
    }


def _nothing(arms: tuple[str, str], cells: Sequence[Facts]) -> list[Light]:
    """The red lights of a level whose twins tested nothing; cells of an older version tell nothing."""
    if not all("learned" in one for one in cells):
        return []
    found = [light for side in (0, 1) for light in idle(arms[side], [one["learned"][side] for one in cells])]
    same = all(one["revenue"]["control"] == one["revenue"]["treatment"] for one in cells)
    return [*found, *alike(*arms, same, [one["slates_differ"] for one in cells])]


def level(cells: Sequence[Facts], lives: Sequence[Live]) -> dict[str, Any]:
    """One level of a meter: the truth over worlds, and every design's estimate beside it."""
    money = {arm: np.array([np.sum(one["revenue"][arm]) for one in cells]) for arm in ("control", "treatment")}
    if min(money["control"].min(), money["treatment"].min()) <= 0:
        raise ValueError("revenue == 0 of an arm in a world, must be positive: longer runs")
    truth = paired_lift(money["control"], money["treatment"])
    best = np.maximum(money["control"], money["treatment"])
    requests = float(np.mean([one["requests"] for one in cells]))
    log_truth = np.log1p(truth.per_world)
    spread = float(spread_of(log_truth, 1.0))
    rows = [
        {
            "design": "twin",
            "share": None,
            "training": "own",
            "estimator": "paired worlds",
            "estimate": truth.rel_effect,
            "ci": [truth.lo, truth.hi],
            "quality": None,
            "sd": spread,
            "cost": {"requests_per_point": _per_point(2 * requests, spread), "forgone": None},
        }
    ]
    for live in lives:
        for variant in VARIANTS:
            found = [_estimate(one, live, variant) for one in cells]
            if all(one is not None for one in found):
                rows.append(_row(live, variant, [one for one in found if one], cells, truth.per_world, best, requests))
    return {
        "bound": float(np.mean([one["bound"] for one in cells])),
        "truth": {
            "rel_effect": truth.rel_effect,
            "ci": [truth.lo, truth.hi],
            "n_worlds": truth.n_worlds,
            "per_world": truth.per_world,
        },
        "rows": rows,
        "srm_alarms": _alarms(cells, lives),
        "looks": [_looked(live, cells, log_truth) for live in lives if "looks" in cells[0]["live"][live.key]],
    }


def _looked(live: Live, cells: Sequence[Facts], truth: Any) -> dict[str, Any]:
    """What looking before the end does to a design of users; the first world's looks for a picture."""
    worlds = [guarded(one["live"][live.key]["looks"], one["requests"]) for one in cells]
    return {
        "design": live.design.name,
        "share": live.design.share,
        "training": live.training,
        **judged(worlds, truth),
        "shown": {"world": cells[0]["world"], "truth": float(truth[0]), **worlds[0]},
    }


def _estimate(facts: Facts, live: Live, variant: str) -> Mapping[str, float | None] | None:
    one = facts["live"][live.key]
    found: Mapping[str, float | None] | None = one["by_day"][-1] if variant == "plain" else one.get(variant)
    return found


def _row(
    live: Live,
    variant: str,
    found: Sequence[Mapping[str, float | None]],
    cells: Sequence[Facts],
    truth: Any,
    best: Any,
    requests: float,
) -> dict[str, Any]:
    """One design: its estimates over worlds, how good they are, what they cost."""
    e, lo, hi = (np.array([_number(one[key]) for one in found]) for key in ("rel_effect", "lo", "hi"))
    judged = quality(e, lo, hi, truth)
    error = np.log1p(e) - np.log1p(truth)
    spread = float(spread_of(error[np.isfinite(error)], 1.0))
    earned = np.array([one["live"][live.key]["revenue"] for one in cells])
    return {
        "design": live.design.name,
        "share": live.design.share,
        "training": live.training,
        "estimator": variant,
        "estimate": float(np.nanmean(e)) if np.isfinite(e).any() else None,
        "ci": None,
        "quality": judged._asdict(),
        "sd": spread,
        "cost": {
            "requests_per_point": _per_point(requests, spread),
            "forgone": float(1 - (earned / best).mean()),
        },
    }


def _per_point(requests: float, spread: float) -> float:
    """Requests for a standard error of one point; NaN where nothing varies: that says nothing of more."""
    return requests * (spread / POINT) ** 2 if spread else float("nan")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _alarms(cells: Sequence[Facts], lives: Sequence[Live]) -> int:
    """Worlds and designs whose split of users does not fit its share: a bug, in a simulator."""
    p = [one["live"][live.key]["srm"] for one in cells for live in lives]
    return sum(value is not None and value < SRM_ALARM for value in p)


__all__ = ["LEARNING", "METERS", "MODEL_FREE", "Plan", "check", "level", "run_lab", "summary", "tasks_of"]
