"""The pictures of models: calibration, and what the nights read while they learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import hover
from reports.drawing.strokes import (
    MUTED,
    Mark,
    band,
    canvas,
    floats,
    legend,
    percent_axis,
    styled,
    whole_days,
)
from reports.pages.ab.arms import by_arm, marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Record = Mapping[str, Any]


@styled
def calibration(results: Record) -> Figure:
    """Observed over predicted clicks against the predicted rate, by equal-mass bins: retriever left, ranker right."""
    looks, found = marks(results), by_arm(results, "calibration")
    stages = [stage for stage in ("retriever", "ranker") if any(parts.get(stage) for parts in found.values())]
    figure, axes = canvas(3.1, columns=max(1, len(stages)))
    for ax, stage in zip(axes, stages, strict=True):
        present = {arm: parts[stage] for arm, parts in found.items() if parts.get(stage)}
        ax.axhline(1, color=MUTED, lw=0.9, zorder=0)
        for place, (arm, bins) in enumerate(present.items()):
            dodge = 1.05 ** (place - (len(present) - 1) / 2)  # so that the arms' whiskers stand side by side
            _reliability(ax, bins, looks[arm], arm, dodge)
        if any(bins.get("true") for bins in present.values()):
            ax.plot([], [], "x", color=MUTED, ms=5.5, mew=1.2, label="true rate")
        _rate_ticks(ax, np.concatenate([floats(bins["p"]) for bins in present.values()]))
        ax.margins(y=0.1)
        ax.set_title(stage.capitalize())
        ax.set_xlabel("Predicted click rate")
        ax.grid()
    axes[0].set_ylabel("Observed / predicted clicks")
    legend(figure, axes[0])
    return figure


def _reliability(ax: Axes, bins: Record, mark: Mark, label: str, dodge: float) -> None:
    """One arm's bins with their intervals, and the true rate of each bin as a cross; all divided by the prediction."""
    p, y, lo, hi, true = (floats(bins.get(key)) for key in ("p", "y", "lo", "hi", "true"))
    usable = p > 0
    x = p[usable] * dodge
    if lo.size == p.size == hi.size:
        ax.vlines(x, lo[usable] / p[usable], hi[usable] / p[usable], color=mark.colour, lw=1.4)
    (line,) = ax.plot(
        x, y[usable] / p[usable], color=mark.colour, ls=mark.line, marker=mark.marker, lw=1.2, label=label
    )
    if lo.size == p.size == hi.size:
        hover.tell(line, name=label, ends=(lo[usable] / p[usable], hi[usable] / p[usable]))
    if true.size == p.size:
        (cross,) = ax.plot(x, true[usable] / p[usable], "x", color=mark.colour, ms=5.5, mew=1.2)
        hover.tell(cross, name=f"{label}, true rate")


def _rate_ticks(ax: Axes, rates: NDArray[np.float64]) -> None:
    """A log axis of rates with 1-2-5 ticks in per cent: powers of ten alone would leave most plots a single label."""
    positive = rates[np.isfinite(rates) & (rates > 0)]
    if not positive.size:
        return
    ax.set_xscale("log")
    lo, hi = positive.min() / 1.3, positive.max() * 1.3
    steps = np.outer(10.0 ** np.arange(-8, 1), (1, 2, 5) if hi < 150 * lo else (1,)).ravel()
    ax.minorticks_off()
    ax.set_xticks(steps[(steps >= lo) & (steps <= hi)])
    ax.set_xlim(lo, hi)
    percent_axis(ax.xaxis, sign=False)


LEARNED = {"recall": ("Recall@K", 0, 1), "logloss": ("Logloss", 0, np.inf), "tau": ("Tau to the ranker", -1, 1)}
"""What a night reads: its name, and the least and the greatest value that it can have."""


@styled
def learning(results: Record) -> Figure:
    """Recall, logloss and tau of every arm over simulated days, with the seam where the arms part."""
    looks, curves = marks(results), by_arm(results, "learning")
    shown = [key for key in LEARNED if any(curve.get(key) for curve in curves.values())]
    figure, axes = canvas(3.0, columns=max(1, len(shown)))
    for ax, key in zip(axes, shown, strict=True):
        label, least, greatest = LEARNED[key]
        for arm, curve in curves.items():
            if curve.get(key):
                day = floats(curve["day"])
                band(ax, day, curve[key], looks[arm]._replace(marker=""), arm)
                whole_days(ax, day)
        ax.set_ylim(*np.clip(ax.get_ylim(), least, greatest))
        ax.set_title(label)
        ax.set_xlabel("Simulated day")
        ax.grid(axis="y")
        _seam(ax, next(iter(curves.values())))
    legend(figure, axes[0])
    return figure


def _seam(ax: Axes, curve: Record) -> None:
    """A line between the last burn-in day and the first test day, named on either side."""
    day, phase = floats(curve["day"]), np.array(curve.get("phase") or ())
    if phase.size != day.size or len(set(phase.tolist())) < 2:
        return
    spot = (day[phase != "test"].max() + day[phase == "test"].min()) / 2
    ax.axvline(spot, color=MUTED, lw=0.9, ls=(0, (4, 3)))
    for words, shift, side in (("burn-in", -4, "right"), ("test", 4, "left")):
        ax.annotate(
            words, (spot, 1.0), (shift, -1), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha=side, va="top", fontsize=8, color=MUTED,
        )  # fmt: skip
