"""Between chance and the truth: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import INK, canvas, floats, interval, name_bars, styled
from reports.drawing.tables import table
from reports.pages.ab.arms import marks
from reports.pages.ab.funnel import _room_right
from reports.pages.parts import Section, worlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
    """Revenue per 1,000 requests of the reference retrievers, from chance to the truth."""
    rows = results["references"]["rows"]
    looks = marks(results)
    figure, (ax,) = canvas(0.38 * len(rows) + 0.8)
    for place, row in enumerate(rows):
        (money,), ends = floats([row.get("revenue_per_1000")]), interval(row.get("ci"))
        mark = looks.get(str(row.get("retriever")))
        ax.barh(place, np.nan_to_num(money), 0.6, color=mark.colour if mark else "#56b4e9")
        if np.isfinite(ends).all():
            ax.plot(ends, (place, place), color=INK, lw=1.6)
        if np.isfinite(money):
            edge = ends[1] if np.isfinite(ends).all() else money
            words = wording.number(round(float(money), 1))
            ax.annotate(words, (edge, place), (5, 0), textcoords="offset points", va="center", fontsize=9)
    name_bars(ax, [str(row.get("retriever")) for row in rows])
    _room_right(ax, 0.08)
    ax.set_xlabel("Revenue per 1,000 requests (currency units)")
    return figure


def section(results: Record) -> Section:
    """Random, popularity, the towers and the oracle on one scale."""
    found = results["references"]
    rows = [
        [str(row.get("retriever")), wording.number(row.get("revenue_per_1000")), wording.span(row.get("ci"))]
        for row in found["rows"]
    ]
    best = next((row.get("revenue_per_1000") for row in found["rows"] if row.get("retriever") == "oracle"), None)
    shares = [
        f"{row['retriever']} {wording.percent(row['revenue_per_1000'] / best, sign=False)}"
        for row in found["rows"]
        if wording.known(best)
        and best > 0
        and wording.known(row.get("revenue_per_1000"))
        and row.get("retriever") != "oracle"
    ]
    lead = f"Share of the oracle's revenue: {', '.join(shares)}." if shares else ""
    return Section(
        key="references",
        title="Between chance and the truth",
        lead=lead,
        figure="references",
        alt=f"Bars of revenue per 1,000 requests of the reference retrievers. {lead}",
        caption="Revenue per 1,000 requests, currency units, same ranker and auction; 95% t intervals over "
        f"{worlds(found.get('n_worlds'))}.",
        tables=(table("Reference retrievers", ("Retriever", "Revenue per 1,000", "95% CI"), rows),),
    )
