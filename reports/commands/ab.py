"""``cs3bench ab``: two arms in twin worlds."""

from __future__ import annotations

import click

from reports.commands.options import StudyOptions, draw, study, typed


@click.command()
@study("quickstart")
@click.option("--control", default="dssm", show_default=True, help="Arm: backbone+modifier+...@ranker.")
@click.option("--treatment", default="dssm+cs3", show_default=True, help="Arm that is compared with it.")
def ab(asked: StudyOptions, scenario: str, control: str, treatment: str) -> None:
    """Compare two arms by the true effect: the whole market twice, once per arm, with common luck.

    An interrupted run resumes when the same command is given again.
    """
    from reports.studies import names

    names.check(control, treatment)
    named = asked.scenario(scenario)
    from reports.studies.ab.study import Plan, run_ab

    plan = Plan(scenario=named, control=control, treatment=treatment, small=asked.small, command=typed())
    root, _ = run_ab(plan, asked.out, asked.workers, quiet=asked.quiet, engine=asked.engine)
    draw(root)
