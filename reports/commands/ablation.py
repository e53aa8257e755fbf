"""``cs3bench ablation``: which part of CS3 earns money, in which market."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.commands.options import draw, resolved, study, typed, workers

if TYPE_CHECKING:
    from reports.studies.machine.engines import Dask


@click.command()
@click.option("--scenario", "scenarios", multiple=True, help="Name or TOML file, again for more.  [default: eight]")
@study(None)
@click.option("--choosing", type=click.IntRange(0), default=2, show_default=True, help="Worlds that choose the best.")
@click.option(
    "--settings",
    type=click.Choice(["shared", "own"]),
    default="shared",
    show_default=True,
    help="The base's settings for all cells, or each cell's own from its search.",
)
def ablation(
    scenarios: tuple[str, ...],
    small: bool,
    worlds: int | None,
    seed: int | None,
    choosing: int,
    settings: str,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
) -> None:
    """All eight on/off cells of CAS, CTS and CMS in every scenario, the best one chosen on other worlds.

    An interrupted run resumes when the same command is given again.
    """
    named = [resolved(name, small, worlds, seed, sets) for name in dict.fromkeys(scenarios)]
    from reports.studies.ablation.study import SCENARIOS, Plan, run_ablation

    plan = Plan(
        scenarios=tuple(named or (resolved(name, small, worlds, seed, sets) for name in SCENARIOS)),
        choosing=choosing,
        settings=settings,  # type: ignore[arg-type]  # click has checked it
        small=small,
        command=typed(),
    )
    root, _ = run_ablation(plan, out, workers(jobs), quiet=quiet, engine=engine)
    draw(root)
