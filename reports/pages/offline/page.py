"""One self-contained HTML page from an offline study or a sweep; it opens offline, like the page of an A/B run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import write_aside
from reports.pages.offline import log, sweep, verdicts
from reports.pages.offline.cells import period
from reports.pages.offline.figures import draw_all
from reports.pages.offline.looks import Record
from reports.pages.offline.sections import build
from reports.pages.shell import inlined, template

SCHEMAS = {"offline": 2, "sweep": 1}
"""Kind of results -> the schema that this page knows."""


def write_page(results: Record, out: Path) -> Path:
    """Draw the figures and write ``index.html`` in the run directory; its path.

    Args:
        results: the dict of results.json.
        out: the run directory.

    Raises:
        ValueError: if the results are of a schema that this page does not know.
    """
    return _write(render, results, out)


def write_sweep_page(results: Record, out: Path) -> Path:
    """Draw the figure of a sweep and write ``index.html`` in its directory; its path.

    Args:
        results: the dict of sweep.json.
        out: the sweep's directory.

    Raises:
        ValueError: as `write_page`.
    """
    return _write(render_sweep, results, out)


def _write(of: Any, results: Record, out: Path) -> Path:
    _known(results)
    path = out / "index.html"
    write_aside(path, of(results, draw_all(results, out)).encode())
    return path


def _known(results: Record) -> None:
    kind = str(results.get("kind"))
    if results.get("schema") != SCHEMAS.get(kind):
        msg = f"schema of the {kind} results == {results.get('schema')}, must be {SCHEMAS.get(kind)}"
        raise ValueError(msg)


def render(results: Record, svgs: Mapping[str, str]) -> str:
    """The page's HTML, the same text for the same input.

    Args:
        results: the dict of results.json.
        svgs: SVG text by figure name, as `draw_all` returns it.
    """
    built = build(results)
    return template("offline.html").render(
        title=f"Offline replay of {results['data']['name']}",
        facts=facts(results),
        lights=verdicts.lights(results),
        rule=verdicts.rule(),
        sections=built,
        figures=inlined(built, svgs),
        titled=True,
        source="results.json",
    )


def render_sweep(results: Record, svgs: Mapping[str, str]) -> str:
    """The HTML of a sweep's page, the same text for the same input."""
    built = [sweep.section(results), log.section(results["data"])]
    return template("offline.html").render(
        title=f"{str(results['dial']).replace('_', ' ').capitalize()} on {results['data']['name']}",
        facts=facts(results),
        lights=[],
        rule="",
        sections=built,
        figures=inlined(built, svgs),
        titled=True,
        source="sweep.json",
    )


def facts(results: Record) -> list[str]:
    """The run in a few words."""
    data, seeds = results["data"], results["seeds"]
    found = [
        f"{wording.number(data['kept'])} impressions",
        f"{wording.number(data['train_rows'])} before the test, {wording.number(data['test_rows'])} in it",
        f"seed{'' if len(seeds) == 1 else 's'} {wording.numbers(seeds)}",
    ]
    if "label_wait" in results:
        found.append(f"label wait {period(results['label_wait'])}")
    if "sync" in results:
        found.append(f"published every {period(results['sync'])}")
    return found
