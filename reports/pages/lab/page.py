"""One self-contained HTML page, and the same tables as Markdown, from a laboratory's run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import draw_into
from reports.pages import study as study_page
from reports.pages.lab import figures as lab_figures
from reports.pages.lab import sections as lab_sections
from reports.pages.parts import appendix, lights

Record = Mapping[str, Any]
SCHEMA = 1


def write_page(results: Record, timing: Record, manifest: Record, out: Path) -> Path:
    """Draw the figures, write ``index.html`` and ``tables.md`` in the run directory; the page's path.

    Raises:
        ValueError: if the results are of a schema that this page does not know.
    """
    if results.get("schema") != SCHEMA:
        raise ValueError(f"schema of the laboratory's results == {results.get('schema')}, must be {SCHEMA}")
    svgs = draw_into(out, lab_figures.drawable(results))
    return study_page.write(
        out,
        brand="laboratory",
        title=f"Laboratory of designs: {results['scenario']}",
        facts=facts(results),
        verdict=lab_sections.headline(results),
        built=lab_sections.build(results, timing, manifest, svgs),
        svgs=svgs,
        small=bool(results.get("small")),
        lights=lights(results),
    )


def facts(results: Record) -> list[str]:
    """The run in a few words."""
    days = results["days"]
    return [
        f"worlds {wording.numbers(results['worlds'])}",
        f"{days['burn_in']} days of burn-in, {days['test']} of test",
        f"{wording.number(results['requests_per_world'])} test requests a world",
        f"{wording.number(results['users'])} users",
        f"K = {results['k']} of {wording.number(results['ads'])} ads, {results['slots']} slots",
    ]


def write_power_page(power: Record, results: Record, timing: Record, manifest: Record, out: Path) -> Path:
    """The page of a laboratory with the power of its designs above all else; its path.

    Args:
        power: the dict of power.json.
        results: the laboratory's.
        timing: its clock's.
        manifest: its record.
        out: its run directory.
    """
    drawable = {"power": lambda: lab_figures.power(power), **lab_figures.drawable(results)}
    svgs = draw_into(out, drawable)
    first = lab_sections.power(power, svgs)
    return study_page.write(
        out,
        brand="laboratory",
        title=f"Power: {power['treatment']} against {power['control']}",
        facts=facts(results),
        verdict=first.title,
        built=[first, *lab_sections.build(results, timing, manifest, svgs)],
        svgs=svgs,
        small=bool(results.get("small")),
        lights=lights(results),
    )


def write_sensitivity_page(results: Record, timing: Record, manifest: Record, out: Path) -> Path:
    """Draw the figure of a sensitivity study, write ``index.html`` and ``tables.md`` beside it; the page's path."""
    svgs = draw_into(out, {"sensitivity": lambda: lab_figures.sensitivity(results)})
    built = lab_sections.sensitivity(results, svgs)
    return study_page.write(
        out,
        brand="laboratory",
        title=f"Sensitivity to {results['dial']}: {results['scenario']}",
        facts=[
            f"worlds {wording.numbers(results['worlds'])}",
            f"{results['days']['burn_in']} days of burn-in, {results['days']['test']} of test",
        ],
        verdict=built.lead,
        built=[built, appendix(results, timing, manifest)],
        svgs=svgs,
        small=bool(results.get("small")),
        lights=lights(results),
    )
