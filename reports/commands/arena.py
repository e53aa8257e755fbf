"""``cs3bench arena``: every rival in the same worlds."""

from __future__ import annotations

import click

from reports.commands.options import StudyOptions, draw, study, typed


@click.command()
@study("quickstart")
@click.option("--arm", "arms", multiple=True, help="Rival, again for more; dssm is always there.  [default: all]")
def arena(asked: StudyOptions, scenario: str, arms: tuple[str, ...]) -> None:
    """Compare all rivals in the same worlds: money, recall, what they cost, and what is left at equal latency.

    An interrupted run resumes when the same command is given again.
    """
    from reports.studies import names

    names.check(*arms)
    named = asked.scenario(scenario)
    from reports.studies.arena.study import ARMS, REFERENCE, Plan, run_arena

    chosen = tuple(dict.fromkeys((REFERENCE, *arms))) if arms else ARMS
    plan = Plan(scenario=named, arms=chosen, small=asked.small, command=typed())
    root, _ = run_arena(plan, asked.out, asked.workers, quiet=asked.quiet, engine=asked.engine)
    draw(root)
