"""``cs3bench growth``: memory and time of a market as its users and ads grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.commands.options import StudyOptions, handed, tell, typed


@click.command()
@click.option("--scenario", default="quickstart", show_default=True, help="Name, or path of a TOML file.")
@click.option("--small", is_flag=True, help="The scenario's small form.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a field, e.g. requests=50000.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory.  [default: runs/growth-...]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@handed
def growth(asked: StudyOptions, scenario: str) -> None:
    """Memory and time of a market's day at 1 to 64 times the users and the ads."""
    from simulator.config import overrides, validated
    from simulator.scenario import load

    given: dict[str, Any] = {"scenario": scenario, "small": asked.small} | overrides(asked.sets)
    load(str(given["scenario"]), small=asked.small)
    from reports.studies.serving.growth import GrowthConfig, run

    config = validated(GrowthConfig, given, "growth")
    root = asked.out or config.default_out()
    run(config, root, quiet=asked.quiet, command=typed())
    tell(root)
