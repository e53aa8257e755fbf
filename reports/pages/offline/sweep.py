"""What a dial changes: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import GRID, MUTED, Mark, band, canvas, floats, styled
from reports.drawing.tables import Cell, table
from reports.pages.offline.cells import SEEDS, USERS, chance, mean, period, several, toned
from reports.pages.offline.looks import MINUS, Record, ends_apart, legend, looks, over_seeds, over_users, short
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def spelled_dial(results: Record, value: Any) -> str:
    """A value of the dial; lengths of time with their unit."""
    return period(value) if results["unit"] == "seconds" else f"{value:g}"


def dial_name(results: Record) -> str:
    """The dial in words, with the unit where the values do not carry it."""
    name = str(results["dial"]).replace("_", " ")
    return name if results["unit"] in ("", "seconds") else f"{name}, {results['unit']}"


def compared_arms(results: Record) -> list[str]:
    """Arms of a sweep that have a difference to the base at any value."""
    return [name for name, one in results["arms"].items() if name != results["base"] and any(one["users"])]


@styled
def figure(results: Record) -> Figure:
    """AUC at every value of a dial on the left, what each arm adds to the base on the right."""
    values = results["values"]
    place = np.arange(len(values), dtype=np.float64)
    marks = looks(results["arms"], results["base"])
    against = compared_arms(results)
    figure, axes = canvas(3.4, columns=2 if against else 1)
    for name, one in results["arms"].items():
        band(axes[0], place, ends_apart(one["auc"]), marks[name], short(name))
    axes[0].set_title("AUC")
    axes[0].set_ylabel(f"AUC; band 95 % {over_seeds(results)}", fontsize=8.5)
    if against:
        _differences(axes[1], results, place, marks, against)
    default = [i for i, value in enumerate(values) if value == results["default"]]
    for ax in axes:
        ax.set_xticks(place, [spelled_dial(results, value) for value in values], fontsize=8)
        ax.set_xlim(-0.5, len(values) - 0.5)
        ax.set_xlabel(dial_name(results), fontsize=8.5)
        ax.grid(axis="y")
        for spot in default:
            ax.axvspan(spot - 0.32, spot + 0.32, color=GRID, alpha=0.55, lw=0, zorder=0)
            ax.annotate(
                "default", (spot, 1.0), (0, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="center", va="top", color=MUTED, fontsize=7.5,
            )  # fmt: skip
        lo, hi = ax.get_ylim()
        ax.set_ylim(lo, hi + 0.1 * (hi - lo))  # room for the word
    legend(figure, axes[0], 3)
    return figure


def _differences(
    ax: Axes, results: Record, place: np.ndarray[Any, Any], marks: Mapping[str, Mark], against: Sequence[str]
) -> None:
    ax.axhline(0, color=MUTED, lw=0.9, zorder=0)
    for i, name in enumerate(against):
        curve = ends_apart(results["arms"][name]["users"])
        x = place + 0.14 * (i - (len(against) - 1) / 2)  # so that whiskers stand side by side
        mean, lo, hi = (floats(curve[key]) for key in ("mean", "lo", "hi"))
        ax.vlines(x, lo, hi, color=marks[name].colour, lw=1.5)
        ax.plot(x, mean, marks[name].marker, color=marks[name].colour)
    ax.set_title(f"Difference to {short(results['base'])}")
    ax.set_ylabel(f"AUC; 95 % {over_users(results)}", fontsize=8.5)


def section(results: Record) -> Section:
    """What a dial changes."""
    arms, base, against = results["arms"], results["base"], compared_arms(results)
    values = [
        spelled_dial(results, value) + (", default" if value == results["default"] else "")
        for value in results["values"]
    ]
    dial = str(results["dial"]).replace("_", " ")
    scored = [(value, *(mean(one["auc"][i]) for one in arms.values())) for i, value in enumerate(values)]
    tables = [table("AUC, over seeds", (dial, *arms), scored, shown=True)]
    if against:
        added: list[tuple[str | Cell, ...]] = [
            (value, *(cell for name in against for cell in _tested(arms[name]["users"][i])))
            for i, value in enumerate(values)
        ]
        columns = (column for name in against for column in (f"{name} {MINUS} {base}", "p"))
        tables.append(table("Difference in AUC, over users", (dial, *columns), added, shown=True))
    default = spelled_dial(results, results["default"])
    return Section(
        key="sweep",
        title=f"AUC by {dial_name(results)}",
        lead=f"Settings are those found at the default, {default}: this shows how far the answer depends on the dial, "
        "it does not choose a value. The axis is not to scale.",
        figure="sweep",
        alt=f"AUC at each value of {dial_name(results)} on the left, the difference to {base} on the right. The "
        "numbers are in the table below.",
        caption=f"{wording.number(results['data']['test_rows'])} test rows, {several(len(results['seeds']), 'seed')}. "
        f"Left, 95 % {SEEDS}. Right, 95 % {USERS}; not adjusted.",
        tables=tuple(tables),
    )


def _tested(value: Record | None) -> tuple[Cell, str]:
    """A difference and its p value."""
    return toned(value), chance(value, "p")
