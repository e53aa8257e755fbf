"""What studies of twin worlds have in common: which cells run when, what they left, and their trained arms again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.studies.arms import make_ranker, make_retriever, parse
from reports.studies.machine.engines import Dask
from reports.studies.machine.states import load_state
from reports.studies.machine.workers import compute_all
from reports.studies.market.cells import A_A, ARM_STATE, BURN_IN, Task, compute, ticks
from simulator.experiment import Cell, RunDirectory, read_json
from simulator.plugins import Ranker, Retriever
from simulator.scenario import Scenario
from simulator.seal import check
from simulator.world import World


def compute_missing(
    run: RunDirectory,
    scenario: Scenario,
    tasks: Mapping[Cell, Task],
    *,
    jobs: int,
    quiet: bool,
    engine: Dask | None = None,
) -> None:
    """Compute the cells that are not there yet, every arm after the burn-in of its world.

    Args:
        run: where they are left.
        scenario: the resolved configuration.
        tasks: every cell of the study, in order.
        jobs: worker processes.
        quiet: no progress bar.
        engine: compute them there instead of on this machine.

    Raises:
        ValueError: one line, naming a damaged file of a finished cell and what to do.
    """
    missing = run.missing(tasks)
    # A burn-in whose work files are gone is made again if an arm still needs them.
    for cell in (cell for cell in tasks if cell.name == BURN_IN):
        needed = any(c.world == cell.world and c.name not in (BURN_IN, A_A) for c in missing)
        if needed and cell not in missing:
            if run.kept(cell):
                check(run.work(cell))
            else:
                missing.insert(0, cell)
    compute_all(
        run,
        {cell: (tasks[cell], len(tasks)) for cell in missing},
        compute,
        cells=len(tasks),
        ticks=sum(ticks(scenario, cell) for cell in missing),
        jobs=jobs,
        label="simulating",
        quiet=quiet,
        split=_split,
        engine=engine,
    )


def _split(cells: Sequence[Cell], missing: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Cells that may start now, and those whose world's burn-in is still to be made."""
    waiting = {c.world for c in missing if c.name == BURN_IN}
    free = [c for c in cells if c.name in (BURN_IN, A_A) or c.world not in waiting]
    return free, [c for c in cells if c not in free]


def facts_of(run: RunDirectory, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """What finished cells found.

    Raises:
        ValueError: one line, naming a damaged cell and what to do.
    """
    found = []
    for cell in cells:
        try:
            found.append(read_json(run.cell(cell) / "cell.json"))
        except ValueError as error:
            raise ValueError(f"{error}; remove {run.cell(cell)} to compute it again") from error
    return found


def trained(
    run: RunDirectory, world: World, cells: Sequence[Cell], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Retriever, Ranker]]:
    """Retriever and ranker of each cell with their trained, warm state; an arm that left no state is not there."""
    arms = {}
    for cell in cells:
        path = run.work(cell) / ARM_STATE
        if not path.exists():
            continue
        parts, state = parse(cell.name), load_state(path, run.cell(cell))
        retriever = make_retriever(parts, world.catalog, cell.world, settings.get(cell.name, {}), {})
        ranker = make_ranker(parts, world.catalog, cell.world, {})
        retriever.restore(state["retriever"])  # type: ignore[attr-defined]
        ranker.restore(state["ranker"])  # type: ignore[attr-defined]
        arms[cell.name] = (retriever, ranker)
    return arms
