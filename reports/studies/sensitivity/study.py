"""Question: over which range of a dial does an arm earn more, and where does it stop?

``cs3bench sensitivity --dial X`` runs the twin cells of ``ab`` at every level of one dial, with the same seeds: a lift
with its interval per level, and the level at which it would be 0, by linear interpolation. For K also: with how many
candidates the treatment earns what the control earns at the scenario's K.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reports.numbers.untested import untested, why
from reports.studies.arms import parse
from reports.studies.machine.engines import Dask
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.workers import one_thread
from reports.studies.market.cells import BURN_IN, Task
from reports.studies.market.evaluation import equal_revenue_k
from reports.studies.market.learning import curve
from reports.studies.market.slates import differing, shown
from reports.studies.market.summary import Facts, compare
from reports.studies.market.twins import compute_missing, facts_of
from reports.studies.sensitivity.dials import DIALS, WHOLE
from reports.studies.sensitivity.levels import apart
from simulator.experiment import Cell, RunDirectory, digest
from simulator.feasible import check_worlds, worlds_of
from simulator.names import readable
from simulator.plugins import nearest
from simulator.scenario import Scenario, load


class Level(NamedTuple):
    """What one level of a dial found: facts of both arms, a row per world, and shares of requests with other slates."""

    control: Sequence[Facts]
    treatment: Sequence[Facts]
    differ: Sequence[float] | None = None


MEASURES = ("revenue", "expected_revenue")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sensitivity study.

    Attributes:
        scenario: name or path; small: its small form; sets: overrides, all as of ``simulator.scenario.load``.
        dial: one of ``DIALS``. values: its levels.
        control, treatment: arms by spelling.
        command: what was typed, for the record.
    """

    scenario: str
    dial: str
    values: tuple[float, ...]
    control: str = "dssm"
    treatment: str = "dssm+cs3"
    small: bool = False
    sets: tuple[str, ...] = ()
    command: str = "cs3bench sensitivity"

    def base(self) -> Scenario:
        """The scenario with the dial where it stands."""
        return load(self.scenario, small=self.small, sets=self.sets)

    def at(self, level: float) -> Scenario:
        """The scenario with the dial at a level."""
        dial = DIALS[self.dial]
        value = dial.value(level)
        text = f"{int(value)}" if self.dial in WHOLE else f"{float(value)!r}"
        return load(self.scenario, small=self.small, sets=[*self.sets, f"{dial.key}={text}"])

    @property
    def seeds(self) -> range:
        """The worlds."""
        return worlds_of(self.base())

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "kind": "sensitivity",
            "dial": self.dial,
            "values": list(self.values),
            "control": self.control,
            "treatment": self.treatment,
            "config": self.base().model_dump(mode="json"),
            **made_by(),
        }

    def default_out(self) -> Path:
        """``runs/sensitivity-DIAL-SCENARIO-DIGEST``: the same command resumes the same directory."""
        return Path("runs") / f"sensitivity-{self.dial}-{readable(self.base().name)}-{digest(self.identity())}"


def check(plan: Plan) -> dict[float, Scenario]:
    """Every level's scenario, or one line about what cannot run, before anything does."""
    if plan.dial not in DIALS:
        raise ValueError(f"dial == '{plan.dial}', must be one that is known{nearest(plan.dial, DIALS)}")
    if not all(np.isfinite(plan.values)):
        raise ValueError(f"values == {list(plan.values)}, must be finite numbers")
    apart("values", plan.values)
    places = [DIALS[plan.dial].x(level) for level in plan.values]
    if len(places) < 2 or not (np.diff(places) > 0).all():
        raise ValueError(f"values == {list(plan.values)}, must be two or more levels, mildest first")
    if plan.dial in WHOLE and any(level != int(level) for level in plan.values):
        raise ValueError(f"values == {list(plan.values)}, must be whole numbers for {plan.dial}")
    for spelling in (plan.control, plan.treatment):
        parse(spelling)
    if plan.control == plan.treatment:
        raise ValueError(f"treatment == '{plan.treatment}', must differ from the control")
    levels = {level: plan.at(level) for level in plan.values}
    for scenario in levels.values():
        check_worlds(scenario, plan.seeds)
    return levels


def run_sensitivity(
    plan: Plan, out: Path | None, jobs: int, *, quiet: bool = False, engine: Dask | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run or resume a sensitivity study; the run directory and the content of its ``results.json``.

    Raises:
        ValueError: one line, for anything the caller can mend.
    """
    levels = check(plan)
    root = out or plan.default_out()
    cells = sum(len(cells_of(plan, scenario)) for scenario in levels.values())
    more: dict[str, Any] = {"cells": cells, "arms": (plan.control, plan.treatment), "small": plan.small}

    def answer(_: RunDirectory) -> Answer:
        found = [
            _level(plan, scenario, root / "levels" / f"{level:g}", jobs, quiet, engine)
            for level, scenario in levels.items()
        ]
        return Answer(summary(plan, list(levels.values()), found), lambda: {"jobs": jobs})

    return root, run_or_resume(root, manifest(plan.identity(), command=plan.command, seeds=plan.seeds, **more), answer)


def cells_of(plan: Plan, scenario: Scenario) -> list[Cell]:
    """The cells of one level: burn-ins, then both arms in every world."""
    days, seeds = scenario.run.days, worlds_of(scenario)
    arms = [Cell(world=w, name=arm, days=days) for arm in (plan.control, plan.treatment) for w in seeds]
    return [*(Cell(world=w, name=BURN_IN) for w in seeds), *arms]


def _level(plan: Plan, scenario: Scenario, root: Path, jobs: int, quiet: bool, engine: Dask | None) -> Level:
    """Both arms in every world at one level."""
    identity = {"kind": "level", "arms": [plan.control, plan.treatment], "config": scenario.model_dump(mode="json")}
    identity |= made_by()
    root.parent.mkdir(parents=True, exist_ok=True)
    cells = cells_of(plan, scenario)
    more: dict[str, Any] = {"cells": len(cells), "arms": (plan.control, plan.treatment)}
    with RunDirectory.alone(root, manifest(identity, command=plan.command, seeds=worlds_of(scenario), **more)) as run:
        tasks = {
            cell: Task(cell=cell, scenario=scenario, root=str(root.absolute()), identity=identity, index=i, full=False)
            for i, cell in enumerate(cells)
        }
        compute_missing(run, scenario, tasks, jobs=jobs, quiet=quiet, engine=engine)
        run.finish()
        a, b = ([cell for cell in cells if cell.name == arm] for arm in (plan.control, plan.treatment))
        differ = [differing(shown(run, one), shown(run, other)) for one, other in zip(a, b, strict=True)]
        return Level(facts_of(run, a), facts_of(run, b), differ)


# --- after the cells -----------------------------------------------------------------------------------------------


@one_thread()
def summary(plan: Plan, scenarios: Sequence[Scenario], found: Sequence[Level]) -> dict[str, Any]:
    """The whole of ``results.json``."""
    base, dial = plan.base(), DIALS[plan.dial]
    x = [dial.x(level) for level in plan.values]
    levels: list[dict[str, Any]] = []
    lights: list[dict[str, Any]] = []
    for level, place, scenario, (control, treatment, differ) in zip(plan.values, x, scenarios, found, strict=True):
        rows = compare(scenario, control, treatment)
        nothing = untested(plan.control, plan.treatment, {"control": control, "treatment": treatment}, differ)
        lights += [light._asdict() | {"name": f"{light.name}, at {level:g}"} for light in nothing]
        bound = [day["bound_spend"] for one in control for day in one["days"]]
        spend = [day["revenue"] for one in control for day in one["days"]]
        levels.append(
            {"level": level, "x": place, "bound": float(np.sum(bound) / max(np.sum(spend), 1e-12))}
            | {"untested": why(nothing), "slates_differ": differ}
            | {key: rows[key] for key in MEASURES}
        )
    out: dict[str, Any] = {
        "schema": 1,
        "kind": "sensitivity",
        "scenario": base.name,
        "small": plan.small,
        "dial": plan.dial,
        "field": dial.key,
        "what": dial.what,
        "control": plan.control,
        "treatment": plan.treatment,
        "worlds": list(range(base.run.seed, base.run.seed + base.run.worlds)),
        "days": {"burn_in": base.run.burn_in, "test": base.run.days},
        "levels": levels,
        "break_even": {key: _break_even(levels, key) for key in MEASURES},
        "lights": lights,
    }
    if plan.dial == "k":
        out["saved"] = saved(plan.values, base.cascade.candidates, found)
    return out


def _break_even(levels: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """``break_even`` over the levels that tested something."""
    tested = [one for one in levels if not one["untested"]]
    if len(tested) < 2:
        return {"x": None, "reason": f"{len(tested)} of {len(levels)} levels tested anything"}
    return break_even([one["x"] for one in tested], [one[key]["rel_effect"] for one in tested])


def break_even(x: Sequence[float], lift: Sequence[float | None]) -> dict[str, Any]:
    """Where the lift first crosses 0, linear between levels.

    Args:
        x: places of the levels, rising.
        lift: at each of them; None where there is none.

    Returns:
        ``x``, or None with the reason.
    """
    if any(value is None for value in lift):
        return {"x": None, "reason": "a level has no lift: an arm sold nothing"}
    y = np.array(lift, dtype=np.float64)
    if (y == 0).any():
        return {"x": float(x[int(np.argmax(y == 0))]), "reason": ""}
    if (y > 0).all() or (y < 0).all():
        return {"x": None, "reason": f"the lift is {'above' if y[0] > 0 else 'below'} 0 at every level"}
    i = int(np.argmax(np.sign(y[1:]) != np.sign(y[:-1])))
    return {"x": float(x[i] + (x[i + 1] - x[i]) * y[i] / (y[i] - y[i + 1])), "reason": ""}


def saved(values: Sequence[float], k: int, found: Sequence[Level]) -> dict[str, Any]:
    """Candidates with which the treatment earns what the control earns at the scenario's K, with a t interval."""
    if not values[0] <= k <= values[-1]:
        return {"k": k, "equal_revenue_k": None, "reason": f"K = {k} lies outside the levels"}
    money = [[[sum(day["revenue"] for day in one["days"]) for one in arm] for arm in pair[:2]] for pair in found]
    revenue = np.array(money)  # [levels, arm, W]
    grid = [int(value) for value in values]
    each = [
        equal_revenue_k(grid, revenue[:, 1, w].tolist(), float(np.interp(k, grid, revenue[:, 0, w])))
        for w in range(revenue.shape[2])
    ]
    if not np.isfinite(each).all():
        short = int((~np.isfinite(each)).sum())
        return {"k": k, "equal_revenue_k": None, "reason": f"not reached at any level in {short} of {len(each)} worlds"}
    c = curve(np.array(each)[:, None])
    return {"k": k, "equal_revenue_k": float(c["mean"][0]), "ci": [float(c["lo"][0]), float(c["hi"][0])], "reason": ""}
