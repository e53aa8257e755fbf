"""The pictures of an offline replay, from the dict of its results.json; no statistic is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports import wording
from reports.figures import (
    GRID,
    MARKS,
    MUTED,
    Mark,
    Row,
    band,
    canvas,
    dot_rows,
    floats,
    interval,
    legend,
    name_bars,
    save,
    styled,
    write_aside,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
PANELS = {
    "auc": ("AUC", "higher is better"),
    "gauc": ("GAUC", "higher is better"),
    "logloss": ("Log loss", "lower is better"),
}


LONGEST = 30
"""Characters of a name that fit beside a panel."""


def short(name: str) -> str:
    """A name cut in its middle where it is too long for an axis."""
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def marks(results: Record) -> dict[str, Mark]:
    """The mark of each row, the same in every figure: grey for the averages, then one each."""
    looks = {}
    plain = 0
    coloured = 0
    for row in results["rows"]:
        if row["kind"] == "averages":
            looks[row["name"]] = Mark(MUTED, "o", (":", "--")[plain % 2])
            plain += 1
        else:
            looks[row["name"]] = MARKS[1 + coloured % (len(MARKS) - 1)]
            coloured += 1
    return looks


@styled
def scores(results: Record) -> Figure:
    """AUC, GAUC and log loss of every row, with intervals over seeds."""
    rows, looks = results["rows"], marks(results)
    figure, axes = canvas(0.36 * len(rows) + 0.8, columns=len(PANELS))
    for ax, (key, (title, good)) in zip(axes, PANELS.items(), strict=True):
        for place, row in enumerate(rows):
            mark, ends = looks[row["name"]], interval(row[key]["ci"])
            (mean,) = floats([row[key]["mean"]])
            if np.isfinite(ends).all():
                ax.plot(ends, (place, place), color=mark.colour, lw=2.2, solid_capstyle="butt")
            if np.isfinite(mean):
                ax.plot([mean], [place], mark.marker, color=mark.colour)
                words = wording.number(row[key]["mean"])
                ax.annotate(words, (mean, place), (0, 5), textcoords="offset points", ha="center", fontsize=7.5)
        name_bars(ax, [short(row["name"]) for row in rows] if key == "auc" else [""] * len(rows))
        ax.margins(x=0.22)
        ax.set_ylim(len(rows) - 0.5, -0.8)
        ax.locator_params(axis="x", nbins=3)
        ax.set_title(title)
        ax.set_xlabel(good)
    return figure


@styled
def contrasts(results: Record) -> Figure:
    """What each arm adds to the one before it, in AUC, with intervals over users."""
    rows = []
    for pair in results["contrasts"]:
        ends = interval(pair["users"]["ci"])
        words = f"{wording.signed(pair['users']['effect'])}  {wording.span(pair['users']['ci'], wording.signed)}"
        side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        (value,) = floats([pair["users"]["effect"]])
        rows.append(Row(f"{short(pair['treatment'])}\n− {short(pair['control'])}", float(value), ends, words, side))
    figure, (ax,) = canvas(0.5 * len(rows) + 0.9)
    dot_rows(ax, rows)
    ax.set_xlabel("Difference in AUC on the test days, 95 % interval over users")
    return figure


@styled
def by_day(results: Record) -> Figure:
    """AUC of every day of the log, with intervals over seeds; test days are shaded."""
    days, looks = results["by_day"], marks(results)
    place = np.arange(len(days["date"]), dtype=np.float64)
    figure, (ax,) = canvas(3.4)
    for name, curve in days["auc"].items():
        band(ax, place, curve, looks[name], short(name))
    tested = np.flatnonzero(days["test"])
    if tested.size:
        ax.axvspan(tested[0] - 0.5, tested[-1] + 0.5, color=GRID, alpha=0.45, lw=0, zorder=0)
        ax.annotate("test", (tested[0] - 0.4, 0.02), xycoords=("data", "axes fraction"), color=MUTED, fontsize=8)
    ax.set_xticks(place, [f"{date // 100 % 100}/{date % 100}" for date in days["date"]])
    ax.set_xlabel("Day of the log (month/day)")
    ax.set_ylabel("AUC")
    legend(figure, ax)
    return figure


def draw_all(results: Record, out: Path) -> dict[str, str]:
    """Draw the figures and write ``figures/NAME.png`` and ``.svg``; the SVG text by name."""
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    wanted = {"scores": scores, "contrasts": contrasts, "by_day": by_day}
    for name, draw in wanted.items():
        if name == "contrasts" and not results["contrasts"]:
            continue
        figure = draw(results)
        svg = save(figure, "svg")
        write_aside(folder / f"{name}.svg", svg)
        write_aside(folder / f"{name}.png", save(figure, "png"))
        drawn[name] = svg.decode()
    return drawn
