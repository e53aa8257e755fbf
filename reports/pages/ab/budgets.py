"""Budgets and pacing: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import MARKS, band, canvas, floats, legend, percent_axis, styled, whole_days
from reports.drawing.tables import table
from reports.pages.parts import Section, columns_of, worlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (("bound", "On budget-bound ads"), ("unpaid", "Over-delivery"))
"""Key of a share of the day's spend, and its name."""
Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
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


def section(results: Record) -> Section:
    """Spend by day, the share of it on budget-bound ads, and over-delivery."""
    found = results["budgets"]
    rows, said = [], []
    for arm, one in found.items():
        curves = [columns_of(one[key], "mean", "lo", "hi") for key in ("spend", "bound", "unpaid")]
        for day, spend, bound, unpaid in zip(one["day"], *curves, strict=True):
            shares = [
                (wording.percent(mean, sign=False), wording.span(ends, _share)) for mean, *ends in (bound, unpaid)
            ]
            rows.append(
                [arm, wording.number(day), wording.number(spend[0]), *(text for pair in shares for text in pair)]
            )
        means = [[mean for mean, *_ in curve if wording.known(mean)] for curve in curves[1:]]
        if all(means):
            most = [wording.percent(max(values), sign=False) for values in means]
            said.append(f"{arm} {most[0]} and {most[1]}")
    lead = f"On its highest day, spend on budget-bound ads and over-delivery: {'; '.join(said)}." if said else ""
    columns = ("Arm", "Day", "Spend", "On budget-bound ads", "95% CI", "Over-delivery", "95% CI")
    return Section(
        key="budgets",
        title="Budgets and pacing",
        lead=lead,
        figure="budgets",
        alt=f"Share of each day's spend on budget-bound ads, and over-delivery, for both arms. {lead}",
        caption="Per cent of the day's spend. Budget-bound: ads of campaigns that ran out of budget that day. "
        "Over-delivery: price of clicks that came after the budget's end and were not paid. Spend in currency units a "
        f"world. Mean and pointwise 95% t intervals over {worlds(len(results.get('worlds') or ()) or None)}.",
        tables=(table("Budgets by day", columns, rows),),
    )


def _share(value: Any) -> str:
    return wording.percent(value, sign=False)
