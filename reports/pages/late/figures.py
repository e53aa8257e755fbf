"""The picture of the study ``late``: recall against time, a panel for each size of catalogue."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing import wording
from reports.drawing.strokes import MARKS, Mark, canvas, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
COLUMNS = 2
LOOKS = (*MARKS, Mark("#56b4e9", "X", "-"))
TICKS = (1.0, 2.0, 5.0)


@styled
def recall_against_time(results: Record, timing: Record, kind: str) -> Figure:
    """Recall@K against the exact scan over the median time of a request, whiskers 95 %: one mark and line per way."""
    sizes = results["sizes"][kind]
    ways = list(dict.fromkeys(row["way"] for size in sizes for row in size["rows"]))
    looks = {way: LOOKS[i % len(LOOKS)] for i, way in enumerate(ways)}
    least = min((row["recall"]["mean"] for size in sizes for row in size["rows"] if "recall" in row), default=0.0)
    rows = -(-len(sizes) // COLUMNS)
    figure, axes = canvas(0.8 + 2.6 * rows, columns=COLUMNS, rows=rows)
    for ax, size, clock in zip(axes, sizes, timing["sizes"][kind], strict=False):
        _panel(ax, size, clock, looks)
        which = "trained" if size["real"] else "drawn"
        n = max((row["n"] for row in clock["rows"]), default=0)
        ax.set_title(f"{size['ads']:,} ads, {which}, n = {n}")
        ax.set_ylim(min(least, 0.95) - 0.02, 1.01)
    for ax in axes[len(sizes) :]:
        ax.set_axis_off()
    for place, ax in enumerate(axes[: len(sizes)]):
        if place % COLUMNS == 0:
            ax.set_ylabel(f"Recall@{results['k']}")
        if place + COLUMNS >= len(sizes):
            ax.set_xlabel("Processor time, p50 (ms, log)")
    handles = [axes[0].plot([], [], look.marker, color=look.colour, label=way)[0] for way, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle("n requests; whiskers 95 %: t over requests (recall), order statistics (time)", fontsize=8)
    return figure


def _panel(ax: Axes, size: Record, clock: Record, looks: Mapping[str, Mark]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    times = {(row["way"], row["setting"]): row["p50_ms"] for row in clock["rows"]}
    for way, look in looks.items():
        points = []
        for row in size["rows"]:
            p50, recall = times.get((row["way"], row["setting"])), row.get("recall")
            if row["way"] != way or p50 is None or recall is None:
                continue
            x, y = p50["value"], recall["mean"]
            points.append((x, y))
            if wording.known(recall["lo"]) and wording.known(recall["hi"]):
                ax.plot((x, x), (recall["lo"], min(recall["hi"], 1.0)), color=look.colour, lw=1)
            if wording.known(p50["lo"]) and wording.known(p50["hi"]):
                ax.plot((p50["lo"], p50["hi"]), (y, y), color=look.colour, lw=1)
        if points:
            ax.plot(*zip(*sorted(points), strict=True), color=look.colour, ls=look.line, marker=look.marker, lw=1, ms=5)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=TICKS))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid()


def drawable(results: Record, timing: Record) -> dict[str, Callable[[], Figure]]:
    """The figures of a run by name, one for each kind of retriever."""
    return {f"late-{kind}": functools.partial(recall_against_time, results, timing, kind) for kind in results["sizes"]}
