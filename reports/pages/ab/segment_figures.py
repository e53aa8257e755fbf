"""The picture of a run's segments: lift of each in each measure, from the dict of results.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import canvas, dot_rows, metric_row, percent_axis, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


def measures(results: Record) -> dict[str, list[Record]]:
    """The rows of the segments by measure, in the order of the run."""
    found: dict[str, list[Record]] = {}
    for row in results.get("segments") or ():
        found.setdefault(str(row.get("measure_label")), []).append(row)
    return found


@styled
def segments(results: Record) -> Figure:
    """Lift of every segment with its interval, a panel for each measure."""
    panels = measures(results)
    count = sum(map(len, panels.values()))
    figure, axes = canvas(
        0.3 * count + 0.55 * len(panels) + 0.4, rows=len(panels), ratios=[len(rows) + 0.9 for rows in panels.values()]
    )
    for ax, (measure, rows) in zip(axes, panels.items(), strict=True):
        dot_rows(ax, [metric_row(row, wording.percent) for row in rows])
        percent_axis(ax.xaxis)
        ax.set_title(measure)
    axes[-1].set_xlabel("Lift, treatment over control")
    figure.align_ylabels(axes)
    return figure
