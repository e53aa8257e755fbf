"""``cs3bench ablation``: which part of CS3 earns money, in which market."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.cli_engine import with_engine

if TYPE_CHECKING:
    from reports.studies.engines import Dask


@click.command()
@click.option("--scenario", "scenarios", multiple=True, help="Name or TOML file, again for more.  [default: eight]")
@click.option("--small", is_flag=True, help="The scenarios' small form: too noisy to decide.")
@click.option("--worlds", type=click.IntRange(1), help="Number of fresh worlds, on which all is reported.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the first fresh world; the others follow it.")
@click.option("--choosing", type=click.IntRange(0), default=2, show_default=True, help="Worlds that choose the best.")
@click.option("--settings", type=click.Choice(["shared", "own"]), default="shared", show_default=True,
              help="The base's settings for all cells, or each cell's own from its search.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/...]")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field of every scenario.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@with_engine
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
    from simulator.scenario import load

    extra = [f"run.worlds={worlds}"] * (worlds is not None) + [f"run.seed={seed}"] * (seed is not None)
    from reports.studies.ablation import SCENARIOS, Plan, run_ablation

    chosen = tuple(dict.fromkeys(scenarios)) or SCENARIOS
    plan = Plan(
        scenarios=tuple(load(name, small=small, sets=[*sets, *extra]) for name in chosen),
        choosing=choosing,
        settings=settings,  # type: ignore[arg-type]  # click has checked it
        small=small,
        command=shlex.join(["cs3bench", *sys.argv[1:]]),
    )
    root, _ = run_ablation(plan, out, jobs or os.cpu_count() or 1, quiet=quiet, engine=engine)
    draw(root)


def draw(root: Path) -> None:
    """Draw the page of a finished run and print its tables."""
    from reports.ablation_page import write_page
    from simulator.experiment import read_json

    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    page = write_page(results, timing, manifest, root)
    click.echo((root / "tables.md").read_text(encoding="utf-8"))
    click.echo(f"page: {page}")
