"""Where money is lost, stage by stage: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import canvas, floats, legend, name_bars, styled
from reports.drawing.tables import table
from reports.pages.ab.arms import by_arm, marks
from reports.pages.parts import Section, worlds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

STAGES = (
    ("oracle", "Oracle\n(best possible)"),
    ("retrieved", "Retrieved\n(best of the K)"),
    ("ranked", "Ranked\n(ranker's choice)"),
    ("sold", "Sold"),
)
Record = Mapping[str, Any]


@styled
def figure(results: Record) -> Figure:
    """Expected revenue per 1,000 requests that survives each stage, and what the stage loses."""
    looks = marks(results)
    arms_shown = by_arm(results, "funnel")
    figure, (ax,) = canvas(0.75 + 4 * (0.3 * len(arms_shown) + 0.22))
    height = 0.78 / max(1, len(arms_shown))
    for place, (arm, money) in enumerate(arms_shown.items()):
        kept = floats(money.get(stage) for stage, _ in STAGES)
        spots = np.arange(len(STAGES)) + (place - (len(arms_shown) - 1) / 2) * height
        ax.barh(spots, np.nan_to_num(kept), 0.88 * height, color=looks[arm].colour, label=arm)
        for stage, spot in enumerate(spots):
            if np.isfinite(kept[stage]):
                ax.annotate(
                    _loss_words(kept, stage),
                    (kept[stage], spot),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9,
                )
    name_bars(ax, [label for _, label in STAGES])
    ax.set_xlabel("Expected revenue per 1,000 requests (currency units)")
    _room_right(ax, 0.28)
    legend(figure, ax)
    return figure


def _loss_words(kept: NDArray[np.float64], stage: int) -> str:
    """What is left after `stage` and its loss against the stage before, as words for a bar's end."""
    left = wording.number(round(float(kept[stage]), 1))
    if stage == 0 or not kept[stage - 1] > 0:
        return left
    return f"{left}  ({wording.percent(kept[stage] / kept[stage - 1] - 1)})"


def _room_right(ax: Axes, share: float) -> None:
    """Widens the x range so that words after the longest bar stay inside the axes."""
    lo, hi = ax.get_xlim()
    ax.set_xlim(lo, hi + share * (hi - lo))


def section(results: Record) -> Section:
    """Money that survives each stage."""
    found = by_arm(results, "funnel")
    rows, lost = [], []
    for arm, money in found.items():
        kept = [money.get(stage) for stage, _ in STAGES]
        for place, (stage, _) in enumerate(STAGES):
            before, now = kept[place - 1] if place else None, kept[place]
            change = share = "\N{EM DASH}"
            if wording.known(before) and wording.known(now) and before > 0:
                change, share = wording.signed(round(now - before, 2)), wording.percent(now / before - 1)
                if stage == "retrieved":
                    lost.append(f"{wording.percent(1 - now / before, sign=False)} in {arm}")
            rows.append([arm, stage, wording.number(now), change, share])
    lead = f"Retrieval loses {', '.join(lost)} of the money that the oracle would have found." if lost else ""
    return Section(
        key="funnel",
        title="Where the money is lost",
        lead=lead,
        figure="funnel",
        alt=f"Bars of expected revenue left after the oracle, retrieval, ranking and sale. {lead}",
        caption="Expected revenue per 1,000 requests, currency units, on the run's common request sample, mean over "
        f"{worlds(len(results.get('worlds') or ()) or None)}; no interval. In brackets: change against the stage "
        "before.",
        tables=(table("Funnel", ("Arm", "Stage", "Per 1,000 requests", "Change", "Change in %"), rows),),
    )
