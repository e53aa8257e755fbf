"""``cs3bench ab``: two arms in twin worlds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.commands.options import draw, resolved, study, typed, workers

if TYPE_CHECKING:
    from reports.studies.machine.engines import Dask


@click.command()
@study("quickstart")
@click.option("--control", default="dssm", show_default=True, help="Arm: backbone+modifier+...@ranker.")
@click.option("--treatment", default="dssm+cs3", show_default=True, help="Arm that is compared with it.")
def ab(
    scenario: str,
    control: str,
    treatment: str,
    small: bool,
    worlds: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
) -> None:
    """Compare two arms by the true effect: the whole market twice, once per arm, with common luck.

    An interrupted run resumes when the same command is given again.
    """
    from reports.studies import names

    names.check(control, treatment)
    named = resolved(scenario, small, worlds, seed, sets)
    from reports.studies.ab.study import Plan, run_ab

    plan = Plan(scenario=named, control=control, treatment=treatment, small=small, command=typed())
    root, _ = run_ab(plan, out, workers(jobs), quiet=quiet, engine=engine)
    draw(root)
