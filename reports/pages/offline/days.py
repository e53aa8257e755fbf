"""Day by day: the picture and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import GRID, MUTED, band, canvas, styled
from reports.drawing.tables import table
from reports.pages.offline.cells import level, several
from reports.pages.offline.looks import Record, legend, looks, names_of, over_seeds, short, taught
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DAILY = ("dssm-bare", "dssm", "dssm+cs3", "dat")
"""Arms of the picture of the days; more lines than these cannot be read."""
MOST = 6
"""Arms that are drawn day by day where none of ``DAILY`` is there."""


def drawn_daily(results: Record) -> list[str]:
    """Names of the rows whose days are drawn: averages, rankers, and a few arms."""
    arms = [row["name"] for row in results["rows"] if row["kind"] == "arm"]
    chosen = [name for name in arms if name in (*DAILY, results["base"])]
    if len(chosen) < 2:
        chosen = list(dict.fromkeys([*chosen, *arms]))[:MOST]
    others = {row["name"] for row in taught(results) if row["kind"] != "arm"}
    return [name for name in names_of(results) if name in others or name in chosen]


@styled
def figure(results: Record) -> Figure:
    """AUC of every day of the log, with intervals over seeds; test days are shaded."""
    days, marks = results["by_day"], looks(names_of(results), results["base"])
    place = np.arange(len(days["date"]), dtype=np.float64)
    figure, (ax,) = canvas(3.7)
    for name in drawn_daily(results):
        if name in days["auc"]:
            band(ax, place, days["auc"][name], marks[name], short(name))
    tested = np.flatnonzero(days["test"])
    if tested.size:
        ax.axvspan(tested[0] - 0.5, tested[-1] + 0.5, color=GRID, alpha=0.45, lw=0, zorder=0)
        ax.annotate("test", (tested[0] - 0.4, 0.02), xycoords=("data", "axes fraction"), color=MUTED, fontsize=8)
    step = max(1, -(-place.size // 15))
    ax.set_xticks(place[::step], [f"{date // 100 % 100}/{date % 100}" for date in days["date"][::step]])
    ax.set_xlabel("Day of the log (month/day)")
    ax.set_ylabel(f"AUC; band 95 % {over_seeds(results)}")
    ax.grid(axis="y")
    legend(figure, ax, 3)
    return figure


def section(results: Record) -> Section | None:
    """AUC of every day."""
    days = results["by_day"]
    if not days["date"]:
        return None
    rows: list[tuple[str, ...]] = [("rows of the log", *(wording.number(n) for n in days["rows"]))]
    rows += [(name, *(level(value) for value in curve["mean"])) for name, curve in days["auc"].items()]
    dates = (
        f"{date // 100 % 100}/{date % 100}{' test' if test else ''}"
        for date, test in zip(days["date"], days["test"], strict=True)
    )
    return Section(
        key="days",
        title="Day by day",
        lead="Every day is scored before it is learned from, the days before the test too. A curve that still rises on "
        "the last days has not learned all that the log could teach it.",
        figure="by_day",
        alt=f"AUC on every day of the log: {', '.join(drawn_daily(results))}. The numbers are in the table below.",
        caption=f"Bands: 95 % over {several(len(results['seeds']), 'seed')}. Shaded: the test. All models: below.",
        tables=(table("AUC by day", ("model", *dates), rows),),
    )
