"""``cs3bench ab``: does the treatment earn more than the control? The true effect, by twin worlds.

1 burn-in of every world, 2 both arms in every world, 3 the ladder and the A/A light, 4 summary, 5 latency, 6 page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reports.numbers.verdict import rule
from reports.records.spelling import Spelling
from reports.studies.arms import ORACLE, parse
from reports.studies.machine.engines import Dask
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.workers import one_thread
from reports.studies.market.cells import A_A, BURN_IN, Task
from reports.studies.market.evaluation import k_grid
from reports.studies.market.slates import differing, shown
from reports.studies.market.summary import summarise
from reports.studies.market.twins import compute_missing, facts_of, trained
from simulator.experiment import Cell, RunDirectory, digest
from simulator.feasible import check, check_worlds, worlds_of
from simulator.names import readable
from simulator.scenario import Scenario
from simulator.world import build

BARE, COUNTERS = "dssm-bare", "dssm"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An A/B study.

    Attributes:
        scenario: the resolved configuration.
        control, treatment: arms by spelling.
        small: whether the scenario's small form was asked for.
        command: what was typed, for the record.
    """

    scenario: Scenario
    control: str
    treatment: str
    small: bool
    command: str

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run."""
        return {
            "kind": "ab",
            "control": self.control,
            "treatment": self.treatment,
            "config": self.scenario.model_dump(mode="json"),
            **made_by(),
        }

    def default_out(self) -> Path:
        """``runs/ab-SCENARIO-DIGEST``: the same command resumes the same directory."""
        return (
            Path("runs")
            / f"ab-{readable(self.scenario.name)}{'-small' if self.small else ''}-{digest(self.identity())}"
        )


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells of a study: burn-ins, both arms, the ladder's extra arm, the A/A light."""

    burn_in: list[Cell]
    control: list[Cell]
    treatment: list[Cell]
    bare: list[Cell]
    a_a: Cell | None

    def all(self) -> list[Cell]:
        """Burn-ins first."""
        return [*self.burn_in, *self.control, *self.treatment, *self.bare, *([self.a_a] if self.a_a else [])]


def cells_of(plan: Plan) -> Cells:
    """The cells that a plan needs."""
    run = plan.scenario.run
    seeds = worlds_of(plan.scenario)
    # An A/A run computes both sides: the second one is a cell of its own.
    again = "again" if plan.control == plan.treatment else ""
    control, treatment = Spelling.of(plan.control), Spelling.of(plan.treatment)
    climbs = control.plain == treatment.base.text == COUNTERS and bool(treatment.extras)
    few = min(run.ladder_worlds, run.worlds) if climbs else 0
    days = min(run.ladder_days, run.days)
    checked = ORACLE not in (control.backbone, treatment.backbone)
    return Cells(
        burn_in=[Cell(world=w, name=BURN_IN) for w in seeds],
        control=[Cell(world=w, name=plan.control, days=run.days) for w in seeds],
        treatment=[Cell(world=w, name=plan.treatment, days=run.days, variant=again) for w in seeds],
        bare=[Cell(world=w, name=BARE, days=days, variant="ladder") for w in list(seeds)[:few]],
        a_a=Cell(world=run.seed, name=A_A, days=1, variant=plan.control) if checked else None,
    )


def run_ab(
    plan: Plan, out: Path | None, jobs: int, *, quiet: bool = False, engine: Dask | None = None
) -> tuple[Path, dict[str, Any]]:
    """Run or resume a study.

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
    for spelling in (plan.control, plan.treatment):
        parse(spelling)
    check(plan.scenario)
    check_worlds(plan.scenario, worlds_of(plan.scenario))
    root = out or plan.default_out()
    cells = cells_of(plan)

    def answer(run: RunDirectory) -> Answer:
        begin = time.perf_counter()
        compute_missing(run, plan.scenario, _tasks(plan, run, cells), jobs=jobs, quiet=quiet, engine=engine)

        def clock() -> dict[str, Any]:
            from reports.studies.serving.latency import machine

            timing = {"latency": _latency(plan, run, cells), "wall_seconds": {"total": time.perf_counter() - begin}}
            return timing | {"machine": machine(), "jobs": jobs}

        return Answer(_summary(plan, run, cells), clock)

    return root, run_or_resume(root, manifest_of(plan), answer)


def manifest_of(plan: Plan) -> dict[str, Any]:
    """What the run is: identity, and the rule of the verdict as fixed before the run."""
    seeds, arms, cells = worlds_of(plan.scenario), (plan.control, plan.treatment), len(cells_of(plan).all())
    more: dict[str, Any] = {"small": plan.small, "rule": rule()}
    return manifest(plan.identity(), command=plan.command, seeds=seeds, cells=cells, arms=arms, **more)


# --- cells ---------------------------------------------------------------------------------------------------------


def _tasks(plan: Plan, run: RunDirectory, cells: Cells) -> dict[Cell, Task]:
    first = {*cells.control[:1], *cells.treatment[:1]}
    return {
        cell: Task(
            cell=cell,
            scenario=plan.scenario,
            root=str(run.root.absolute()),
            identity=plan.identity(),
            index=i,
            keep_state=cell in first,
            full=cell.variant != "ladder",
            with_references=cell in cells.control,
        )
        for i, cell in enumerate(cells.all())
    }


# --- after the cells -----------------------------------------------------------------------------------------------


@one_thread()
def _summary(plan: Plan, run: RunDirectory, cells: Cells) -> dict[str, Any]:
    control, treatment = facts_of(run, cells.control), facts_of(run, cells.treatment)
    few = len(cells.bare)
    bare = {BARE: facts_of(run, cells.bare)}
    rungs = bare | {plan.control: control[:few], plan.treatment: treatment[:few]} if few else None
    a_a = facts_of(run, [cells.a_a])[0] if cells.a_a else None
    arms = {"control": control, "treatment": treatment}
    differ = [differing(shown(run, a), shown(run, b)) for a, b in zip(cells.control, cells.treatment, strict=True)]
    burn_in = facts_of(run, cells.burn_in)
    results = summarise(plan.scenario, plan.control, plan.treatment, arms, burn_in, rungs, a_a, differ)
    return results | {"small": plan.small, "ranker": parse(plan.control).ranker}


def _latency(plan: Plan, run: RunDirectory, cells: Cells) -> dict[str, Any]:
    """Time both arms of the first world with their trained, warm state; an arm without state is not timed."""
    from reports.studies.serving.latency import measure

    s = plan.scenario
    world = build(s.world, s.run.seed, s.all_days)
    both = dict.fromkeys([cells.control[0], replace(cells.treatment[0], variant="")])
    arms = trained(run, world, list(both), {})
    return measure(s, world, arms, k_grid(s.cascade.candidates, s.world.ads)) if arms else {}
