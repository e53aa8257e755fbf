"""What each mechanism adds alone: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import Row, canvas, dot_rows, floats, interval, percent_axis, styled
from reports.drawing.tables import Cell, table
from reports.pages.ab.metrics import holm
from reports.pages.parts import WORDS, Section, worlds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
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


def section(results: Record) -> Section:
    """Each mechanism alone, and the paper's claim called."""
    found = results["mechanisms"]
    rows: list[list[str | Cell]] = [
        [
            str(row.get("mechanism") or row.get("arm")),
            str(row.get("claim") or ""),
            wording.percent(row.get("lift")),
            wording.span(row.get("ci"), wording.percent),
            wording.p_value(row.get("p")),
            holm(row),
            Cell(text=str(row.get("word") or "undecided"), tone=WORDS.get(str(row.get("word")), "")),
        ]
        for row in found["rows"]
    ]
    said = [f"{row.get('mechanism') or row.get('arm')} {row.get('word') or 'undecided'}" for row in found["rows"]]
    lead = f"The paper's claims: {', '.join(said)}."
    apart = any(wording.known(row.get("lift")) for row in found["rows"])
    columns = ("Mechanism", "Claim", "Lift", "95% CI", "p", "Holm p", "Call")
    return Section(
        key="mechanisms",
        title="Mechanism by mechanism",
        lead=f"{lead} {found.get('note') or ''}".strip(),
        figure="mechanisms" if apart else "",
        alt=f"Lift of each mechanism alone with 95% intervals. {lead}",
        caption=f"Lift of revenue over the control in per cent; 95% t intervals over {worlds(found.get('n_worlds'))}.",
        tables=(table("Claims", columns, rows, prose=True, shown=not apart),),
    )
