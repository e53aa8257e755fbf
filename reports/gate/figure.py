"""The picture of a gate: every benchmark's ratio with its bounds, the allowed slowdown, and the head against itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.drawing.strokes import BETTER, MUTED, PAPER, WORSE, canvas, legend, save, styled, write_aside
from reports.gate.markdown import order, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
LOOKS = {"failed": (WORSE, "X"), "passed": (MUTED, "o"), "faster": (BETTER, "D")}


@styled
def forest(results: Record) -> Figure:
    """Head over base, a row for each benchmark that was compared: median and one-sided bounds; small, the A/A ratio."""
    rows = [row for row in order(results) if row.get("ratio")]
    figure, (ax,) = canvas(0.3 * max(len(rows), 1) + 1.5)
    for place, row in enumerate(rows):
        _row(ax, place, row)
    config = results["config"]
    ax.axvline(1, color=MUTED, lw=0.9, zorder=0)
    ax.axvline(1 + config["threshold"], color=WORSE, lw=1.2, ls="--", zorder=0)
    ax.plot([], [], color=WORSE, lw=1.2, ls="--", label=f"allowed, +{100 * config['threshold']:g} %")
    ax.set_xscale("log")
    # Plain numbers: a logarithmic axis of less than a decade has no major tick.
    ends = [e for row in rows for e in (row["ratio"]["lo"], row["ratio"]["hi"], 1 + config["threshold"], 1.0) if e]
    low, high = min(ends, default=0.9) / 1.02, max(ends, default=1.2) * 1.02
    steps = [t for t in (0.1, 0.2, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0, 10.0) if low < t < high]
    ax.set_xlim(low, high)
    ax.set_xticks(steps, [f"{t:g}" for t in steps])
    ax.set_xticks([], minor=True)
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    bound = f"one-sided {100 * config['level']:.1f} % bounds"
    n = sorted({row["ratio"]["n"] for row in rows}) or [config["pairs"]]
    blocks = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    ax.set_xlabel(f"Time of head / time of base, median of {blocks} paired blocks, {bound}")
    legend(figure, ax)
    return figure


def _row(ax: Axes, place: int, row: Record) -> None:
    kind = "faster" if row["reason"] == "faster" else row["status"]
    colour, marker = LOOKS[kind]
    found = row["ratio"]
    if found["lo"] is not None:
        ax.plot((found["lo"], found["hi"]), (place, place), color=colour, lw=2.2, solid_capstyle="butt")
    once = kind not in ax.get_legend_handles_labels()[1]
    ax.plot([found["value"]], [place], marker, color=colour, ms=6.5, ls="", label=kind if once else None)
    if row["aa"] is not None:
        label = None if "head / head" in ax.get_legend_handles_labels()[1] else "head / head"
        ax.plot([row["aa"]["ratio"]["value"]], [place + 0.28], "|", color=MUTED, mfc=PAPER, ms=6, ls="", label=label)
    ax.text(1.02, place, span(found), transform=ax.get_yaxis_transform(), va="center", fontsize=8)


def draw(results: Record, path: Path) -> None:
    """Writes the figure as what the path's suffix says, .svg or .png."""
    write_aside(path, save(forest(results), path.suffix.lstrip(".").lower()))
