"""The pictures of an ablation, from the dicts of results.json; no statistic is computed here.

Every interval is a 95 % t interval over paired worlds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing.strokes import MARKS, MUTED, canvas, dot_rows, interval, legend, lift_row, percent_axis, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
MONEY = "expected_revenue"


@styled
def cells(results: Record) -> Figure:
    """Lift of expected revenue of every cell over the base, a block of rows per scenario."""
    names = list(results["scenarios"])
    arms = [arm for arm in results["cells"] if arm != results["base"]]
    figure, axes = canvas(len(names) * (0.24 * len(arms) + 0.75), rows=len(names))
    for ax, name in zip(axes, names, strict=True):
        found = results["scenarios"][name]["cells"]
        dot_rows(ax, [lift_row(_short(arm, results["base"]), found[arm]["metrics"][MONEY]) for arm in arms])
        percent_axis(ax.xaxis)
        ax.set_title(name, loc="left")
    axes[-1].set_xlabel(f"Lift of expected revenue over {results['base']}")
    return figure


def _short(arm: str, base: str) -> str:
    return arm.removeprefix(base).upper().replace("+CS3", "+CAS+CTS+CMS")


@styled
def effects(results: Record) -> Figure:
    """Main effect of each mechanism over all settings of the others, by scenario."""
    rows = []
    for name, one in results["scenarios"].items():
        main = {key: effect for key, effect in one["effects"][MONEY].items() if " x " not in key}
        rows += [lift_row(f"{name}, {key.upper()}", effect) for key, effect in main.items()]
    figure, (ax,) = canvas(0.27 * len(rows) + 0.8)
    dot_rows(ax, rows)
    percent_axis(ax.xaxis)
    ax.set_xlabel("Main effect on expected revenue, mean over the settings of the other two")
    return figure


@styled
def winners(results: Record) -> Figure:
    """The best cell of every scenario: its lift on the worlds that chose it, and on fresh ones."""
    found = {name: one["best"] for name, one in results["scenarios"].items() if one["best"]["arm"]}
    figure, (ax,) = canvas(0.5 * len(found) + 1.0)
    for place, best in enumerate(found.values()):
        for side, mark, shift in (("chosen", MARKS[0], -0.13), ("fresh", MARKS[1], 0.13)):
            ends = interval(best[side]["ci"])
            y = place + shift
            ax.plot(ends, (y, y), color=mark.colour, lw=1.8, alpha=0.8)
            label = {"chosen": "on the worlds that chose it", "fresh": "on fresh worlds"}[side]
            ax.plot(
                [best[side]["rel_effect"]],
                [y],
                mark.marker,
                color=mark.colour,
                ms=6.5,
                label=label if not place else None,
            )
    ax.axvline(0, color=MUTED, lw=0.9, zorder=0)
    ax.set_yticks(range(len(found)), [f"{name}\n{best['arm']}" for name, best in found.items()])
    ax.set_ylim(len(found) - 0.5, -0.5)
    percent_axis(ax.xaxis)
    ax.set_xlabel(f"Lift of expected revenue over {results['base']}")
    ax.grid(axis="x")
    legend(figure, ax)
    return figure


def drawable(results: Record) -> dict[str, Callable[[], Figure]]:
    """The figures that this run has numbers for, by name, in the page's order."""
    every: dict[str, tuple[bool, Callable[..., Figure]]] = {
        "cells": (True, cells),
        "effects": (True, effects),
        "winners": (any(one["best"]["arm"] for one in results["scenarios"].values()), winners),
    }
    return {name: functools.partial(draw, results) for name, (present, draw) in every.items() if present}
