"""What the treatment must not harm: the verdict's guardrails, and measures that are only watched.

The verdict reads advertiser surplus and the expected revenue from cold users. How impressions are shared out among ads
and whether new ads get a start are shown beside them, but decide nothing: no margin was fixed for them before the runs
that are reported, and a margin chosen afterwards would be fitted to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.numbers.rounding import no_rounding
from reports.numbers.verdict import Guardrail

Rows = Mapping[str, Mapping[str, Any]]

MARGINS = {"surplus": 0.02, "cold_users": 0.02}
"""Metrics that are guardrails of the verdict: relative harm that is still tolerated."""
ABSENT = {
    "surplus": "it is 0 in both arms, as under first price, where a winner pays all that a click is worth to her",
    "cold_users": "it is 0 in both arms: no cold user is asked for ads",
}
"""Why a guardrail may not exist."""
WATCHED = ("exposure_gini", "new_ad_survival")
"""Metrics that are shown beside them; the verdict does not read them."""
KEPT = ("label", "unit", "kind", "better", "control", "treatment", "rel_effect", "effect", "ci", "n_worlds")


def _guardrail(rows: Rows, key: str) -> Guardrail:
    row = rows[key]
    lo, hi = (float("nan") if end is None else float(end) for end in row["ci"])
    absent = ABSENT[key] if key in ABSENT and _nothing(rows, key) else ""
    return Guardrail(row["label"], lo, hi, MARGINS.get(key, 0.0), row["better"] == "higher", absent)


def _nothing(rows: Rows, key: str) -> bool:
    """Whether there is none of a share of the market's welfare in either arm, but for rounding."""
    return all(float(no_rounding(rows[key][side], rows["welfare"][side])) == 0 for side in ("control", "treatment"))


def guardrails(rows: Rows) -> list[Guardrail]:
    """The verdict's guardrails from a run's metrics."""
    return [_guardrail(rows, key) for key in MARGINS]


def guardrail_rows(rows: Rows) -> list[dict[str, Any]]:
    """All guardrails and watched measures for ``results.json``.

    A guardrail "holds" if its interval rules out harm beyond the margin, is "broken" if the whole interval lies beyond
    it, else it is "not shown"; "not measured" without an interval; "dropped", with the reason, where it can't exist. A
    watched measure is judged likewise, by a margin of 0: instead of broken it is "harmed".
    """
    found = []
    for key in (*MARGINS, *WATCHED):
        one = _guardrail(rows, key)
        state = "harmed" if key in WATCHED and one.state == "broken" else one.state
        head = {"metric": key, "decides": key in MARGINS, "margin": MARGINS.get(key), "state": state}
        why = {"why": one.absent} if one.absent else {}
        found.append(head | why | {name: rows[key][name] for name in KEPT})
    return found
