"""The figures of an offline study and of a sweep: which of them results have numbers for, and their files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing.strokes import draw_into
from reports.pages.offline import cold, comparisons, days, noise, scores, sweep
from reports.pages.offline.looks import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawable(results: Record) -> dict[str, Callable[[Record], Figure]]:
    """The figures that these results have numbers for, in the page's order."""
    if results.get("kind") == "sweep":
        return {"sweep": sweep.figure}
    every: tuple[tuple[Any, str, Callable[[Record], Figure]], ...] = (
        (results["rows"], "scores", scores.figure),
        (results["contrasts"], "contrasts", comparisons.figure),
        (cold.known_slices(results), "cold", cold.figure),
        (results["noise"]["scales"], "noise", noise.figure),
        (results["by_day"]["date"], "by_day", days.figure),
    )
    return {name: draw for present, name, draw in every if present}


def draw_all(results: Record, out: Path) -> dict[str, str]:
    """Draw the figures and write ``figures/NAME.png`` and ``.svg``; the SVG text by name."""
    return draw_into(out, {name: functools.partial(draw, results) for name, draw in drawable(results).items()})
