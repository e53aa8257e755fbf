"""``cs3bench ablation``: which part of CS3 earns money, in which market."""

from __future__ import annotations

import click

from reports.commands.options import StudyOptions, draw, study, typed


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
def ablation(asked: StudyOptions, scenarios: tuple[str, ...], choosing: int, settings: str) -> None:
    """All eight on/off cells of CAS, CTS and CMS in every scenario, the best one chosen on other worlds.

    An interrupted run resumes when the same command is given again.
    """
    named = [asked.scenario(name) for name in dict.fromkeys(scenarios)]
    from reports.studies.ablation.study import SCENARIOS, Plan, run_ablation

    plan = Plan(
        scenarios=tuple(named or (asked.scenario(name) for name in SCENARIOS)),
        choosing=choosing,
        settings=settings,  # type: ignore[arg-type]  # click has checked it
        small=asked.small,
        command=typed(),
    )
    root, _ = run_ablation(plan, asked.out, asked.workers, quiet=asked.quiet, engine=asked.engine)
    draw(root)
