"""The arms of a run and their numbers, as its figures and its sections both read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import MARKS, Mark

Record = Mapping[str, Any]


def arms(results: Record) -> list[str]:
    """The compared arms, control first, treatment second (once in an A/A run), then any other that has a curve."""
    named = [results.get("control"), results.get("treatment")]
    for section in ("learning", "funnel", "k_sweep", "calibration"):
        named.extend(results.get(section) or {})
    return [arm for arm in dict.fromkeys(named) if arm]


def marks(results: Record) -> dict[str, Mark]:
    """Each arm's mark, the same in every figure of the run."""
    return {arm: MARKS[place % len(MARKS)] for place, arm in enumerate(arms(results))}


def by_arm(results: Record, section: str) -> dict[str, Record]:
    """`results[section]` for the arms that have it, in the page's order of arms."""
    found = results.get(section) or {}
    return {arm: found[arm] for arm in arms(results) if found.get(arm)}


def revenue_per_1000(results: Record, arm: str) -> Any:
    """Revenue per 1,000 requests of an arm: the A/B's own metric, else its K sweep at the run's K, else its funnel."""
    side = "control" if arm == results.get("control") else "treatment" if arm == results.get("treatment") else ""
    metric = (results.get("metrics") or {}).get("revenue_per_1000") or {}
    if wording.known(metric.get(side)):
        return metric[side]
    sweep = by_arm(results, "k_sweep").get(arm)
    if sweep and results.get("k") in sweep["k"]:
        return sweep["revenue"]["mean"][sweep["k"].index(results["k"])]
    return by_arm(results, "funnel").get(arm, {}).get("sold")


def recall_at_k(results: Record, arm: str) -> Any:
    """Recall of an arm: the first metric called recall..., else the last day of its learning curve."""
    side = "control" if arm == results.get("control") else "treatment" if arm == results.get("treatment") else ""
    for key, metric in (results.get("metrics") or {}).items():
        if key.startswith("recall") and wording.known(metric.get(side)):
            return metric[side]
    curve = (by_arm(results, "learning").get(arm, {}).get("recall") or {}).get("mean") or [None]
    return curve[-1]


def cascade_by_k(timing: Record, arm: str) -> dict[int, Any]:
    """The cascade's p50 in ms of each timed K; a K that was not timed answers None."""
    timed = ((timing.get("latency") or {}).get(arm) or {}).get("k") or {}
    found = dict(zip(timed.get("k") or (), timed.get("cascade_p50_ms") or (), strict=True))
    return _Gaps(found)


class _Gaps(dict[int, Any]):
    """A dict that answers None for what it has not."""

    def __missing__(self, key: int) -> None:
        return None


def has_rows(results: Record, section: str) -> bool:
    """Whether a section of kind `{"rows": [...]}` has any row."""
    return bool((results.get(section) or {}).get("rows"))


def told_apart(results: Record) -> bool:
    """Whether the run measured any mechanism alone."""
    return any(wording.known(row.get("lift")) for row in results["mechanisms"]["rows"])
