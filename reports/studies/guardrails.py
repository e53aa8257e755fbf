"""What the treatment must not harm: the verdict's guardrails, and measures that are only watched.

The verdict reads advertiser surplus and the expected revenue from cold users. How impressions are shared out among ads
and whether new ads get a start are shown beside them, but decide nothing: no margin was fixed for them before the runs
that are reported, and a margin chosen afterwards would be fitted to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.verdict import Guardrail

Rows = Mapping[str, Mapping[str, Any]]

MARGINS = {"surplus": 0.02, "cold_users": 0.02}
"""Metrics that are guardrails of the verdict: relative harm that is still tolerated."""
WATCHED = ("exposure_gini", "new_ad_survival")
"""Metrics that are shown beside them; the verdict does not read them."""
KEPT = ("label", "unit", "kind", "better", "control", "treatment", "rel_effect", "effect", "ci", "n_worlds")


def _guardrail(row: Mapping[str, Any], margin: float) -> Guardrail:
    lo, hi = (float("nan") if end is None else float(end) for end in row["ci"])
    return Guardrail(row["label"], lo, hi, margin, row["better"] == "higher")


def guardrails(rows: Rows) -> list[Guardrail]:
    """The verdict's guardrails from a run's metrics."""
    return [_guardrail(rows[key], margin) for key, margin in MARGINS.items()]


def guardrail_rows(rows: Rows) -> list[dict[str, Any]]:
    """All guardrails and watched measures for ``results.json``.

    A guardrail is "broken" if its whole interval lies beyond the margin; a watched measure is "harmed" if its whole
    interval lies on the bad side of 0; without an interval it is "not measured"; else it "holds".
    """
    found = []
    for key in (*MARGINS, *WATCHED):
        margin = MARGINS.get(key)
        one = _guardrail(rows[key], margin or 0.0)
        bad = "harmed" if margin is None else "broken"
        state = "not measured" if not one.measured else bad if one.broken else "holds"
        head = {"metric": key, "decides": margin is not None, "margin": margin, "state": state}
        found.append(head | {name: rows[key][name] for name in KEPT})
    return found
