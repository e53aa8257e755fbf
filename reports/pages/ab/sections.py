"""What the page of an A/B run says, in its order; each section is told in the file of its subject.

A section that the run has no numbers for is simply not built. Sentences are written from the numbers, so they stay true
when the treatment loses; nothing there computes a statistic beyond a ratio of two numbers already on the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reports.pages.ab import (
    budgets,
    calibration,
    costs,
    days,
    forest,
    funnel,
    guardrails,
    k_sweep,
    ladder,
    learning,
    mechanisms,
    metrics,
    plane,
    references,
    segments,
)
from reports.pages.ab.arms import has_rows
from reports.pages.parts import Section, appendix

Record = Mapping[str, Any]


def build(results: Record, timing: Record, manifest: Record, drawn: Iterable[str]) -> list[Section]:
    """The page's sections in order; those of a figure appear when the figure was drawn."""
    has = set(drawn)
    every = [
        metrics.section(results) if results.get("metrics") else None,
        forest.section(results) if "forest" in has else None,
        guardrails.section(results) if results.get("guardrails") else None,
        segments.section(results) if "segments" in has else None,
        days.section(results) if "per_day" in has else None,
        ladder.section(results) if "ladder" in has else None,
        funnel.section(results) if "funnel" in has else None,
        plane.section(results, timing) if "plane" in has else None,
        k_sweep.section(results, timing) if "k_sweep" in has else None,
        calibration.section(results) if "calibration" in has else None,
        learning.section(results) if "learning" in has else None,
        budgets.section(results) if "budgets" in has else None,
        mechanisms.section(results) if has_rows(results, "mechanisms") else None,
        costs.latency(results, timing) if timing.get("latency") else None,
        costs.cost(results) if results.get("cost") else None,
        costs.index_recall(results) if results.get("index_recall") else None,
        references.section(results) if "references" in has else None,
        appendix(results, timing, manifest),
    ]
    return [section for section in every if section and (section.figure or section.tables)]
