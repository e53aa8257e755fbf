"""Which rung the gain is on, bare tower, counters or CS3: the picture and its words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import Row, canvas, dot_rows, floats, interval, percent_axis, styled
from reports.drawing.tables import table
from reports.pages.parts import ARROW, Section, worlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
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


def section(results: Record) -> Section:
    """Bare tower, counters, CS3: which rung the gain is on."""
    found = results["ladder"]
    rungs = found["rows"]
    rows = [
        [
            str(rung.get("arm")),
            wording.number(rung.get("revenue_per_1000")),
            wording.percent(rung.get("lift_vs_bare")),
            wording.span(rung.get("ci"), wording.percent),
            wording.number(rung.get("recall")),
        ]
        for rung in rungs
    ]
    lead = _ladder_lead(rungs)
    return Section(
        key="ladder",
        title="The ladder: what is CS3's and what is not",
        lead=lead,
        figure="ladder",
        alt=f"Lift over the bare tower of each rung with 95% intervals. {lead}",
        caption=f"Lift of revenue over the tower without online counters, in per cent; 95% t intervals over "
        f"{worlds(found.get('n_worlds'))}. {found.get('note') or ''}".strip(),
        tables=(table("Rungs", ("Arm", "Revenue per 1,000", "Lift over bare", "95% CI", "Recall"), rows),),
    )


def _ladder_lead(rungs: Sequence[Record]) -> str:
    steps = []
    for below, rung in itertools.pairwise(rungs):
        low, high = below.get("revenue_per_1000"), rung.get("revenue_per_1000")
        if wording.known(low) and wording.known(high) and low > 0:
            steps.append(f"{below.get('arm')} {ARROW} {rung.get('arm')}: {wording.percent(high / low - 1)}")
    return f"Revenue, rung by rung: {'; '.join(steps)}." if steps else ""
