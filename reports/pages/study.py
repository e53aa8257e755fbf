"""The page of a study of worlds, one HTML file without network, and the same tables as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reports.drawing.strokes import write_aside
from reports.pages.parts import Section
from reports.pages.shell import inlined, template


def write(
    out: Path,
    *,
    title: str,
    facts: Sequence[str],
    verdict: str,
    built: Sequence[Section],
    svgs: Mapping[str, str],
    small: bool,
    brand: str,
    lights: Sequence[Mapping[str, str]] = (),
) -> Path:
    """Write ``index.html`` and ``tables.md``; the page's path.

    Args:
        out: the run directory.
        title: the page's.
        facts: the run in a few words.
        verdict: one sentence.
        built: the sections.
        svgs: the text of each figure by name.
        small: whether the run was a scenario's small form.
        brand: kind of study, beside our name.
        lights: with ``name``, ``state``, ``text``, ``tone`` and ``shape``; none are shown if there are none.
    """
    text = template("study.html").render(
        title=title,
        facts=list(facts),
        small=small,
        brand=brand,
        verdict=verdict,
        lights=lights,
        sections=built,
        figures=inlined(built, svgs),
        titled=True,
    )
    path = out / "index.html"
    write_aside(path, text.encode())
    write_aside(out / "tables.md", (_red(lights) + markdown(built)).encode())
    return path


def _red(lights: Sequence[Mapping[str, str]]) -> str:
    """Lines of what keeps the tables below from being believed; none where nothing does."""
    return "".join(f"**Red: {light['name']}.** {light['text']}\n\n" for light in lights if light["state"] == "red")


def markdown(sections: Sequence[Section]) -> str:
    """Titles, sentences and shown tables as Markdown."""
    parts = []
    for one in sections:
        tables = [part for part in one.tables if part.shown]
        if not tables or one.key == "appendix":
            continue
        lines = [f"## {one.title}", "", *([one.lead, ""] if one.lead else [])]
        for part in tables:
            lines += [f"**{part.title}**", ""] if part.title else []
            lines += [*part.markdown(), ""]
        parts.append("\n".join([*lines, one.caption, ""]))
    return "\n".join(parts)
