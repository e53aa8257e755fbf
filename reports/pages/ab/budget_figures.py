"""The picture of a run's budgets: how much is spent by ads that run dry, and how much is delivered past the money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing.strokes import MARKS, band, canvas, floats, legend, percent_axis, styled, whole_days

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]

SHARES = (("bound", "On budget-bound ads"), ("unpaid", "Over-delivery"))
"""Key of a share of the day's spend, and its name."""


@styled
def budgets(results: Record) -> Figure:
    """Share of the day's spend on budget-bound ads, and over-delivery as a share of it, both arms by test day."""
    figure, axes = canvas(2.6, columns=len(SHARES))
    for ax, (key, title) in zip(axes, SHARES, strict=True):
        tops = [0.0]
        for place, (arm, found) in enumerate(results["budgets"].items()):
            day = floats(found["day"])
            band(ax, day, found[key], MARKS[place % len(MARKS)], arm)
            whole_days(ax, day)
            tops.extend(value for value in floats(found[key].get("mean")) if value > 0)
        ax.set_title(title)
        ax.set_xlabel("Simulated day since the arms parted")
        ax.set_ylim(bottom=0) if max(tops) else ax.set_ylim(0, 0.01)
        percent_axis(ax.yaxis, sign=False)
        ax.grid(axis="y")
    axes[0].set_ylabel("Share of the day's spend")
    legend(figure, axes[0])
    return figure
