"""A comparison of runs as text for a terminal, and as one self-contained HTML page with its figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import direction, draw_into, effect, write_aside
from reports.drawing.tables import Cell, table
from reports.pages.comparison.figures import drawable
from reports.pages.parts import TONES, Section, speller
from reports.pages.shell import inlined, template
from reports.pages.study import markdown

Record = Mapping[str, Any]
CAUTION = (
    "Each interval is 95% and its run's own. Whether two rows differ is not tested here: rows of the same worlds share "
    "their luck, and rows of other worlds, scenarios or days answer other questions."
)
NARROW = 4
"""Arms up to which all metrics are printed."""


def lines(comparison: Record) -> list[str]:
    """The comparison for a terminal: what differs, the chosen metric of all arms, all metrics of a few."""
    text = [*(f"differs: {note}" for note in comparison["notes"]), *([""] if comparison["notes"] else [])]
    shown = [_chosen(comparison)]
    if len(comparison["entries"]) <= NARROW:
        shown.append(_all(comparison))
    for section in shown:
        (found,) = section.tables
        text += [section.title, *found.text(), ""]
    if len(shown) < 2:
        text += [f"metrics in common: {', '.join(comparison['metrics'])}; all of them for all arms: --out DIR", ""]
    return [*text, CAUTION]


def write_page(comparison: Record, out: Path) -> None:
    """Write ``index.html``, ``tables.md``, ``comparison.json`` and ``figures/`` into ``out``.

    Args:
        comparison: as ``Comparison.record()`` returns it.
        out: a directory.
    """
    write_aside(out / "comparison.json", (json.dumps(comparison, indent=1) + "\n").encode())
    svgs = draw_into(out, drawable(comparison))
    built = [_chosen(comparison), _all(comparison), _runs(comparison)]
    write_aside(out / "tables.md", markdown(built).encode())
    page = template("compare.html").render(
        title=f"{_label(comparison)} in {len(comparison['runs'])} run{'s' * (len(comparison['runs']) > 1)}",
        facts=[one["name"] for one in comparison["runs"]],
        notes=comparison["notes"],
        caution=CAUTION,
        sections=built,
        figures=inlined(built, svgs),
        titled=True,
    )
    write_aside(out / "index.html", page.encode())


def _label(comparison: Record) -> str:
    key = comparison["metric"]
    return str(next(one["metrics"][key]["label"] for one in comparison["entries"] if key in one["metrics"]))


def _chosen(comparison: Record) -> Section:
    """The chosen metric, a row for each arm of each run."""
    key = comparison["metric"]
    rows: list[list[str | Cell]] = []
    for entry in comparison["entries"]:
        metric = entry["metrics"].get(key) or {}
        spell = speller(metric)
        rows.append(
            [
                entry["run"], entry["scenario"], entry["arm"], entry["control"],
                Cell(text=spell(effect(metric)), tone=TONES.get(direction(metric), "")),
                wording.span(metric.get("ci"), spell), wording.p_value(metric.get("p")), _count(metric),
            ]
        )  # fmt: skip
    columns = ("Run", "Scenario", "Arm", "Against", "Effect", "95% CI", "p", "n")
    return Section(
        key="chosen",
        title=_label(comparison),
        figure="forest",
        alt=f"{_label(comparison)} of every arm of every run with 95% intervals; the same numbers are in the table.",
        caption="Dots: the effect against the arm's own control; bars: 95% intervals of the arm's own run, n as in the "
        "table; filled: the interval leaves 0.",
        tables=(table("", columns, rows, shown=True),),
    )


def _count(metric: Record) -> str:
    """What an interval counts, with its n."""
    for key in ("n_worlds", "n_users", "n_seeds", "n_requests"):
        if wording.known(metric.get(key)):
            return f"{wording.number(metric[key])} {key.removeprefix('n_')}"
    return wording.MISSING


def _all(comparison: Record) -> Section:
    """Every common metric, a column for each arm of each run."""
    entries = comparison["entries"]
    rows: list[list[str | Cell]] = []
    for key in comparison["metrics"]:
        found = [entry["metrics"].get(key) for entry in entries]
        row: list[str | Cell] = [str(next(one["label"] for one in found if one))]
        for metric in found:
            spell = speller(metric or {})
            text = f"{spell(effect(metric or {}))} {wording.span((metric or {}).get('ci'), spell)}"
            row.append(Cell(text=text, tone=TONES.get(direction(metric or {}), "")))
        rows.append(row)
    several = len(comparison["runs"]) > 1
    heads = [f"{entry['run']}: {entry['arm']}" if several else entry["arm"] for entry in entries]
    return Section(
        key="all",
        title="All metrics that the runs have in common",
        caption="Effect against the arm's own control with its 95% interval, each by itself, not corrected for being "
        "several. Labels are those of the first run that has the metric.",
        tables=(table("", ("Metric", *heads), rows, shown=True),),
    )


def _runs(comparison: Record) -> Section:
    rows = [[one["name"], one["kind"], one["command"] or wording.MISSING] for one in comparison["runs"]]
    return Section(
        key="runs", title="The runs", tables=(table("", ("Run", "Kind", "Command"), rows, shown=True, prose=True),)
    )
