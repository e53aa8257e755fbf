"""``cs3bench arena``: every rival in the same worlds."""

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
@click.option("--scenario", default="quickstart", show_default=True, help="Name, or path of a TOML file.")
@click.option("--arm", "arms", multiple=True, help="Rival, again for more; dssm is always there.  [default: all]")
@click.option("--small", is_flag=True, help="The scenario's small form: minutes, too noisy to decide.")
@click.option("--worlds", type=click.IntRange(1), help="Number of twin worlds.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the first world; the others follow it.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/...]")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field of the scenario.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@with_engine
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
    from simulator.scenario import load

    extra = [f"run.worlds={worlds}"] * (worlds is not None) + [f"run.seed={seed}"] * (seed is not None)
    resolved = load(scenario, small=small, sets=[*sets, *extra])
    from reports.studies.arena import ARMS, REFERENCE, Plan, run_arena

    chosen = tuple(dict.fromkeys((REFERENCE, *arms))) if arms else ARMS
    command = shlex.join(["cs3bench", *sys.argv[1:]])
    plan = Plan(scenario=resolved, arms=chosen, small=small, command=command)
    root, _ = run_arena(plan, out, jobs or os.cpu_count() or 1, quiet=quiet, engine=engine)
    draw(root)


def draw(root: Path) -> None:
    """Draw the page of a finished run and print its tables."""
    from reports.arena_page import write_page
    from simulator.experiment import read_json

    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    page = write_page(results, timing, manifest, root)
    click.echo((root / "tables.md").read_text(encoding="utf-8"))
    click.echo(f"page: {page}")
