"""One self-contained HTML page, and the same tables as Markdown, from an arena's run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing import wording
from reports.pages import study as study_page
from reports.pages.arena import figures as arena_figures
from reports.pages.arena import sections as arena_sections
from reports.pages.parts import lights

Record = Mapping[str, Any]
SCHEMA = 1


def write_page(results: Record, timing: Record, manifest: Record, out: Path) -> Path:
    """Draw the figures, write ``index.html`` and ``tables.md`` in the run directory; the page's path.

    Raises:
        ValueError: if the results are of a schema that this page does not know.
    """
    if results.get("schema") != SCHEMA:
        raise ValueError(f"schema of the arena's results == {results.get('schema')}, must be {SCHEMA}")
    svgs = arena_figures.draw_all(results, timing, out)
    built = arena_sections.build(results, timing, manifest, svgs)
    return study_page.write(
        out,
        title=f"Arena: {len(results['arms'])} arms in {results['scenario']}",
        facts=facts(results),
        small=bool(results.get("small")),
        verdict=arena_sections.headline(results),
        lights=lights(results),
        built=built,
        svgs=svgs,
        brand="arena",
    )


def facts(results: Record) -> list[str]:
    """The run in a few words."""
    days = results["days"]
    return [
        f"worlds {wording.numbers(results['worlds'])}",
        f"{days['burn_in']} days of burn-in, {days['test']} of test",
        f"K = {results['k']} of {wording.number(results['ads'])} ads, {results['slots']} slots",
        f"ranker {results['ranker']}",
        "every rival tuned alike" if results["tuned"] else "defaults for all",
    ]
