"""Every metric's effect with its interval: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import canvas, direction, dot_rows, metric_row, percent_axis, styled
from reports.drawing.tables import table
from reports.pages.parts import Section, speller, worlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
    """Every metric's effect with its interval: relative lifts above, absolute differences below."""
    metrics = list(results["metrics"].values())
    ratio = [metric_row(metric, wording.percent) for metric in metrics if metric.get("kind") == "ratio"]
    other = [metric_row(metric, wording.signed) for metric in metrics if metric.get("kind") != "ratio"]
    panels = [rows for rows in (ratio, other) if rows]
    figure, axes = canvas(
        0.34 * len(metrics) + 0.85 * len(panels), rows=len(panels), ratios=[len(p) + 0.6 for p in panels]
    )
    for ax, rows in zip(axes, panels, strict=True):
        dot_rows(ax, rows)
        relative = rows is ratio
        ax.set_xlabel("Lift, treatment over control" if relative else "Difference, treatment minus control")
        if relative:
            percent_axis(ax.xaxis)
    figure.align_ylabels(axes)
    return figure


def section(results: Record) -> Section:
    """Effects with intervals, and each world's own effect folded below."""
    found = list(results["metrics"].values())
    sides = [direction(metric) for metric in found]
    better, worse, open_ = (sides.count(side) for side in ("better", "worse", ""))
    lead = (
        f"Of {len(found)} metrics, {better} are better with the treatment and {worse} worse; for the other {open_} the "
    )
    lead += "interval includes 0 or the metric has no good side."
    every = results.get("worlds") or ()
    rows = [
        [str(metric.get("label")), *(speller(metric)(value) for value in metric["per_world"])]
        for metric in found
        if len(metric.get("per_world") or ()) == len(every) > 0
    ]
    worlds_table = (
        (table("Effect in each world", ["Metric", *(f"world {world}" for world in every)], rows),) if rows else ()
    )
    return Section(
        key="forest",
        title="Effects with their uncertainty",
        lead=lead,
        figure="forest",
        alt=f"Dot plot of the effect of the treatment on {len(found)} metrics with 95% intervals. {lead}",
        caption="Lift in per cent (top) or absolute difference in the metric's own unit (bottom); 95% t intervals "
        f"over {worlds(len(every) or None)}, not corrected for their number. Filled: the interval leaves 0; an arrow "
        "at the edge: the interval goes on; an arrow "
        "down: lower is better.",
        tables=worlds_table,
    )
