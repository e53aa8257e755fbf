"""Who gains and who loses, segment by segment: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import canvas, direction, dot_rows, effect, metric_row, percent_axis, styled
from reports.drawing.tables import Cell, table
from reports.pages.ab.guardrails import worlds_of
from reports.pages.parts import TONES, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
ALPHA = 0.05


def measures(results: Record) -> dict[str, list[Record]]:
    """The rows of the segments by measure, in the order of the run."""
    found: dict[str, list[Record]] = {}
    for row in results.get("segments") or ():
        found.setdefault(str(row.get("measure_label")), []).append(row)
    return found


@styled
def figure(results: Record) -> Figure:
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


def section(results: Record) -> Section:
    """Lift of each segment in each measure."""
    found = list(results["segments"])
    rows: list[list[str | Cell]] = []
    for one in found:
        tone = TONES.get(direction(one), "")
        sides = [wording.number(one.get(side)) for side in ("control", "treatment")]
        shown = " and ".join(wording.number(count) for count in dict.fromkeys(map(_whole, one.get("rows") or ())))
        rows.append(
            [str(one.get("label")), str(one.get("measure_label")), *sides,
             Cell(text=wording.percent(effect(one)), tone=tone), wording.span(one.get("ci"), wording.percent),
             wording.p_value(one.get("p")), wording.p_value(one.get("q")), wording.number(_whole(one.get("members"))),
             shown or wording.MISSING]
        )  # fmt: skip
    who = dict.fromkeys((str(one.get("label")), str(one.get("who"))) for one in found)
    lead = _lead(found)
    columns = ("Segment", "Measure", str(results.get("control")), str(results.get("treatment")), "Lift", "95% CI", "p",
               "q", "Users or ads", "Impressions")  # fmt: skip
    return Section(
        key="segments",
        title="Who gains",
        lead=lead,
        figure="segments",
        alt=f"Dot plot of the lift of {len(who)} segments in {len(measures(results))} measures with 95% intervals. "
        f"{lead}",
        caption="Lift in per cent, paired over worlds, 95% t intervals, uncorrected; filled: the interval leaves 0; an "
        "arrow at the edge: it goes on. "
        "q: Benjamini-Hochberg over all rows. Segments overlap, and follow from the burn-in alone, so both arms are "
        f"compared on the same users and ads. Arm columns, users or ads and impressions (both arms) are means over "
        f"{worlds_of(found)}.",
        tables=(
            table("Lift by segment", columns, rows),
            table("Who is in a segment", ("Segment", "Rule"), who, prose=True),
        ),
    )


def _lead(found: list[Record]) -> str:
    sure = [one for one in found if wording.known(one.get("q")) and one["q"] < ALPHA and direction(one)]
    if not any(wording.known(one.get("q")) for one in found):
        return "No segment could be tested."
    if not sure:
        return f"No segment's gain or loss stands out of luck (q below {ALPHA})."
    said = (f"{one['label']}, {str(one['measure_label']).lower()}: {wording.percent(effect(one))}" for one in sure)
    return f"Beyond luck (q below {ALPHA}): {'; '.join(said)}."


def _whole(count: Any) -> Any:
    return round(count) if wording.known(count) else None
