"""One self-contained HTML page, and the same tables as Markdown, from an ablation's run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import draw_into
from reports.pages import study as study_page
from reports.pages.ablation import figures as ablation_figures
from reports.pages.ablation import sections as ablation_sections

Record = Mapping[str, Any]
SCHEMA = 1


def write_page(results: Record, timing: Record, manifest: Record, out: Path) -> Path:
    """Draw the figures, write ``index.html`` and ``tables.md`` in the run directory; the page's path.

    Raises:
        ValueError: if the results are of a schema that this page does not know.
    """
    if results.get("schema") != SCHEMA:
        raise ValueError(f"schema of the ablation's results == {results.get('schema')}, must be {SCHEMA}")
    svgs = draw_into(out, ablation_figures.drawable(results))
    return study_page.write(
        out,
        title=f"Ablation of CS3 in {len(results['scenarios'])} scenario{'s' * (len(results['scenarios']) != 1)}",
        facts=facts(results),
        verdict=ablation_sections.headline(results),
        built=ablation_sections.build(results, timing, manifest, svgs),
        svgs=svgs,
        small=bool(results.get("small")),
        brand="ablation",
    )


def facts(results: Record) -> list[str]:
    """The run in a few words."""
    found = list(results["scenarios"].values())
    fresh = sorted({w for one in found for w in one["worlds"]})
    return [
        ", ".join(results["scenarios"]),
        f"fresh worlds {wording.numbers(fresh)}, chosen on {wording.numbers(results['choosing'])}",
        "all cells with the base's settings" if results["settings"]["how"] == "shared" else "each cell tuned alike",
    ]
