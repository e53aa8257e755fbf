"""Choosing hyper-parameters: the same grid for every arm, on a world that no report uses.

``python -m reports.studies.tuning.settings --seed 902 --arm dssm --arm dssm+cs3 --try lr=2.5e-4,1e-3
--try table_lr=0.03,0.3`` replays one burn-in log into a fresh retriever per point of the grid and prints recall@K of
the panel (true eCPM order): mean over the last three nights, and over the three before half way, to see the plateau.
Choose by the control, use the same for all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from reports.drawing.tables import line, table
from reports.studies.arms import make_retriever, parse
from reports.studies.market.evaluation import read_panel, sample
from reports.studies.market.stage import burnt_in, logging_ranker
from simulator.config import overrides
from simulator.marketplace import learn_from_log
from simulator.records import Impressions, concatenate
from simulator.scenario import Scenario, load
from simulator.world import World, build

NIGHTS = 3
"""Nights that one figure averages over."""


def burn_in_log(scenario: Scenario, world: World) -> Impressions:
    """The log that the logging cascade leaves, hidden vectors included."""
    return concatenate([day.log for day in burnt_in(scenario, world, logging_ranker(scenario, world))])


def recall_by_night(
    scenario: Scenario, world: World, log: Impressions, arm: str, params: dict[str, Any]
) -> list[float]:
    """Recall@K of the panel after each day of the log."""
    retriever = make_retriever(parse(arm), world.catalog, world.seed, params, {}, oldest_row=scenario.oldest_row)
    recall = []
    for day in range(scenario.run.burn_in):
        learn_from_log(log, retriever, scenario.cascade, day)
        panel = sample(world, day, scenario.run.panel, "panel")
        recall.append(read_panel(retriever, panel, scenario.cascade.candidates, world).recall)
    return recall


def grid(tries: Sequence[str]) -> list[dict[str, Any]]:
    """``["lr=1,2", "width=3"]`` -> every combination as a dict."""
    axes = []
    for item in tries:
        key, _, values = item.partition("=")
        axes.append([overrides([f"{key}={value}"]) for value in values.split(",")])
    return [{k: v for part in point for k, v in part.items()} for point in itertools.product(*axes)]


@click.command()
@click.option("--scenario", default="quickstart", show_default=True)
@click.option("--seed", type=int, default=902, show_default=True, help="A world that no report uses.")
@click.option("--arm", "arms", multiple=True, default=("dssm", "dssm+cs3"), show_default=True)
@click.option("--try", "tries", multiple=True, required=True, metavar="KEY=A,B,...")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE")
def main(scenario: str, seed: int, arms: tuple[str, ...], tries: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Replay one burn-in per point of the grid and print recall@K."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    resolved = load(scenario, sets=sets)
    world = build(resolved.world, seed, resolved.all_days)
    with threadpool_limits(1):
        log = burn_in_log(resolved, world)
        head = table("", ("arm", "point", "recall half way", "recall at the end"), ())
        click.echo("\n".join(head.markdown()))
        for point in grid(tries):
            for arm in arms:
                recall = np.array(recall_by_night(resolved, world, log, arm, point))
                half = recall[recall.size // 2 - NIGHTS : recall.size // 2].mean()
                spelled = ", ".join(f"{k}={v:g}" for k, v in point.items())
                click.echo(line([f"`{arm}`", spelled, f"{half:.4f}", f"{recall[-NIGHTS:].mean():.4f}"]))


if __name__ == "__main__":
    main()
