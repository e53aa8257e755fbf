"""``cs3bench lab`` and what belongs to it: power, sensitivity, replay of one request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.commands.options import StudyOptions, draw, numbers, study, typed
from reports.drawing.terminal import echo


@click.command()
@study("laboratory", worlds=2)
@click.option("--meter", type=click.Choice(["interference", "contamination"]), help="One of the two.  [default: both]")
@click.option("--control", help="Arm.  [default: the meter's own]")
@click.option("--treatment", help="Arm.  [default: the meter's own]")
@click.option("--design", "designs", multiple=True, help="Live design, again for more.  [default: all]")
@click.option("--tightness", metavar="A,B,...", help="Levels of world.budget_clicks, loosest first.")
@click.option("--shares", metavar="A,B,...", help="The treatment's shares of traffic.")
def lab(
    asked: StudyOptions,
    scenario: str,
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
    from reports.studies import names
    from simulator.designs import LIVE
    from simulator.plugins import nearest

    for name in designs:
        if name not in LIVE:
            raise ValueError(f"--design {name}: must be a live design{nearest(name, LIVE)}")
    names.check(*filter(None, (control, treatment)))
    named = asked.scenario(scenario)
    from reports.studies.lab.study import METERS, Plan, run_lab

    given: dict[str, Any] = {"meters": (meter,) if meter else METERS}
    if designs:
        given["designs"] = tuple(dict.fromkeys(designs))
    for key, text in (("tightness", tightness), ("shares", shares)):
        values = numbers(text, f"--{key}")
        if values is not None:
            given[key] = values
    base = Plan(scenario=named)
    for one in given["meters"]:
        first, second = getattr(base, one)
        given[one] = (control or first, treatment or second)
    plan = Plan(scenario=named, small=asked.small, command=typed(), **given)
    root, _ = run_lab(plan, asked.out, asked.workers, quiet=asked.quiet, engine=asked.engine)
    draw(root)


@click.command()
@study("laboratory", worlds=2)
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
    asked: StudyOptions,
    scenario: str,
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
    from reports.studies import names

    names.check(*filter(None, (control, treatment)))
    named = asked.scenario(scenario)
    from reports.studies.lab.power import run_power
    from reports.studies.lab.study import MODEL_FREE, TIGHTNESS, Plan

    plan = Plan(
        scenario=named,
        meters=("interference",),
        interference=(control or MODEL_FREE[0], treatment or MODEL_FREE[1]),
        tightness=(TIGHTNESS[0] if tightness is None else tightness,),
        shares=(share,),
        small=asked.small,
        command=typed(),
    )
    root, _ = run_power(plan, lift, wanted, asked.out, asked.workers, quiet=asked.quiet, engine=asked.engine)
    draw(root)


@click.command()
@study("quickstart", worlds=2)
@click.option(
    "--dial", required=True, help="feature_noise, drift, label_wait, sync, budget_tightness, cross_share or k."
)
@click.option("--values", metavar="A,B,...", help="Levels, mildest first.  [default: the dial's own]")
@click.option("--control", default="dssm", show_default=True, help="Arm.")
@click.option("--treatment", default="dssm+cs3", show_default=True, help="Arm.")
def sensitivity(
    asked: StudyOptions,
    scenario: str,
    dial: str,
    values: str | None,
    control: str,
    treatment: str,
) -> None:
    """The lift of an arm over the range of one dial, and where it ends: twin worlds at every level.

    An interrupted study resumes when the same command is given again.
    """
    from reports.studies import names
    from reports.studies.sensitivity.dials import DIALS
    from simulator.plugins import nearest

    if dial not in DIALS:
        raise ValueError(f"--dial {dial}: must be one that is known{nearest(dial, DIALS)}")
    names.check(control, treatment)
    asked.scenario(scenario)
    from reports.studies.sensitivity.study import Plan, run_sensitivity

    plan = Plan(
        scenario=scenario,
        dial=dial,
        values=numbers(values, "--values") or DIALS[dial].values,
        control=control,
        treatment=treatment,
        small=asked.small,
        sets=asked.overrides,
        command=typed(),
    )
    root, _ = run_sensitivity(plan, asked.out, asked.workers, quiet=asked.quiet, engine=asked.engine)
    draw(root)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--request", type=click.IntRange(0), required=True, help="Its id; ids run from 0 over a world's days.")
@click.option("--world", type=click.IntRange(0), help="Seed of the world.  [default: the run's first]")
@click.option("--arm", "arms", multiple=True, help="Arm of an arena, again for more.  [default: the first two]")
@click.option("--allow-code", is_flag=True, help="Import the modules that the run names for its arms.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def replay(run: Path, request: int, world: int | None, arms: tuple[str, ...], allow_code: bool, as_json: bool) -> None:
    """Why did this ad win: all stages of one request of a finished ab or arena run, both arms side by side.

    The world is lived again up to the request, so this takes as long as the arms took to get there. An arm of your own,
    package.module:factory, is imported only with --allow-code: the run may be somebody else's.
    """
    import json

    if not run.is_dir():
        raise ValueError(f"{run}: not a run directory")
    from reports.studies.replay.study import lines, why
    from simulator.experiment import plain

    found = why(run, request, world, arms, allow_code=allow_code)
    echo(json.dumps(plain(found), indent=1) if as_json else "\n".join(lines(found)))
