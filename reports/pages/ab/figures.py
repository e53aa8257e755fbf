"""The pictures of an A/B run: which it has numbers for, in the page's order, and the way to disk.

`draw_all` writes each as `figures/NAME.png` and `figures/NAME.svg`. A picture is one function from the plain dicts of
results.json and timing.json to matplotlib, `figure` in the file of its subject, where its words are too; none computes
a statistic. What they share is in `strokes` and `arms`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import draw_into
from reports.pages.ab import (
    budgets,
    calibration,
    days,
    forest,
    funnel,
    k_sweep,
    ladder,
    learning,
    mechanisms,
    plane,
    references,
    segments,
)
from reports.pages.ab.arms import arms, by_arm, has_rows, revenue_per_1000, told_apart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


def drawable(results: Record, timing: Record) -> dict[str, Callable[[], Figure]]:
    """The figures that this run has numbers for, by name, in the page's order."""
    in_plane = any(
        wording.known(revenue_per_1000(results, arm))
        and ((timing.get("latency") or {}).get(arm) or {}).get("retrieval")
        for arm in arms(results)
    )
    every: list[tuple[Any, str, Callable[..., Figure], tuple[Record, ...]]] = [
        (results.get("metrics"), "forest", forest.figure, (results,)),
        (results.get("segments"), "segments", segments.figure, (results,)),
        ((results.get("per_day") or {}).get("day"), "per_day", days.figure, (results,)),
        (has_rows(results, "ladder"), "ladder", ladder.figure, (results,)),
        (by_arm(results, "funnel"), "funnel", funnel.figure, (results,)),
        (in_plane, "plane", plane.figure, (results, timing)),
        (by_arm(results, "k_sweep"), "k_sweep", k_sweep.figure, (results, timing)),
        (by_arm(results, "calibration"), "calibration", calibration.figure, (results,)),
        (by_arm(results, "learning"), "learning", learning.figure, (results,)),
        (results.get("budgets"), "budgets", budgets.figure, (results,)),
        (has_rows(results, "mechanisms") and told_apart(results), "mechanisms", mechanisms.figure, (results,)),
        (has_rows(results, "references"), "references", references.figure, (results,)),
    ]
    return {name: functools.partial(draw, *args) for present, name, draw, args in every if present}


def draw_all(results: Record, timing: Record, out: Path) -> dict[str, str]:
    """Draws every figure that the run has numbers for.

    Args:
        results: the dict of results.json (null for NaN); sections that are absent or null are skipped.
        timing: the dict of timing.json; may be empty.
        out: the run directory; `figures/NAME.png` and `figures/NAME.svg` are written in it.

    Returns:
        The SVG text of each figure by name, in the page's order.
    """
    return draw_into(out, drawable(results, timing))
