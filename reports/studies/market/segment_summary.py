"""Segments of all worlds -> the rows of ``results.json``: lifts paired over worlds, corrected for being many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.numbers.claims import give_q
from reports.numbers.paired import paired_lift
from reports.studies.market.segments import COLD

Facts = Mapping[str, Any]

SEGMENTS = {
    "cold_users": ("Cold users", f"fewer than {COLD} impressions in the burn-in"),
    "returning_users": ("Returning users", f"at least {COLD} impressions in the burn-in"),
    "heavy_users": ("Heavy users", "the top tenth by impressions in the burn-in, of the users that it saw"),
    "new_ads": ("New ads", "start after the burn-in"),
    "head_ads": ("Head ads", "the top tenth by impressions in the burn-in"),
    "tail_ads": ("Tail ads", "all ads that are not head ads, new ones among them"),
}
"""Segment -> its name and who is in it, in the order of the rows."""
MEASURES = {
    "expected_revenue": ("Revenue, expected given the slates", "currency", "higher"),
    "expected_clicks": ("Clicks, expected given the slates", "count", "higher"),
    "impressions": ("Impressions", "count", "none"),
    "expected_conversions": ("Conversions, expected given the slates", "count", "higher"),
    "conversions": ("Conversions", "count", "higher"),
}
"""Measure -> its name, unit and good side. The expected ones know the truth and are free of the luck of the click."""
OF_ADS = ("impressions",)
"""Measures of segments of ads alone: how many impressions a user gets is her traffic's business, not an arm's."""


def segment_rows(control: Sequence[Facts], treatment: Sequence[Facts]) -> list[dict[str, Any]]:
    """A row per segment and measure; conversions are there where they are on, impressions for ads alone.

    Args:
        control: facts of the control's cells, a world each.
        treatment: facts of the treatment's cells, the same worlds.

    Returns:
        Rows with ``control`` and ``treatment`` (mean over worlds), ``rel_effect`` with ``ci`` and ``p`` paired over
        worlds, Benjamini-Hochberg's ``q`` over all rows that have a p, ``n_worlds``, ``members`` (users or ads in the
        segment) and ``rows`` (impressions of both arms) as means over worlds. A lift over nothing is None. No row
        without both sides' facts, as in runs of older versions.
    """
    if not all("by_segment" in facts for facts in (*control, *treatment)):
        return []
    rows = []
    for segment, (label, who) in SEGMENTS.items():
        for measure, (name, unit, better) in MEASURES.items():
            if measure in OF_ADS and segment.endswith("users"):
                continue
            if all(measure in facts["by_segment"][segment] for facts in (*control, *treatment)):
                head = {"segment": segment, "measure": measure, "label": label, "who": who, "measure_label": name}
                found = _compare(control, treatment, segment, measure)
                rows.append(head | {"unit": unit, "kind": "ratio", "better": better} | found)
    give_q(rows)
    return rows


def _compare(control: Sequence[Facts], treatment: Sequence[Facts], segment: str, measure: str) -> dict[str, Any]:
    def read(arm: Sequence[Facts], key: str) -> Any:
        return np.array([facts["by_segment"][segment][key] for facts in arm], dtype=np.float64)

    a, b = read(control, measure), read(treatment, measure)
    row = {
        "control": float(a.mean()),
        "treatment": float(b.mean()),
        "rel_effect": None,
        "ci": [None, None],
        "p": None,
        "q": None,
        "n_worlds": len(a),
        "members": float(read(control, "members").mean()),
        "rows": [float(read(arm, "impressions").mean()) for arm in (control, treatment)],
        "per_world": [],
    }
    if (a <= 0).any() or (b <= 0).any():
        return row
    lift = paired_lift(a, b)
    tested = len(a) > 1
    return row | {
        "rel_effect": lift.rel_effect,
        "ci": [lift.lo, lift.hi] if tested else [None, None],
        "p": lift.p if tested else None,
        "per_world": lift.per_world.tolist(),
    }


__all__ = ["MEASURES", "SEGMENTS", "segment_rows"]
