"""The pictures of an A/B run: which it has numbers for, in the page's order, and the way to disk.

`draw_all` writes each as `figures/NAME.png` and `figures/NAME.svg`. A picture is one function from the plain dicts of
results.json and timing.json to matplotlib, in `effect_figures`, `money_figures`, `model_figures`, `segment_figures` and
`budget_figures`; none computes a statistic. What they share is in `strokes` and `run_arms`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import draw_into
from reports.pages.ab.arms import arms, by_arm, has_rows, revenue_per_1000, told_apart
from reports.pages.ab.budget_figures import budgets
from reports.pages.ab.effect_figures import forest, ladder, mechanisms, per_day
from reports.pages.ab.model_figures import calibration, learning
from reports.pages.ab.money_figures import funnel, k_sweep, plane, references
from reports.pages.ab.segment_figures import segments

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
    every: list[tuple[Any, Callable[..., Figure], tuple[Record, ...]]] = [
        (results.get("metrics"), forest, (results,)),
        (results.get("segments"), segments, (results,)),
        ((results.get("per_day") or {}).get("day"), per_day, (results,)),
        (has_rows(results, "ladder"), ladder, (results,)),
        (by_arm(results, "funnel"), funnel, (results,)),
        (in_plane, plane, (results, timing)),
        (by_arm(results, "k_sweep"), k_sweep, (results, timing)),
        (by_arm(results, "calibration"), calibration, (results,)),
        (by_arm(results, "learning"), learning, (results,)),
        (results.get("budgets"), budgets, (results,)),
        (has_rows(results, "mechanisms") and told_apart(results), mechanisms, (results,)),
        (has_rows(results, "references"), references, (results,)),
    ]
    return {draw.__name__: functools.partial(draw, *args) for present, draw, args in every if present}


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
