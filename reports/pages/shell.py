"""What every page is made of: its template with the one script that it may run, and figures that stand inside it.

A page opens offline: style, script and SVG are inline, nothing is fetched, and its security policy forbids it. The
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
from typing import TYPE_CHECKING

from reports.drawing import strokes
from reports.pages import parts

if TYPE_CHECKING:
    import jinja2

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


def template(name: str) -> jinja2.Template:
    """A page of `reports/pages/templates`; the parts that pages share are beside it."""
    import jinja2

    folder = resources.files("reports.pages.templates")
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
