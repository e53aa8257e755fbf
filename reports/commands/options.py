"""What the commands of studies share: options, the scenario that they resolve to, what was typed, what they print."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.commands.engine import with_engine
from reports.commands.resume import resumable
from reports.drawing.terminal import echo

if TYPE_CHECKING:
    from simulator.scenario import Scenario

Command = Callable[..., None]


def study(scenario: str | None, *, worlds: int = 1) -> Callable[[Command], Command]:
    """Options of every study of worlds, its engine among them.

    Args:
        scenario: the default; None for a command that has an option of its own.
        worlds: the least number of them.
    """

    def add(command: Command) -> Command:
        options = [
            click.option("--small", is_flag=True, help="The scenario's small form: too noisy to decide."),
            click.option("--worlds", type=click.IntRange(worlds), help="Number of worlds."),
            click.option("--seed", type=click.IntRange(0), help="Seed of the first world; the others follow it."),
            click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]"),
            click.option(
                "--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/...]"
            ),
            click.option(
                "--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field of the scenario."
            ),
            click.option("--quiet", is_flag=True, help="No progress bar."),
        ]
        if scenario is not None:
            named = "Name, or path of a TOML file."
            options.insert(0, click.option("--scenario", default=scenario, show_default=True, help=named))
        command = resumable(with_engine(command))
        for option in reversed(options):
            command = option(command)
        return command

    return add


def overridden(worlds: int | None, seed: int | None, sets: tuple[str, ...]) -> tuple[str, ...]:
    """``sets`` with the worlds and the seed that were asked for."""
    extra = [f"run.worlds={worlds}"] * (worlds is not None) + [f"run.seed={seed}"] * (seed is not None)
    return (*sets, *extra)


def resolved(scenario: str, small: bool, worlds: int | None, seed: int | None, sets: tuple[str, ...]) -> Scenario:
    """The scenario that the options name.

    Raises:
        ValueError: one line, for one that is unknown or not feasible.
    """
    from simulator.scenario import load

    return load(scenario, small=small, sets=overridden(worlds, seed, sets))


def workers(jobs: int | None) -> int:
    """Worker processes: all cores if nobody says."""
    return jobs or os.cpu_count() or 1


def typed() -> str:
    """What was typed, for the record; bytes that are no text are spelled."""
    return shlex.join(["cs3bench", *sys.argv[1:]]).encode("utf-8", "backslashreplace").decode("utf-8")


def draw(root: Path) -> None:
    """Draw the page of a finished run, print what its kind tells a terminal and where the page is.

    Args:
        root: the run directory.

    Raises:
        ValueError: one line, if it is no finished run, is damaged, or of a kind that has no page.
    """
    from reports.runs.load import load_run

    run = load_run(root)
    page = run.draw()
    if text := run.text:
        echo(text)
    echo(f"page: {page}")


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """``"1,2.5"`` as numbers.

    Raises:
        ValueError: one line naming the option.
    """
    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} {text}: must be numbers, separated by commas") from None
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{option} {text}: must be finite numbers")
    return found
