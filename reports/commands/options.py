"""What the commands of studies share: options, the scenario that they resolve to, what was typed, what they print."""

from __future__ import annotations

import functools
import inspect
import math
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.commands.engine import with_engine
from reports.drawing.terminal import echo

if TYPE_CHECKING:
    from reports.runs.load import Run
    from reports.studies.machine.engines import Dask
    from simulator.scenario import Scenario

Command = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What every study is told besides its question; a command that does not offer one of them has its default.

    Attributes:
        small: the scenario's small form.
        worlds: how many; None for the scenario's own.
        seed: of the first world; None for the scenario's own.
        jobs: worker processes; None for all cores.
        out: run directory; None for the study's own.
        sets: fields of the scenario, ``section.key=value``.
        quiet: no progress bar.
        engine: where cells are computed; None for this machine.
        fresh: make the cells of a run that is there anew.
        other_kernels: go on with a run that another processor's kernels began.
    """

    small: bool = False
    worlds: int | None = None
    seed: int | None = None
    jobs: int | None = None
    out: Path | None = None
    sets: tuple[str, ...] = ()
    quiet: bool = False
    engine: Dask | None = None
    fresh: bool = False
    other_kernels: bool = False

    @property
    def workers(self) -> int:
        """Worker processes: all cores if nobody says."""
        return self.jobs or os.cpu_count() or 1

    @property
    def overrides(self) -> tuple[str, ...]:
        """``sets`` with the worlds and the seed that were asked for."""
        told = (("worlds", self.worlds), ("seed", self.seed))
        return (*self.sets, *(f"run.{key}={value}" for key, value in told if value is not None))

    def scenario(self, name: str) -> Scenario:
        """The scenario of this name, as the options make it.

        Raises:
            ValueError: one line, for one that is unknown or not feasible.
        """
        from simulator.scenario import load

        return load(name, small=self.small, sets=self.overrides)


def handed(command: Command) -> Command:
    """Hand a command its shared options as one :class:`StudyOptions`, first; those that it names itself it gets apart.

    It runs under what the options allow with a run that is there.
    """
    own = inspect.signature(command).parameters
    shared = [field.name for field in fields(StudyOptions) if field.name not in own]

    @functools.wraps(command)
    def asked(**options: Any) -> None:
        from simulator.same_run import resuming

        given = StudyOptions(**{name: options.pop(name) for name in shared if name in options})
        with resuming(fresh=given.fresh, other_kernels=given.other_kernels):
            command(given, **options)

    return asked


def resumable(command: Command) -> Command:
    """``--fresh`` and ``--other-kernels``, the same for every study; the command is :func:`handed` its options."""
    return _with_resuming(handed(command))


def _with_resuming(command: Command) -> Command:
    anew = click.option("--fresh", is_flag=True, help="Make the cells of a run that is there anew.")
    others = click.option(
        "--other-kernels", is_flag=True, help="Go on with a run that another processor's kernels began."
    )
    return anew(others(command))


def study(scenario: str | None, *, worlds: int = 1) -> Callable[[Command], Command]:
    """Options of every study of worlds, its engine among them; the command is :func:`handed` them.

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
        command = _with_resuming(with_engine(handed(command)))
        for option in reversed(options):
            command = option(command)
        return command

    return add


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
    _tell(run)
    echo(f"page: {page}")


def tell(root: Path) -> None:
    """Print what a run's kind tells a terminal, of a run whose page is drawn.

    Args:
        root: the run directory.
    """
    from reports.runs.load import load_run

    _tell(load_run(root))


def _tell(run: Run) -> None:
    if text := run.text:
        echo(text)


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
