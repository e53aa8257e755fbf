"""The study ``late`` in Markdown: a table per size, what was not measured with its reason, and the figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing.lettering import file_name
from reports.drawing.strokes import save, write_aside
from reports.drawing.tables import table
from reports.pages.late.figures import drawable

Record = Mapping[str, Any]
TITLES = {"maxsim": "Late interaction", "dssm": "Single vectors"}
LEGEND = (
    "Recall against the exact scan, 95 % t interval over requests. Times are the processor's, of one request on one "
    "thread, with 95 % order-statistic intervals; an open end is one that so few requests cannot give. Scored: ads "
    "whose exact score was computed. K long, K: candidates per ad that is wanted."
)


def write_late(results: Record, timing: Record, out: Path) -> Path:
    """Writes ``late.md`` and, for each kind, ``figures/late-KIND.png`` and ``.svg``.

    Args:
        results: the dict of results.json.
        timing: the dict of timing.json.
        out: the run directory.

    Returns:
        The path of ``late.md``.
    """
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    text = []
    figures = drawable(results, timing)
    for name in map(file_name, figures):
        figure = figures[name]()
        for form in ("png", "svg"):
            write_aside(folder / f"{name}.{form}", save(figure, form))
    for kind in results["sizes"]:
        text += [f"## {TITLES.get(kind, kind)}", "", f"![Recall against time](figures/late-{kind}.png)", "", LEGEND, ""]
        text += tables(results, timing, kind)
    path = out / "late.md"
    write_aside(path, ("\n".join(text) + "\n").encode())
    return path


def tables(results: Record, timing: Record, kind: str) -> list[str]:
    """A Markdown table for each size of one kind."""
    text = []
    for size, clock in zip(results["sizes"][kind], timing["sizes"][kind], strict=True):
        which = "the trained ones" if size["real"] else "drawn like the trained ones"
        columns = (
            "way", "setting", f"recall@{results['k']}", "proven exact", "scored", "p50, ms", "p99, ms", "bytes an ad",
            "build",
        )  # fmt: skip
        times = {(row["way"], row["setting"]): row for row in clock["rows"]}
        rows = [
            [row["way"], "", f"n/a: {row['reason']}", *[""] * 6]
            if "reason" in row
            else _measured(row, times[row["way"], row["setting"]])
            for row in size["rows"]
        ]
        text += [f"### {size['ads']:,} ads, {which}", "", *table("", columns, rows).markdown(), ""]
    return text


def _measured(row: Record, clock: Record) -> list[str]:
    """The cells of a way that was measured."""
    return [
        row["way"],
        row["setting"],
        f"{row['recall']['mean']:.3f} {_span(row['recall'], 3)}",
        f"{row['certain']:.0%}",
        f"{row['scored']:.1%}" if row["scored"] else "",
        f"{clock['p50_ms']['value']:.2f} {_span(clock['p50_ms'], 2)}",
        f"{clock['p99_ms']['value']:.2f} {_span(clock['p99_ms'], 2)}",
        f"{row['bytes_per_ad']:,.0f}",
        f"{clock['build_s']:.1f} s",
    ]


def _span(interval: Record, digits: int) -> str:
    """An interval, its missing ends open."""
    lo, hi = ("" if interval[end] is None else f"{interval[end]:.{digits}f}" for end in ("lo", "hi"))
    return f"[{lo}, {hi}]" if lo or hi else ""
