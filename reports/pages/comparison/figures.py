"""The picture of a comparison: one metric, a row for each arm of each run; every interval is 95 % and its run's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import Row, canvas, direction, dot_rows, effect, floats, interval, percent_axis, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
LONGEST = 34
"""Characters of a name that fit beside the rows."""


@styled
def forest(comparison: Record) -> Figure:
    """The chosen metric of every arm, run by run.

    Args:
        comparison: the dict of ``comparison.json``.
    """
    key = comparison["metric"]
    entries = [entry for entry in comparison["entries"] if key in entry["metrics"]]
    rows: list[Row] = []
    heads = []
    for entry in entries:
        if (head := _head(comparison, entry)) and head not in heads:
            heads.append(head)
            rows.append(Row(_short(head), float("nan"), (float("nan"), float("nan")), ""))
        rows.append(_row(entry["arm"], entry["metrics"][key]))
    figure, (ax,) = canvas(0.3 * len(rows) + 0.85)
    dot_rows(ax, rows)
    for row, label in zip(rows, ax.get_yticklabels(), strict=True):
        if not np.isfinite(row.value) and not row.text:
            label.set_fontweight("bold")
    found = entries[0]["metrics"][key]
    ratio = found.get("kind") == "ratio"
    if ratio:
        percent_axis(ax.xaxis)
    controls = {entry["control"] for entry in entries}
    over = controls.pop() if len(controls) == 1 else "each one's control"
    ax.set_xlabel(f"{found['label']}: {'lift over' if ratio else 'difference to'} {over}")
    return figure


def _head(comparison: Record, entry: Record) -> str:
    """The line above an arm: its run, and its scenario where the run's name does not tell it."""
    several = len({one["scenario"] for one in comparison["entries"]}) > 1
    shown = [entry["run"]] if len(comparison["runs"]) > 1 else []
    return ", ".join([*shown, *([entry["scenario"]] if several and entry["scenario"] not in entry["run"] else [])])


def _row(label: str, metric: Record) -> Row:
    spell = wording.percent if metric.get("kind") == "ratio" else wording.signed
    value = effect(metric)
    words = f"{spell(value)}  {wording.span(metric.get('ci'), spell)}"
    return Row(_short(label), float(floats([value])[0]), interval(metric.get("ci")), words, direction(metric))


def _short(name: str) -> str:
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def drawable(comparison: Record) -> dict[str, Callable[[], Figure]]:
    """The figures of a comparison by name."""
    return {"forest": functools.partial(forest, comparison)}
