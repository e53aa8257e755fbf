"""``cs3bench lab`` and what belongs to it: power, sensitivity, replay of one request."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.cli_engine import with_engine

if TYPE_CHECKING:
    from reports.studies.engines import Dask

Command = Callable[..., None]


def _common(scenario: str) -> Callable[[Command], Command]:
    """Options of every study of worlds."""

    def add(command: Command) -> Command:
        options = [
            click.option("--scenario", default=scenario, show_default=True, help="Name, or path of a TOML file."),
            click.option("--small", is_flag=True, help="The scenario's small form: too noisy to decide."),
            click.option("--worlds", type=click.IntRange(2), help="Number of worlds."),
            click.option("--seed", type=click.IntRange(0), help="Seed of the first world; the others follow it."),
            click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]"),
            click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory."),
            click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field."),
            click.option("--quiet", is_flag=True, help="No progress bar."),
        ]
        command = with_engine(command)
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _scenario(scenario: str, small: bool, worlds: int | None, seed: int | None, sets: tuple[str, ...]) -> Any:
    from simulator.scenario import load

    extra = [f"run.worlds={worlds}"] * (worlds is not None) + [f"run.seed={seed}"] * (seed is not None)
    return load(scenario, small=small, sets=[*sets, *extra])


def _command() -> str:
    return shlex.join(["cs3bench", *sys.argv[1:]])


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """``"1,2.5"`` as numbers.

    Raises:
        ValueError: one line naming the option.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{option} {text}: must be numbers, separated by commas") from None


@click.command()
@_common("laboratory")
@click.option("--meter", type=click.Choice(["interference", "contamination"]), help="One of the two.  [default: both]")
@click.option("--control", help="Arm.  [default: the meter's own]")
@click.option("--treatment", help="Arm.  [default: the meter's own]")
@click.option("--design", "designs", multiple=True, help="Live design, again for more.  [default: all]")
@click.option("--tightness", metavar="A,B,...", help="Levels of world.budget_clicks, loosest first.")
@click.option("--shares", metavar="A,B,...", help="The treatment's shares of traffic.")
def lab(
    scenario: str,
    small: bool,
    worlds: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
    meter: str | None,
    control: str | None,
    treatment: str | None,
    designs: tuple[str, ...],
    tightness: str | None,
    shares: str | None,
) -> None:
    """What live designs would have reported, beside the truth: bias, coverage, sign errors, cost.

    An interrupted run resumes when the same command is given again.
    """
    resolved = _scenario(scenario, small, worlds, seed, sets)
    from reports.studies.lab import METERS, Plan, run_lab
    from simulator.designs import LIVE
    from simulator.plugins import nearest

    for name in designs:
        if name not in LIVE:
            raise ValueError(f"--design {name}: must be a live design{nearest(name, LIVE)}")
    given: dict[str, Any] = {"meters": (meter,) if meter else METERS}
    if designs:
        given["designs"] = tuple(dict.fromkeys(designs))
    for key, text in (("tightness", tightness), ("shares", shares)):
        values = numbers(text, f"--{key}")
        if values is not None:
            given[key] = values
    base = Plan(scenario=resolved)
    for one in given["meters"]:
        first, second = getattr(base, one)
        given[one] = (control or first, treatment or second)
    plan = Plan(scenario=resolved, small=small, command=_command(), **given)
    root, _ = run_lab(plan, out, jobs or os.cpu_count() or 1, quiet=quiet, engine=engine)
    draw(root)


def draw(root: Path) -> None:
    """Draw the page of a finished laboratory and print its tables."""
    from reports.lab_page import write_page
    from simulator.experiment import read_json

    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    page = write_page(results, timing, manifest, root)
    click.echo((root / "tables.md").read_text(encoding="utf-8"))
    click.echo(f"page: {page}")


@click.command()
@_common("laboratory")
@click.option("--lift", type=float, default=0.02, show_default=True, help="Relative lift to be found.")
@click.option(
    "--power",
    "wanted",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="Chance of finding it.",
)
@click.option("--control", help="Arm.  [default: the interference meter's]")
@click.option("--treatment", help="Arm.  [default: the interference meter's]")
@click.option("--tightness", type=float, help="world.budget_clicks.  [default: budgets that never bind]")
@click.option("--share", type=float, default=0.5, show_default=True, help="Of traffic, to the treatment.")
def power(
    scenario: str,
    small: bool,
    worlds: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
    lift: float,
    wanted: float,
    control: str | None,
    treatment: str | None,
    tightness: float | None,
    share: float,
) -> None:
    """Days, users and worlds that each design needs to find a lift: the normal formula beside the simulator's answer.

    An interrupted run resumes when the same command is given again.
    """
    resolved = _scenario(scenario, small, worlds, seed, sets)
    from reports.lab_page import write_power_page
    from reports.studies.lab import MODEL_FREE, TIGHTNESS, Plan
    from reports.studies.power import run_power
    from simulator.experiment import read_json

    plan = Plan(
        scenario=resolved,
        meters=("interference",),
        interference=(control or MODEL_FREE[0], treatment or MODEL_FREE[1]),
        tightness=(TIGHTNESS[0] if tightness is None else tightness,),
        shares=(share,),
        small=small,
        command=_command(),
    )
    root, found = run_power(plan, lift, wanted, out, jobs or os.cpu_count() or 1, quiet=quiet, engine=engine)
    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    page = write_power_page(found, results, timing, manifest, root)
    click.echo((root / "tables.md").read_text(encoding="utf-8"))
    click.echo(f"page: {page}")


@click.command()
@_common("quickstart")
@click.option(
    "--dial", required=True, help="feature_noise, drift, label_wait, sync, budget_tightness, cross_share or k."
)
@click.option("--values", metavar="A,B,...", help="Levels, mildest first.  [default: the dial's own]")
@click.option("--control", default="dssm", show_default=True, help="Arm.")
@click.option("--treatment", default="dssm+cs3", show_default=True, help="Arm.")
def sensitivity(
    scenario: str,
    small: bool,
    worlds: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
    dial: str,
    values: str | None,
    control: str,
    treatment: str,
) -> None:
    """The lift of an arm over the range of one dial, and where it ends: twin worlds at every level.

    An interrupted study resumes when the same command is given again.
    """
    from reports.studies.sensitivity import DIALS, Plan, run_sensitivity
    from simulator.plugins import nearest

    if dial not in DIALS:
        raise ValueError(f"--dial {dial}: must be one that is known{nearest(dial, DIALS)}")
    extra = [f"run.worlds={worlds}"] * (worlds is not None) + [f"run.seed={seed}"] * (seed is not None)
    plan = Plan(
        scenario=scenario,
        dial=dial,
        values=numbers(values, "--values") or DIALS[dial].values,
        control=control,
        treatment=treatment,
        small=small,
        sets=(*sets, *extra),
        command=_command(),
    )
    root, _ = run_sensitivity(plan, out, jobs or os.cpu_count() or 1, quiet=quiet, engine=engine)
    draw_sensitivity(root)


def draw_sensitivity(root: Path) -> None:
    """Draw the page of a finished sensitivity study and print its tables."""
    from reports.lab_page import write_sensitivity_page
    from simulator.experiment import read_json

    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    page = write_sensitivity_page(results, timing, manifest, root)
    click.echo((root / "tables.md").read_text(encoding="utf-8"))
    click.echo(f"page: {page}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--request", type=click.IntRange(0), required=True, help="Its id; ids run from 0 over a world's days.")
@click.option("--world", type=click.IntRange(0), help="Seed of the world.  [default: the run's first]")
@click.option("--arm", "arms", multiple=True, help="Arm of an arena, again for more.  [default: the first two]")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def replay(run: Path, request: int, world: int | None, arms: tuple[str, ...], as_json: bool) -> None:
    """Why did this ad win: all stages of one request of a finished ab or arena run, both arms side by side.

    The world is lived again up to the request, so this takes as long as the arms took to get there.
    """
    import json

    if not run.is_dir():
        raise ValueError(f"{run}: not a run directory")
    from reports.studies.why import lines, why
    from simulator.experiment import plain

    found = why(run, request, world, arms)
    click.echo(json.dumps(plain(found), indent=1) if as_json else "\n".join(lines(found)))
