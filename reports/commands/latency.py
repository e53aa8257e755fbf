"""``cs3bench latency``: what a request costs, and what load does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.commands.options import StudyOptions, handed, tell, typed


@click.command()
@click.option("--arm", "arms", multiple=True, help="Arm, again for more; the first is the base.  [default: all cells]")
@click.option("--ads", multiple=True, type=click.IntRange(1), help="Catalogue.  [default: 10k, 100k, 1M]")
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1), help="Batch.  [default: 1, 16, 256]")
@click.option("--small", is_flag=True, help="A form of seconds, too small for a figure.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a field, e.g. calls=1000.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory.  [default: runs/latency-...]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@handed
def latency(asked: StudyOptions, arms: tuple[str, ...], ads: tuple[int, ...], batches: tuple[int, ...]) -> None:
    """Latency and QPS of every cell on the serving path, alone and under load, beside the paper's claim."""
    from simulator.config import overrides, validated

    chosen = {"arms": arms, "ads": ads, "batches": batches}
    given: dict[str, Any] = {key: value for key, value in chosen.items() if value}
    given |= overrides(asked.sets)
    from reports.studies import names
    from simulator.scenario import load

    names.check(*map(str, given.get("arms", ())))
    load(str(given.get("scenario", "quickstart")), small=asked.small)
    from reports.studies.serving.settings import SMALL, ServingConfig
    from reports.studies.serving.study import run

    config = validated(ServingConfig, {**(SMALL if asked.small else {}), **given}, "latency")
    root = asked.out or config.default_out()
    run(config, root, quiet=asked.quiet, command=typed())
    tell(root)
