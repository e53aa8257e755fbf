"""What must not be harmed, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import effect
from reports.drawing.tables import Cell, table
from reports.pages.parts import Section, speller, worlds

STATES = {"holds": "", "broken": "bad", "harmed": "bad", "not shown": "warn", "not measured": "warn", "dropped": ""}
Record = Mapping[str, Any]


def section(results: Record) -> Section:
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
        f"measured in a test too short for that. 95% t intervals over {worlds_of(found)}.",
        tables=(table("", columns, rows, shown=True),),
    )


def worlds_of(found: list[Record]) -> str:
    """How many worlds rows were compared over, in words."""
    return worlds(max((one.get("n_worlds") or 0 for one in found), default=0) or None)
