"""The sections of an offline study's page, in its order; each is told in the file of its subject."""

from __future__ import annotations

from reports.pages.offline import cold, comparisons, days, log, noise, paper, scores, settings
from reports.pages.offline.looks import Record
from reports.pages.parts import Section


def build(results: Record) -> list[Section]:
    """The sections in the page's order."""
    every = (
        scores.section(results),
        comparisons.section(results),
        cold.section(results),
        noise.section(results),
        days.section(results),
        settings.section(results),
        paper.section(results),
        log.section(results["data"]),
    )
    return [section for section in every if section is not None]
