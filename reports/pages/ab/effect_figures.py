"""The pictures of effects: all metrics, days since the split, rungs of the ladder, mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import hover, wording
from reports.drawing.strokes import (
    INK,
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
    metric_row,
    percent_axis,
    styled,
    whole_days,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def forest(results: Record) -> Figure:
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


@styled
def per_day(results: Record) -> Figure:
    """Lift of revenue on each simulated day since the arms parted, and the lift of all days so far."""
    days = results["per_day"]
    day, lift, lo, hi = (floats(days.get(key)) for key in ("day", "lift", "lo", "hi"))
    treated = MARKS[1]
    figure, (ax,) = canvas(2.9)
    ax.axhline(0, color=MUTED, lw=0.9, zorder=0)
    together = days.get("cumulative") or {}
    if together.get("lift"):
        curve = {"mean": together["lift"]} | {
            end: together.get(f"band_{end}", together.get(end)) for end in ("lo", "hi")
        }
        band(ax, day, curve, Mark(MARKS[2].colour, "", "-"), "all days so far")
        ax.axhline(
            floats(together["lift"])[-1], color=INK, lw=1.1, ls=(0, (4, 3)), label="true effect of the whole test"
        )
    if lo.size == day.size == hi.size:
        ax.vlines(day, lo, hi, color=treated.colour, lw=2)
    (dots,) = ax.plot(day, lift, treated.marker, color=treated.colour, label="that day alone")
    hover.tell(dots, name="that day alone", ends=(lo, hi) if lo.size == day.size == hi.size else None)
    ax.set_xlabel("Simulated day since the arms parted")
    ax.set_ylabel("Lift of revenue")
    whole_days(ax, day)
    ax.margins(y=0.1)
    percent_axis(ax.yaxis)
    ax.grid(axis="y")
    legend(figure, ax)
    return figure


@styled
def ladder(results: Record) -> Figure:
    """Lift over the bare tower of each rung: bare, with counters, with CS3."""
    figure, (ax,) = canvas(0.42 * len(results["ladder"]["rows"]) + 0.8)
    rows = []
    for rung in results["ladder"]["rows"]:
        lift, ends = rung.get("lift_vs_bare"), interval(rung.get("ci"))
        money = f"{wording.number(rung.get('revenue_per_1000'))} per 1,000"
        words = (
            "the base" if lift == 0 and not any(ends[0:2] if np.isfinite(ends).all() else ()) else wording.percent(lift)
        )
        side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        rows.append(Row(rung["arm"], float(floats([lift])[0]), ends, f"{words}  ·  {money}", side))
    dot_rows(ax, rows)
    percent_axis(ax.xaxis)
    ax.set_xlabel("Lift of revenue over the bare tower")
    return figure


@styled
def mechanisms(results: Record) -> Figure:
    """What each mechanism adds alone, with its interval and the paper's claim called."""
    found = [row for row in results["mechanisms"]["rows"] if wording.known(row.get("lift"))]
    figure, (ax,) = canvas(0.42 * len(found) + 0.8)
    rows = []
    for row in found:
        ends = interval(row.get("ci"))
        words = f"{wording.percent(row.get('lift'))}  ·  {row.get('word') or 'undecided'}"
        side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        rows.append(
            Row(str(row.get("mechanism") or row.get("arm")), float(floats([row.get("lift")])[0]), ends, words, side)
        )
    dot_rows(ax, rows)
    percent_axis(ax.xaxis)
    ax.set_xlabel("Lift of revenue over the control")
    return figure
