"""All metrics in one table: both arms, the effect, its interval and its tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction, effect
from reports.drawing.tables import Cell, table
from reports.pages.parts import TONES, Section, speller

Record = Mapping[str, Any]


def section(results: Record) -> Section:
    """Every metric, both arms, effect, interval, p, Holm p and n."""
    rows: list[list[str | Cell]] = []
    for metric in results["metrics"].values():
        spell, tone = speller(metric), TONES.get(direction(metric), "")
        name = str(metric.get("label")) + (f" ({metric['unit']})" if metric.get("unit") else "")
        sides = [wording.number(metric.get("control")), wording.number(metric.get("treatment"))]
        ends = wording.span(metric.get("ci"), spell)
        tests = [wording.p_value(metric.get("p")), holm(metric), wording.number(metric.get("n_worlds"))]
        strong = Cell(text=name, tone="strong" if metric.get("headline") else "")
        rows.append([strong, *sides, Cell(text=spell(effect(metric)), tone=tone), ends, *tests])
    control, treatment = str(results.get("control")), str(results.get("treatment"))
    if control == treatment:
        control, treatment = f"{control} (A)", f"{treatment} (A)"
    columns = ("Metric", control, treatment, "Effect", "95% CI", "p", "Holm p", "n")
    return Section(
        key="metrics",
        title="All metrics",
        lead="Per cent is a relative lift, a plain number an absolute difference. Headline metrics are in bold and "
        "share one Holm correction; the others are shown uncorrected and carry no claim.",
        caption="Arm columns: mean over worlds. Effect: true effect by twin worlds, paired over worlds; 95% t "
        "interval; p from the paired t test; n counts worlds.",
        tables=(table("", columns, rows, shown=True),),
    )


def holm(metric: Record) -> str:
    """Holm's p of a headline metric in words, a dash for the others."""
    return wording.p_value(metric.get("p_holm")) if wording.known(metric.get("p_holm")) else "\N{EM DASH}"
