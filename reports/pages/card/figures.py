"""The picture of a world card: what a world's log looks like beside a real one. From plain dicts, like ``figures``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing.strokes import MARKS, MUTED, canvas, save, styled, write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDES = {"world": (MARKS[1], "this world"), "real": (MARKS[2], "real log")}


@styled
def world_card(survey: Mapping[str, Any]) -> Figure:
    """Impressions by rank, hours of the day, prices, and how far each target of shape is from its real value."""
    figure, (rank, hours, price, targets) = canvas(5.6, columns=2, rows=2)
    for side, curve in survey["curves"].items():
        mark, label = SIDES[side]
        y = np.asarray(curve["rank"])
        rank.plot((np.arange(y.size) + 1) / max(y.size, 1), y, color=mark.colour, ls=mark.line, label=label)
        hours.plot(100 * np.asarray(curve["hours"]), color=mark.colour, ls=mark.line, drawstyle="steps-mid")
        p = np.asarray(curve["price"])
        if p.size:
            price.plot(p, 1 - (np.arange(p.size) + 0.5) / p.size, color=mark.colour, ls=mark.line)
    # Nothing drawn has no logarithm.
    drawn = {key: any(c[key] for c in survey["curves"].values()) for key in ("rank", "price")}
    rank_scale, price_scale = ("log" if there else "linear" for there in drawn.values())
    rank.set(
        xscale=rank_scale,
        yscale=rank_scale,
        title="Impressions per ad",
        xlabel="rank / ads shown",
        ylabel="of the mean",
    )
    rank.legend(loc="lower left")
    hours.set(title="Hours of the day", xlabel="hour", ylabel="% of impressions", ylim=(0, None))
    price.set(title="Prices", xlabel="price / mean", ylabel="share above", yscale=price_scale)
    _targets(targets, survey["facts"])
    n, days, seed = survey["impressions"], survey["days"], survey["seed"]
    figure.suptitle(f"{survey['scenario']}: {n:,} impressions, {days} days, seed {seed}", fontsize=9.5, color=MUTED)
    return figure


def _targets(ax: Axes, facts: Mapping[str, Any]) -> None:
    """Distance from the real value in tolerances; between the lines the target is met. One world: no interval."""
    rows = [(name, fact) for name, fact in facts.items() if fact["met"] is not None]
    ax.axvspan(-1, 1, color=MARKS[1].colour, alpha=0.12, lw=0)
    for y, (_, fact) in enumerate(rows):
        mark = MARKS[1] if fact["met"] else MARKS[5]
        ax.plot((fact["world"] - fact["real"]) / fact["tolerance"], y, mark.marker, color=mark.colour)
    ax.axvline(0, color=MUTED, lw=0.8)
    ax.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _ in rows])
    ax.invert_yaxis()
    ax.set(title="Targets of shape", xlabel="(world - real) / tolerance")


def draw(survey: Mapping[str, Any], out: Path) -> list[Path]:
    """Write ``world-card.svg`` and ``world-card.png`` in ``out``; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    figure = world_card(survey)
    paths = [out / f"world-card.{kind}" for kind in ("svg", "png")]
    for path in paths:
        write_aside(path, save(figure, path.suffix[1:]))
    return paths
