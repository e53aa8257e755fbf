"""Every measure of every model: the picture and its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import MARKS, MUTED, PAPER, Mark, canvas, floats, interval, name_bars, percent_axis, styled
from reports.drawing.tables import table
from reports.pages.offline.cells import SEEDS, level, mean, several, share
from reports.pages.offline.looks import Record, over_seeds, over_users, short, taught
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    "auc": ("AUC", "higher is better"),
    "gauc": ("GAUC", "higher is better"),
    "logloss": ("Log loss", "lower is better"),
    "pcoc": ("PCOC", "1 is best"),
    "tau": ("Tau to ranker", "higher is better"),
    "gap": ("Gap closed", "higher is better"),
}
KINDS = {"averages": Mark(MUTED, "D", ":"), "ranker": Mark(MARKS[2].colour, "^", "-"), "arm": MARKS[1]}
"""Look of each kind of row where the rows are named on the axis."""
MEASURES = {"auc": "AUC", "gauc": "GAUC", "logloss": "log loss", "pcoc": "PCOC"}


def measure(row: Record, key: str) -> tuple[float, tuple[float, float]]:
    """A row's number and its interval; NaN where it has none."""
    value = row.get(key) or {}
    (mean,) = floats([value.get("share" if key == "gap" else "mean")])
    return float(mean), interval(value.get("ci"))


@styled
def figure(results: Record) -> Figure:
    """Every measure of every row: filled as replayed, hollow as frozen before the test."""
    rows = taught(results)
    figure, axes = canvas(2 * (0.19 * len(rows) + 0.9) + 0.45, columns=3, rows=2)
    for spot, (ax, (key, (title, good))) in enumerate(zip(axes, PANELS.items(), strict=True)):
        for place, row in enumerate(rows):
            mark = KINDS[row["kind"]]
            _dot(ax, measure(row, key), place - (0.16 if key not in ("tau", "gap") else 0), mark, hollow=False)
            _dot(ax, measure(row.get("frozen") or {}, key), place + 0.2, mark, hollow=True)
        name_bars(ax, [short(row["name"]) for row in rows] if spot % 3 == 0 else [""] * len(rows))
        ax.tick_params(axis="y", labelsize=8)
        if not ax.lines:
            ax.annotate("n/a", (0.5, 0.5), xycoords="axes fraction", ha="center", color=MUTED)
            ax.set_xticks([])
        ax.margins(x=0.1)
        ax.locator_params(axis="x", nbins=3)
        if key == "gap":
            percent_axis(ax.xaxis, sign=False)
        ax.set_title(title)
        kind = over_users(results) if key == "gap" else over_seeds(results)
        ax.set_xlabel(f"{good}\n95 % {kind}", fontsize=8.5)
    _key_of_kinds(figure, {row["kind"] for row in rows})
    return figure


def _dot(ax: Axes, value: tuple[float, tuple[float, float]], place: float, mark: Mark, *, hollow: bool) -> None:
    mean, ends = value
    if np.isfinite(mean):
        if np.isfinite(ends).all():
            ax.plot(ends, (place, place), color=mark.colour, lw=1.4, solid_capstyle="butt")
        face = PAPER if hollow else mark.colour
        ax.plot([mean], [place], mark.marker, color=mark.colour, mfc=face, mew=1.1, ms=4)


def _key_of_kinds(figure: Figure, kinds: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=mark.colour, marker=mark.marker, ls="", ms=5, label=kind)
        for kind, mark in KINDS.items()
        if kind in kinds
    ]
    for words, face in (("filled: replayed", MUTED), ("hollow: frozen", PAPER)):
        handles.append(Line2D([], [], color=MUTED, marker="s", mfc=face, ls="", ms=5, label=words))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, borderaxespad=0.2, columnspacing=1.2)


def section(results: Record) -> Section:
    """Every measure of every row, replayed and frozen."""
    rows, data = results["rows"], results["data"]
    ranked = ("auc", "gauc", "logloss")
    columns = ("model", *(MEASURES[key] for key in ranked))
    replayed = [(row["name"], *(mean(row[key]) for key in ranked)) for row in rows]
    frozen = [(row["name"], *(mean((row["frozen"] or {}).get(key)) for key in ranked)) for row in rows]
    others = [
        (row["name"], mean(row["pcoc"]), mean((row["frozen"] or {}).get("pcoc")), mean(row["tau"]), share(row["gap"]))
        for row in rows
    ]
    left_out = [row["name"] for row in rows if row not in taught(results)]
    caption = (
        f"{wording.number(data['test_rows'])} test rows of {wording.number(data['test_users'])} users, "
        f"{several(len(results['seeds']), 'seed')}. Brackets and lines: 95 % t intervals {SEEDS}; averages have none. "
        f"GAUC: AUC within users who have both a click and none, {wording.percent(data['gauc_covered'], sign=False)} "
        "of the rows. PCOC: predicted over observed clicks. Tau: Kendall's, to the order of the arm's own ranker. Gap "
        f"closed: share of the AUC between {results['base']} and the ranker, with its 95 % interval over users; n/a "
        "where the interval of the gap itself includes 0."
    )
    if left_out:
        caption += f" Not drawn, because nothing beside it could be read: {', '.join(left_out)}."
    return Section(
        key="scores",
        title="Scores on the test days",
        lead=f"{above_averages(rows)} Replayed: each row is scored by what was published last before it, then learned "
        "from. Frozen: scored by what was published before the first test row.",
        figure="scores",
        alt="Six panels of dots with intervals, a line per model: AUC, GAUC, log loss, PCOC, tau to the ranker, share "
        "of the gap closed; replayed and frozen. The numbers are in the tables below.",
        caption=caption,
        tables=(
            table("Replayed", columns, replayed, shown=True),
            table("Frozen before the test", columns, frozen, shown=True),
            table(
                "Calibration, order, gap",
                ("model", "PCOC", "PCOC, frozen", "tau, over seeds", "gap closed, over users"),
                others,
                shown=True,
            ),
        ),
    )


def above_averages(rows: Sequence[Record]) -> str:
    """Which arms are above the best of the averages, in AUC."""
    floor = max((row["auc"]["mean"] or 0.0 for row in rows if row["kind"] == "averages"), default=0.0)
    arms = [row for row in rows if row["kind"] == "arm"]
    below = [row["name"] for row in arms if not (row["auc"]["mean"] or 0.0) > floor]
    if not below:
        return f"Every arm is above the smoothed averages ({level(floor)})."
    return f"Not above the smoothed averages ({level(floor)}), so no more than averages: {', '.join(below)}."
