"""The pictures of an arena, from the dicts of results.json and timing.json; no statistic is computed here.

Every interval is 95 %: a t interval over worlds for money and recall, an order-statistic interval over requests for
latency.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.apart import Spot, label_apart
from reports.drawing.strokes import (
    GRID,
    MARKS,
    MUTED,
    PAPER,
    Row,
    canvas,
    dot_rows,
    draw_into,
    interval,
    lift_row,
    percent_axis,
    styled,
)
from reports.records.spelling import capitals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
FRONT, BEHIND = MARKS[1], MARKS[0]
MONEY, HIT = "expected_revenue", "recall"


def ranked(results: Record, *, bounds: bool = True) -> list[str]:
    """Arms by expected revenue, best first; without random, popularity and oracle if ``bounds`` is false."""
    found = {arm: row for arm, row in results["arms"].items() if bounds or row["role"] != "reference"}
    return sorted(found, key=lambda arm: -(found[arm]["metrics"][MONEY]["treatment"] or 0.0))


def in_plane(results: Record, timing: Record) -> list[str]:
    """Arms that were timed, bounds aside, fastest first."""
    placed = timing.get("pareto") or {}
    return sorted((arm for arm in ranked(results, bounds=False) if arm in placed), key=lambda a: placed[a]["p50_ms"])


@styled
def lifts(results: Record) -> Figure:
    """Expected revenue of every arm but the bounds over the reference's."""
    names = [arm for arm in ranked(results, bounds=False) if arm != results["reference"]]
    figure, (ax,) = canvas(0.3 * len(names) + 0.8)
    dot_rows(ax, [lift_row(arm, results["arms"][arm]["metrics"][MONEY]) for arm in names])
    percent_axis(ax.xaxis)
    ax.set_xlabel(f"Lift of expected revenue over {results['reference']}")
    return figure


@styled
def mechanisms(results: Record) -> Figure:
    """Expected revenue of each arm with CS3 or a part of it over the same arm without."""
    found = results["mechanisms"].values()
    figure, (ax,) = canvas(0.3 * len(found) + 0.8)
    dot_rows(ax, [lift_row(f"{one['over']} + {capitals(one['adds'])}", one["metrics"][MONEY]) for one in found])
    percent_axis(ax.xaxis)
    ax.set_xlabel("Lift of expected revenue, each arm over itself without")
    return figure


@styled
def pareto(results: Record, timing: Record) -> Figure:
    """Lift of expected revenue and recall over retrieval p50; arms that another one dominates are hollow and named."""
    names = in_plane(results, timing)
    placed = timing["pareto"]
    lines = [_named(place, arm, placed[arm]["dominated_by"]) for place, arm in enumerate(names, 1)]
    halves = -(-len(lines) // 2)
    figure, axes = canvas(3.4 + 0.165 * halves, columns=2, rows=2, ratios=[3.4, 0.165 * halves])
    upper, lower = axes[:2], axes[2:]
    spots: dict[Axes, list[Spot]] = {}
    for ax, key in zip(upper, (MONEY, HIT), strict=True):
        found = [_spot(ax, place, arm, results, timing, key) for place, arm in enumerate(names, 1)]
        spots[ax] = [spot for spot in found if spot is not None]
        ax.set_xscale("log")
        ax.set_xlabel("Retrieval p50, ms per request (log)")
        ax.grid()
        ax.margins(0.12, 0.14)
        _plain_log(ax)
    upper[0].set_ylabel(f"Lift of expected revenue over {results['reference']}")
    percent_axis(upper[0].yaxis)
    upper[1].set_ylabel(f"Recall@{results['k']}, true eCPM order")
    for ax, part in zip(lower, (lines[:halves], lines[halves:]), strict=True):
        ax.axis("off")
        for place, (text, colour) in enumerate(part):
            spot = 1 - (place + 0.5) / max(halves, 1)
            ax.text(0.0, spot, text, transform=ax.transAxes, va="center", fontsize=8, color=colour)
    for ax, beside in spots.items():
        label_apart(ax, beside)
    return figure


def _named(place: int, arm: str, by: str | None) -> tuple[str, str]:
    return (f"{place}  {arm}", FRONT.colour) if by is None else (f"{place}  {arm}, dominated by {by}", MUTED)


def _plain_log(ax: Axes) -> None:
    """Plain numbers on a log axis, few enough to stand apart: 1, 2, 5 steps, or even ones where those are too few."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    lo, hi = ax.get_xlim()
    steps = np.outer(10.0 ** np.arange(-6, 7), (1, 2, 5) if hi < 300 * lo else (1,)).ravel()
    ticks = steps[(steps >= lo) & (steps <= hi)]
    if ticks.size < 2:
        even = np.array(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(lo, hi))
        ticks = even[(even >= lo) & (even <= hi)]
    ax.minorticks_off()
    ax.set_xticks(ticks)
    ax.set_xlim(lo, hi)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _spot(ax: Axes, place: int, arm: str, results: Record, timing: Record, key: str) -> Spot | None:
    """Draw one arm; what stands beside it, or None without its numbers."""
    metric, p50 = results["arms"][arm]["metrics"][key], timing["latency"][arm]["retrieval"]["p50_ms"]
    if key == MONEY:
        y, ends = metric.get("rel_effect"), interval(metric.get("ci"))
    else:
        # The interval is of the difference from the reference, drawn around the arm's own mean.
        y, low_high = metric.get("treatment"), interval(metric.get("ci"))
        ends = (metric["control"] + low_high[0], metric["control"] + low_high[1])
    if not wording.known(y) or not wording.known(p50.get("value")):
        return None
    ahead = timing["pareto"][arm]["dominated_by"] is None
    look = FRONT if ahead else BEHIND
    x = p50["value"]
    colour = look.colour if ahead else MUTED
    if np.isfinite(ends).all():
        ax.plot((x, x), ends, color=colour, lw=1.1, alpha=0.75)
    if wording.known(p50.get("lo")) and wording.known(p50.get("hi")):
        ax.plot((p50["lo"], p50["hi"]), (y, y), color=colour, lw=1.1, alpha=0.75)
    ax.plot([x], [y], "o", color=colour, mfc=colour if ahead else PAPER, mew=1.3, ms=5)
    return Spot(x, y, str(place), colour)


@styled
def equal_latency(results: Record, timing: Record) -> Figure:
    """What each arm earns in the reference's time: expected revenue at the K that it can afford."""
    found = timing["equal_latency"]
    names = [
        arm
        for arm in ranked(results, bounds=False)
        if arm in found and arm != results["reference"] and wording.known(found[arm].get("rel_effect"))
    ]
    figure, (ax,) = canvas(0.3 * len(names) + 0.8)
    rows = []
    for arm in names:
        one, ends = found[arm], interval(found[arm].get("ci"))
        side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        words = f"{wording.percent(one['rel_effect'])}  {wording.span(one.get('ci'), wording.percent)}"
        rows.append(Row(f"{arm}, K = {one['k']:.0f}", one["rel_effect"], ends, words, side))
    dot_rows(ax, rows)
    percent_axis(ax.xaxis)
    ax.set_xlabel(f"Lift of expected revenue over {results['reference']} in the same time")
    ax.grid(axis="x", color=GRID)
    return figure


def drawable(results: Record, timing: Record) -> dict[str, Callable[[], Figure]]:
    """The figures that this run has numbers for, by name, in the page's order."""
    affording = (timing.get("equal_latency") or {}).items()
    timed = any(wording.known(one.get("rel_effect")) for arm, one in affording if arm != results["reference"])
    every: list[tuple[Any, Callable[..., Figure], tuple[Record, ...]]] = [
        (len(ranked(results, bounds=False)) > 1, lifts, (results,)),
        (results.get("mechanisms"), mechanisms, (results,)),
        (in_plane(results, timing), pareto, (results, timing)),
        (timed, equal_latency, (results, timing)),
    ]
    return {draw.__name__: functools.partial(draw, *args) for present, draw, args in every if present}


def draw_all(results: Record, timing: Record, out: Path) -> dict[str, str]:
    """Draw every figure into `figures/NAME.png` and `.svg`; the SVG texts by name."""
    return draw_into(out, drawable(results, timing))
