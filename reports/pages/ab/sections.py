"""What the page of an A/B run says, in its order; the sections are in `effect_sections`, `money_sections` and so on.

A section that the run has no numbers for is simply not built. Sentences are written from the numbers, so they stay true
when the treatment loses; nothing there computes a statistic beyond a ratio of two numbers already on the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reports.pages.ab.arms import has_rows
from reports.pages.ab.budget_sections import budgets
from reports.pages.ab.effect_sections import forest, ladder, mechanisms, metrics, per_day
from reports.pages.ab.model_sections import calibration, cost, index_recall, latency, learning
from reports.pages.ab.money_sections import funnel, k_sweep, plane, references
from reports.pages.ab.segment_sections import guardrails, segments
from reports.pages.parts import Section, appendix

Record = Mapping[str, Any]


def build(results: Record, timing: Record, manifest: Record, drawn: Iterable[str]) -> list[Section]:
    """The page's sections in order; those of a figure appear when the figure was drawn."""
    has = set(drawn)
    every = [
        metrics(results) if results.get("metrics") else None,
        forest(results) if "forest" in has else None,
        guardrails(results) if results.get("guardrails") else None,
        segments(results) if "segments" in has else None,
        per_day(results) if "per_day" in has else None,
        ladder(results) if "ladder" in has else None,
        funnel(results) if "funnel" in has else None,
        plane(results, timing) if "plane" in has else None,
        k_sweep(results, timing) if "k_sweep" in has else None,
        calibration(results) if "calibration" in has else None,
        learning(results) if "learning" in has else None,
        budgets(results) if "budgets" in has else None,
        mechanisms(results) if has_rows(results, "mechanisms") else None,
        latency(results, timing) if timing.get("latency") else None,
        cost(results) if results.get("cost") else None,
        index_recall(results) if results.get("index_recall") else None,
        references(results) if "references" in has else None,
        appendix(results, timing, manifest),
    ]
    return [section for section in every if section and (section.figure or section.tables)]
