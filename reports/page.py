"""One self-contained HTML page from a run: the verdict first, then every figure with its numbers.

The page opens offline: style, script and SVG are inline, nothing is fetched, and its security policy forbids it. The
script sorts tables and shows the values of marks; without it the page reads the same. Figures take their colours from
CSS variables, so one picture serves the light and the dark theme and prints in ink.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import figures, headline, parts, sections, strokes, wording

if TYPE_CHECKING:
    import jinja2

Record = Mapping[str, Any]
SCHEMA = 1

# Colour of a figure -> variable of page.css. The colour itself stays as the fallback.
THEMED = {
    strokes.INK: "ink",
    strokes.MUTED: "muted",
    strokes.GRID: "line",
    strokes.PAPER: "card",
    "#4b5563": "slate",
    "#0072b2": "blue",
    "#e69f00": "orange",
    "#009e73": "green",
    "#cc79a7": "purple",
    "#d55e00": "vermillion",
    "#56b4e9": "sky",
}


def inline_svg(name: str, svg: str, label: str) -> str:
    """A figure's SVG made fit to stand inside the page.

    Args:
        name: the figure's name; it becomes a prefix of every id, because figures on one page share a name space.
        svg: a standalone SVG document as `figures.draw_all` returns it.
        label: what a screen reader says in its place.

    Returns:
        An `<svg>` element without prologue, metadata, style sheet, namespaces or size, its colours as CSS variables.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", body, count=1, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]+)"', body)
    if view is None:
        msg = f"svg of {name} == {body[:60]!r}..., must have a viewBox"
        raise ValueError(msg)
    opening = f'<svg class="figure" role="img" aria-label="{html.escape(label)}" viewBox="{view.group(1)}">'
    body = re.sub(r"<svg[^>]*>", lambda _: opening, body, count=1)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    body = re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda hue: _themed(hue.group()), body)
    return re.sub(r"font-family: [^;\"]+;?\s*", "", body).strip()


def _themed(colour: str) -> str:
    return f"var(--{THEMED[colour]}, {colour})" if colour in THEMED else colour


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


def template(name: str) -> jinja2.Template:
    """A page of `reports/templates`; the parts that pages share are beside it."""
    import jinja2

    folder = resources.files("reports.templates")
    texts = [one for one in folder.iterdir() if one.name.endswith((".html", ".css"))]
    script = (folder / "page.js").read_text(encoding="utf-8")
    files = {one.name: one.read_text(encoding="utf-8") for one in texts}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(files),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The page's policy lets this one script run, by its hash, and lets nothing be fetched.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": script, "script_digest": digest}
    return environment.get_template(name)


def inlined(built: Iterable[parts.Section], svgs: Mapping[str, str]) -> dict[str, str]:
    """The inline SVG of every section that has a figure, by the figure's name."""
    return {part.figure: inline_svg(part.figure, svgs[part.figure], part.alt) for part in built if part.figure in svgs}


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
