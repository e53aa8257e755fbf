"""Observed over predicted clicks: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import hover, wording
from reports.drawing.strokes import MUTED, Mark, canvas, floats, legend, percent_axis, styled
from reports.drawing.tables import table
from reports.pages.ab.arms import by_arm, marks
from reports.pages.parts import Section, columns_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
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


def section(results: Record) -> Section:
    """Reliability and PCOC of the retriever and the ranker."""
    rows, ratios, counted = [], [], 0.0
    for arm, parts in by_arm(results, "calibration").items():
        for stage in ("retriever", "ranker"):
            bins = parts.get(stage)
            if not bins:
                continue
            ratios.append(f"{arm} {stage} {wording.number(bins.get('pcoc'))}")
            counted = max(counted, sum(n for n in bins.get("n") or () if wording.known(n)))
            for p, y, lo, hi, true, n in columns_of(bins, "p", "y", "lo", "hi", "true", "n"):
                rates = [wording.number(p), wording.number(y), wording.span((lo, hi)), wording.number(true)]
                rows.append([arm, stage, *rates, wording.number(n)])
    lead = (
        f"Predicted over observed clicks (PCOC; 1 is perfect, above 1 is too hopeful): {', '.join(ratios)}."
        if ratios
        else ""
    )
    columns = ("Arm", "Stage", "Predicted", "Observed", "95% CI", "True", "n")
    return Section(
        key="calibration",
        title="Calibration",
        lead=lead,
        figure="calibration",
        alt=f"Observed over predicted click rate by bin of predicted rate. {lead}",
        caption="Reliability by equal-mass bins of matured impressions, shown as observed over predicted so that "
        "small errors show; on the line is perfect. 95% intervals of the observed rate; up to "
        f"{wording.number(counted)} impressions an arm. Crosses: the world's true click rate of the same bin.",
        tables=(table("Reliability", columns, rows),),
    )
