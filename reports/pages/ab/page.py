"""One self-contained HTML page from an A/B run: the verdict first, then every figure with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing import strokes, wording
from reports.pages import parts
from reports.pages.ab import figures, headline, sections
from reports.pages.shell import inlined, template

Record = Mapping[str, Any]
SCHEMA = 1


def render(results: Record, timing: Record, manifest: Record, svgs: Mapping[str, str]) -> str:
    """The page's HTML.

    Args:
        results: the dict of results.json, schema 1; absent or null sections are skipped.
        timing: the dict of timing.json; may be empty.
        manifest: the dict of manifest.json; may be empty.
        svgs: SVG text by figure name, as `figures.draw_all` returns it.

    Returns:
        A complete HTML document, the same text for the same input.

    Raises:
        ValueError: if the results are of a schema that this page does not know.
    """
    if results.get("schema", SCHEMA) != SCHEMA:
        msg = f"results schema == {results['schema']}, must be {SCHEMA}"
        raise ValueError(msg)
    built = sections.build(results, timing, manifest, svgs)
    return template("page.html").render(
        title=title(results),
        facts=facts(results),
        small=bool(results.get("small")),
        verdict=results.get("verdict") or {},
        tone=parts.WORDS.get(str((results.get("verdict") or {}).get("word")), "warn"),
        truth=truth(results),
        lights=headline.lights(results),
        tiles=headline.tiles(results, timing),
        sections=built,
        figures=inlined(built, svgs),
    )


def title(results: Record) -> str:
    """The page's title: treatment against control, or A/A when they are one."""
    control, treatment = results.get("control"), results.get("treatment")
    if not control or not treatment:
        return str(results.get("scenario") or "cs3-bench run")
    return f"A/A run of {control}" if control == treatment else f"{treatment} against {control}"


def facts(results: Record) -> list[str]:
    """The run in a few words for the page's head: scenario, worlds, days, requests, K and slots."""
    days, requests = results.get("days") or {}, results.get("requests_per_world") or {}
    worlds = len(results.get("worlds") or ())
    found = [
        (results.get("scenario"), f"scenario {results.get('scenario')}"),
        (worlds, parts.worlds(worlds)),
        (
            days.get("test"),
            f"{wording.number(days.get('burn_in'))} burn-in + {wording.number(days.get('test'))} test days",
        ),
        (requests.get("test"), f"{wording.number(requests.get('test'))} test requests a world and arm"),
        (results.get("k"), f"K = {wording.number(results.get('k'))}"),
        (results.get("slots"), f"{wording.number(results.get('slots'))} slots"),
        (results.get("ranker"), f"ranker {results.get('ranker')}"),
    ]
    return [words for present, words in found if present]


def truth(results: Record) -> str:
    """The line below the verdict: the lift, its interval, and how it stands to the truth; "" without a lift."""
    main, same = headline.main_metric(results), results.get("control") == results.get("treatment")
    if main is None or same or not wording.known(strokes.effect(main)):
        return ""
    spell = parts.speller(main)
    return (
        f"{main.get('label')} lift {spell(strokes.effect(main))}, 95% CI {wording.span(main.get('ci'), spell)}, "
        f"{parts.worlds(main.get('n_worlds'))}. Truth: twin worlds run both arms on the same users and traffic, so "
        "the estimate is the true effect in these worlds and has no bias there; the interval speaks of other worlds of "
        "the same scenario."
    )


def write_page(results: Record, timing: Record, manifest: Record, out: Path) -> Path:
    """Draws the figures of a run and writes its page.

    Args:
        results: the dict of results.json.
        timing: the dict of timing.json; may be empty.
        manifest: the dict of manifest.json; may be empty.
        out: the run directory; `figures/` and `index.html` are written in it, each file aside and then renamed.

    Returns:
        The path of `index.html`.
    """
    svgs = figures.draw_all(results, timing, out)
    path = out / "index.html"
    strokes.write_aside(path, render(results, timing, manifest, svgs).encode())
    return path
