"""The lift by day since the arms parted: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import hover, wording
from reports.drawing.strokes import (
    INK,
    MARKS,
    MUTED,
    Mark,
    band,
    canvas,
    floats,
    legend,
    percent_axis,
    styled,
    whole_days,
)
from reports.drawing.tables import table
from reports.pages.parts import Section, columns_of, worlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
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


def section(results: Record) -> Section:
    """Lift by day since the arms parted."""
    days = results["per_day"]
    together = days.get("cumulative") or {}
    last = wording.percent((days.get("lift") or [None])[-1])
    ends = wording.span([(days.get(key) or [None])[-1] for key in ("lo", "hi")], wording.percent)
    lead = (
        f"On the last test day the lift of revenue was {last}, 95% CI {ends}. A lift that still climbs or decays is a "
    )
    lead += "transient: read the last days, not only the mean."
    always = "band_lo" in together
    daily = columns_of(days, "day", "lift", "lo", "hi")
    total = columns_of(together, "lift", *(("band_lo", "band_hi") if always else ("lo", "hi")))
    rows = [
        [
            wording.number(day),
            wording.percent(lift),
            wording.span(ends, wording.percent),
            *((wording.percent(total[place][0]), wording.span(total[place][1:], wording.percent)) if total else ()),
        ]
        for place, (day, lift, *ends) in enumerate(daily)
        if not total or place < len(total)
    ]
    columns = ["Day", "Lift that day", "95% CI"] + (
        ["Lift of all days so far", "95%, all days together" if always else "95% CI"] if total else []
    )
    return Section(
        key="per-day",
        title="Lift by simulated day",
        lead=lead,
        figure="per_day",
        alt=f"Lift of revenue on each test day with 95% intervals. {lead}",
        caption=f"Lift of revenue in per cent over {worlds(len(results.get('worlds') or ()) or None)}. Dots: pointwise "
        "95% t intervals, valid for one day fixed in advance, not for stopping at the best one. "
        + (
            "Band: 95% t intervals at Bonferroni's level, which hold on all days together, so whenever one stops. "
            if always
            else "Band: the same of all days so far. "
        )
        + "Dashed: the true effect of the whole test in these worlds.",
        tables=(table("Lift by day", columns, rows),),
    )
