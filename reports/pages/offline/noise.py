"""Noise on the inputs: the picture and its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import band, canvas, floats, styled
from reports.drawing.tables import table
from reports.numbers import published
from reports.pages.offline.cells import SEEDS, mean, several
from reports.pages.offline.looks import Record, ends_apart, legend, looks, names_of, over_seeds, short
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def figure(results: Record) -> Figure:
    """AUC of the frozen scores against the noise on the inputs, a panel per scale, a line per arm."""
    found = results["noise"]
    level, scales = floats(found["levels"]), found["scales"]
    marks = looks(names_of(results), results["base"])
    figure, axes = canvas(3.1, columns=len(scales))
    for ax, (scale, arms) in zip(axes, scales.items(), strict=True):
        for name, one in arms.items():
            band(ax, level, ends_apart(one["auc"]), marks[name], short(name))
        ax.set_title(scale.replace(", ", ",\n").capitalize(), fontsize=9)
        ax.set_xlabel("Noise std" if scale != "relative" else "Noise std / input's std", fontsize=8.5)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y")
    _same_height(axes)
    axes[0].set_ylabel(f"AUC, frozen; band 95 % {over_seeds(results)}", fontsize=8.5)
    legend(figure, axes[0], 3)
    return figure


def _same_height(axes: Sequence[Axes]) -> None:
    """One y range for panels side by side, ticks named on the first only: what differs is then seen."""
    ends = np.array([ax.get_ylim() for ax in axes])
    for spot, ax in enumerate(axes):
        ax.set_ylim(ends[:, 0].min(), ends[:, 1].max())
        ax.tick_params(axis="y", labelleft=spot == 0)


def section(results: Record) -> Section | None:
    """AUC under noise on the inputs."""
    found = results["noise"]
    levels, scales = found["levels"], found["scales"]
    if not scales:
        return None
    spot = nearest(levels, published.NOISE_LEVEL)
    arms = list(dict.fromkeys(name for one in scales.values() for name in one))
    falls = [
        (name, *(mean(one[name]["fall"][spot]) if name in one else wording.MISSING for one in scales.values()))
        for name in arms
    ]
    curves = [
        (f"{name}, {scale}", *(mean(value) for value in one[name]["auc"]))
        for scale, one in scales.items()
        for name in one
    ]
    return Section(
        key="noise",
        title="Noise on the inputs",
        lead="Gaussian noise on the inputs of the frozen towers. Absolute: one standard deviation for every input. "
        "Inputs only: not on the vectors that a mechanism adds. Relative: a multiple of each input's own.",
        figure="noise",
        alt="AUC of the frozen scores against the standard deviation of the noise, a panel per scale, a line per arm. "
        "The numbers are in the tables below.",
        caption=f"Bands and brackets: 95 % {SEEDS}, {several(len(results['seeds']), 'seed')}.",
        tables=(
            table(f"AUC lost at noise {levels[spot]:g}, over seeds", ("arm", *scales), falls, shown=True),
            table("AUC by noise, over seeds", ("arm, scale", *(f"{level:g}" for level in levels)), curves),
        ),
    )


def nearest(levels: Sequence[float], wanted: float) -> int:
    """Position of the level that is nearest to the wanted one."""
    return min(range(len(levels)), key=lambda i: abs(levels[i] - wanted))
