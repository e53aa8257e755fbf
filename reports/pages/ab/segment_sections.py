"""What the page says about who gains and who loses: the guardrails, and the lift of each segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction, effect
from reports.drawing.tables import Cell, table
from reports.pages.ab.segment_figures import measures
from reports.pages.parts import TONES, Section, speller, worlds

Record = Mapping[str, Any]

STATES = {"holds": "", "broken": "bad", "harmed": "bad", "not shown": "warn", "not measured": "warn", "dropped": ""}
ALPHA = 0.05


def guardrails(results: Record) -> Section:
    """What must not be harmed: what the verdict reads, and what is only watched."""
    found = results["guardrails"]
    rows: list[list[str | Cell]] = []
    for one in found:
        spell, state = speller(one), str(one.get("state"))
        limit = wording.percent(one.get("margin"), sign=False) if one.get("decides") else "watched only"
        rows.append(
            [str(one.get("label")), *(wording.number(one.get(side)) for side in ("control", "treatment")),
             spell(effect(one)), wording.span(one.get("ci"), spell), limit,
             Cell(text=state, tone=STATES.get(state, ""))]
        )  # fmt: skip
    said = {state: [str(one.get("label")) for one in found if one.get("state") == state] for state in STATES}
    lead = "".join(
        f"{state.capitalize()}: {', '.join(names)}. " for state, names in said.items() if names and state != "holds"
    )
    lead += " ".join(f"{one['label']}: {one['why']}." for one in found if one.get("why"))
    columns = ("Measure", str(results.get("control")), str(results.get("treatment")), "Effect", "95% CI",
               "Tolerated harm", "State")  # fmt: skip
    return Section(
        key="guardrails",
        title="What must not be harmed",
        lead=lead.strip() or "Every guardrail holds, and nothing that is watched is harmed.",
        caption="Guardrails are part of the verdict: broken if the whole interval lies beyond the tolerated harm, "
        "holding if it rules such harm out, else not shown; one that is 0 in both arms is dropped. The others are "
        "watched and decide nothing: harmed if the whole interval lies on the bad side of 0. Gini of "
        "impressions: over the ads inside their dates at some time of the test; lower is more even. New ads clicked: "
        "of the ads that start in the test with three whole days in it, the share with a click in those days; not "
        f"measured in a test too short for that. 95% t intervals over {_worlds(found)}.",
        tables=(table("", columns, rows, shown=True),),
    )


def segments(results: Record) -> Section:
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
        f"{_worlds(found)}.",
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


def _worlds(found: list[Record]) -> str:
    return worlds(max((one.get("n_worlds") or 0 for one in found), default=0) or None)


def _whole(count: Any) -> Any:
    return round(count) if wording.known(count) else None
