"""``cs3bench late``: the ways to candidates of late interaction at scale."""

from __future__ import annotations

from pathlib import Path

import click

from reports.commands.options import StudyOptions, resumable, tell, typed
from reports.drawing.terminal import echo


@click.command()
@click.option(
    "--ads",
    "sizes",
    multiple=True,
    type=click.IntRange(1),
    help="Size of the catalogue, again for more.  [default: 10k, 100k, 1M]",
)
@click.option("--scenario", default="quickstart", show_default=True, help="World whose towers are trained.")
@click.option("--small", is_flag=True, help="The scenario's small form.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the world and of what is drawn.")
@click.option("--requests", type=click.IntRange(2), default=300, show_default=True, help="Asked one by one.")
@click.option(
    "--pairs",
    type=click.IntRange(1),
    default=30_000_000,
    show_default=True,
    help="Requests times ads at most; 30 requests at least.",
)
@click.option("--k", "candidates", type=click.IntRange(1), default=100, show_default=True, help="Ads wanted.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/late-...]"
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
@resumable
def late(
    asked: StudyOptions,
    sizes: tuple[int, ...],
    scenario: str,
    seed: int,
    requests: int,
    pairs: int,
    candidates: int,
) -> None:
    """Late interaction and indexes at scale: recall against the exact scan, latency, bytes an ad, time to build.

    One thread. An interrupted run resumes when the same command is given again; so does one with further sizes.
    """
    from simulator.config import validated
    from simulator.scenario import load

    load(scenario, small=asked.small)
    given = {"scenario": scenario, "small": asked.small, "seed": seed, "requests": requests, "candidates": candidates}
    given |= {"pairs": pairs}
    from reports.studies.late.study import LateConfig, run

    config = validated(LateConfig, given | ({"ads": sizes} if sizes else {}), "late")
    root = asked.out or config.default_out()
    run(config, root, quiet=asked.quiet, command=typed())
    tell(root)
    echo(f"figures: {root / 'figures'}")
