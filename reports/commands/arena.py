"""``cs3bench arena``: every rival in the same worlds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.commands.options import draw, resolved, study, typed, workers

if TYPE_CHECKING:
    from reports.studies.machine.engines import Dask


@click.command()
@study("quickstart")
@click.option("--arm", "arms", multiple=True, help="Rival, again for more; dssm is always there.  [default: all]")
def arena(
    scenario: str,
    arms: tuple[str, ...],
    small: bool,
    worlds: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
) -> None:
    """Compare all rivals in the same worlds: money, recall, what they cost, and what is left at equal latency.

    An interrupted run resumes when the same command is given again.
    """
    from reports.studies import names

    names.check(*arms)
    named = resolved(scenario, small, worlds, seed, sets)
    from reports.studies.arena.study import ARMS, REFERENCE, Plan, run_arena

    chosen = tuple(dict.fromkeys((REFERENCE, *arms))) if arms else ARMS
    plan = Plan(scenario=named, arms=chosen, small=small, command=typed())
    root, _ = run_arena(plan, out, workers(jobs), quiet=quiet, engine=engine)
    draw(root)
