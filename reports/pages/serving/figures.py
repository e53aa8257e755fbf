"""The pictures of the study ``serving``: latency by load with the knee, and by size of the catalogue."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reports.drawing.strokes import INK, MARKS, canvas, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.drawing.strokes import Mark

Record = Mapping[str, Any]
SHOWN = ("p50_ms", "p99_ms")


@styled
def by_load(results: Record) -> Figure:
    """Latency from the scheduled arrival by offered rate, p50 and p99, a vertical line at each arm's knee."""
    found = results["open"]
    figure, (ax,) = canvas(3.4)
    for (name, arm), mark in zip(found["arms"].items(), MARKS, strict=False):
        x = [point["offered"] for point in arm["points"]]
        for quantile, line in zip(SHOWN, ("-", "--"), strict=True):
            label = f"{name}, {quantile[:3]}"
            _curve(ax, x, [point[quantile] for point in arm["points"]], mark, line, label)
        if arm["knee"] is not None:
            ax.axvline(arm["knee"], color=mark.colour, lw=0.9, ls=":")
            ax.annotate("knee", (arm["knee"], 1.0), xycoords=("data", "axes fraction"), fontsize=8, color=INK)
    n = results["config"]["arrivals"]
    ax.set_yscale("log")
    ax.set_xlabel("Offered load (requests a second)")
    ax.set_ylabel("Latency (ms, log)")
    ax.set_title(f"{found['ads']:,} ads, one thread, n = {n} arrivals a point, whiskers 95 %", fontsize=9)
    ax.grid()
    ax.legend(fontsize=8)
    return figure


@styled
def by_size(results: Record) -> Figure:
    """p50 and p99 of a single request by size of the catalogue, for the base and the last arm with state."""
    names = list(results["open"]["arms"])
    figure, axes = canvas(3.2, columns=len(SHOWN))
    for ax, quantile in zip(axes, SHOWN, strict=True):
        for name, mark in zip(names, MARKS, strict=False):
            rows = [row for row in results["closed"] if row["arm"] == name and row["batch"] == 1]
            _curve(ax, [row["ads"] for row in rows], [row[quantile] for row in rows], mark, mark.line, name)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("Ads (log)")
        ax.set_ylabel(f"{quantile[:3]} of a request (ms, log)")
        ax.grid()
    axes[0].set_title(f"One thread, n = {results['config']['calls']}, whiskers 95 %", fontsize=9)
    axes[0].legend(fontsize=8)
    return figure


def _curve(ax: Axes, x: list[float], values: list[Record], mark: Mark, line: Any, label: str) -> None:
    """Values with the ends of their intervals that are known."""
    ax.plot(x, [v["value"] for v in values], color=mark.colour, marker=mark.marker, ls=line, lw=1.4, ms=4, label=label)
    for at, v in zip(x, values, strict=True):
        ends = [v["value"] if v[end] is None else v[end] for end in ("lo", "hi")]
        ax.plot((at, at), ends, color=mark.colour, lw=1)


def drawable(results: Record) -> dict[str, Callable[[], Figure]]:
    """The figures of a run by name."""
    return {
        "latency-by-load": functools.partial(by_load, results),
        "latency-by-size": functools.partial(by_size, results),
    }
