"""The pictures of the laboratory and of its power, from the dicts of results.json; no statistic is computed here.

Every interval is a 95 % t interval over worlds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import wording
from reports.drawing.strokes import (
    GRID,
    MARKS,
    MUTED,
    Row,
    canvas,
    dot_rows,
    floats,
    interval,
    legend,
    percent_axis,
    styled,
    whole_days,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


def designs_of(meter: Record) -> list[str]:
    """The live designs of a meter, in order."""
    return list(dict.fromkeys(row["design"] for one in meter["levels"] for row in one["rows"] if row["quality"]))


def _rows(meter: Record, share: float) -> list[tuple[Record, list[Record]]]:
    """Every level, loosest first, with its plain rows at a share of traffic."""
    return [
        (one, [row for row in one["rows"] if row["quality"] and row["estimator"] == "plain" and row["share"] == share])
        for one in meter["levels"]
    ]


def shares_of(meter: Record) -> list[float]:
    """The treatment's shares of traffic that were tried."""
    return list(dict.fromkeys(row["share"] for one in meter["levels"] for row in one["rows"] if row["quality"]))


@styled
def interference(results: Record) -> Figure:
    """Bias of every live design over the share of spend on budget-bound ads, a panel per share of traffic."""
    meter = results["meters"]["interference"]
    shares = shares_of(meter)
    figure, axes = canvas(3.3, columns=len(shares))
    for ax, share in zip(axes, shares, strict=True):
        levels = _rows(meter, share)
        bound = np.array([one["bound"] for one, _ in levels])
        width = (np.ptp(bound) or 1.0) * 0.012
        for place, (name, mark) in enumerate(zip(designs_of(meter), MARKS, strict=False)):
            found: list[Record] = [
                next((row["quality"] for row in rows if row["design"] == name), {}) for _, rows in levels
            ]
            bias, lo, hi = (floats([one.get(key) for one in found]) for key in ("bias", "bias_lo", "bias_hi"))
            x = bound + (place - 2) * width
            ax.plot(x, bias, color=mark.colour, ls=mark.line, marker=mark.marker, label=name)
            ax.vlines(x, lo, hi, color=mark.colour, lw=1.1, alpha=0.7)
        ax.axhline(0, color=MUTED, lw=0.9)
        ax.set_title(f"treatment on {wording.percent(share, sign=False)}")
        ax.set_xlabel("Spend on budget-bound ads")
        percent_axis(ax.xaxis, sign=False)
        percent_axis(ax.yaxis)
        ax.grid()
    axes[0].set_ylabel("Bias of the reported lift")
    legend(figure, axes[0])
    return figure


@styled
def contamination(results: Record) -> Figure:
    """Bias of a user split by what rows its arms learn from."""
    (one,) = results["meters"]["contamination"]["levels"]
    rows = [row for row in one["rows"] if row["quality"] and row["estimator"] == "plain"]
    figure, (ax,) = canvas(0.34 * len(rows) + 0.8)
    drawn = []
    for row in rows:
        found = row["quality"]
        ends = interval((found["bias_lo"], found["bias_hi"]))
        words = f"{wording.percent(found['bias'])}  {wording.span(ends, wording.percent)}"
        drawn.append(Row(row["training"], float(floats([found["bias"]])[0]), ends, words))
    dot_rows(ax, drawn)
    percent_axis(ax.xaxis)
    ax.set_xlabel("Bias of the reported lift")
    ax.grid(axis="x", color=GRID)
    return figure


def looked_at(results: Record) -> list[tuple[str, Record]]:
    """Titles and first looks to draw: the user split at the loosest and the tightest level, else what there is."""
    found = []
    for name, meter in results["meters"].items():
        levels = [one for one in meter["levels"] if one.get("looks")]
        for one in levels[:1] + levels[1:][-1:]:
            first = next((row for row in one["looks"] if row["design"] == "user_split"), one["looks"][0])
            bound = wording.percent(one["bound"], sign=False)
            found.append((f"{name.capitalize()},\n{bound} of spend bound", first["shown"]))
    return found


@styled
def looks(results: Record) -> Figure:
    """Cumulative lift by look with its plain interval, the always-valid band, and the true effect as a line."""
    shown = looked_at(results)
    figure, axes = canvas(3.0, columns=len(shown))
    for ax, (title, one) in zip(axes, shown, strict=True):
        effect, plain, band = (floats(one[key]) for key in ("effect", "plain", "band"))
        x = np.arange(1.0, effect.size + 1)
        for half, mark, label in ((band, MARKS[0], "always valid"), (plain, MARKS[1], "plain 95%")):
            ax.fill_between(
                x, np.expm1(effect - half), np.expm1(effect + half), color=mark.colour, alpha=0.18, lw=0, label=label
            )
        ax.plot(x, np.expm1(effect), color=MARKS[1].colour, marker=MARKS[1].marker, ms=3.5, label="estimate so far")
        ax.axhline(np.expm1(one["truth"]), color=MUTED, ls="--", lw=1.2, label="the truth")
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("Look")
        # The first looks know next to nothing: their bands may leave the picture.
        late = slice(effect.size // 2, None)
        ends = np.expm1(np.concatenate([effect[late] - band[late], effect[late] + band[late], [one["truth"], 0.05]]))
        reach = np.nanmax(np.abs(ends[np.isfinite(ends)]))
        ax.set_ylim(-1.1 * reach, 1.1 * reach)
        ax.set_xticks(np.unique([1, x.size // 3, 2 * x.size // 3, x.size]))
        percent_axis(ax.yaxis)
        ax.grid()
    axes[0].set_ylabel("Cumulative lift of revenue")
    legend(figure, axes[0])
    return figure


def drawable(results: Record) -> dict[str, Callable[[], Figure]]:
    """The figures that this run has numbers for, by name, in the page's order."""
    every = {"interference": interference, "contamination": contamination}
    found: dict[str, Callable[[], Figure]] = {
        name: functools.partial(draw, results) for name, draw in every.items() if name in results["meters"]
    }
    if looked_at(results):
        found["looks"] = functools.partial(looks, results)
    return found


@styled
def power(results: Record) -> Figure:
    """Power over the days of a live test, and over twin worlds: simulated with marks, the formula as a thin line."""
    figure, axes = canvas(3.5, columns=2)
    live, twin = axes
    for (name, one), mark in zip(results["designs"].items(), MARKS, strict=False):
        if "simulated" not in one:
            continue
        live.plot(one["day"], floats(one["simulated"]), color=mark.colour, ls="", marker=mark.marker, label=name)
        live.plot(one["day"], floats(one["formula"]), color=mark.colour, ls=mark.line, lw=1.1)
    whole_days(live, np.array(next(iter(results["designs"].values()))["day"], dtype=np.float64))
    live.set_xlabel("Days of a live test")
    mark = MARKS[1]
    found = results["twin"]
    twin.plot(found["worlds"], floats(found["simulated"]), color=mark.colour, ls="", marker=mark.marker)
    twin.plot(found["worlds"], floats(found["formula"]), color=mark.colour, ls=mark.line, lw=1.1)
    twin.set_xlabel("Twin worlds")
    live.set_ylabel(f"Power to find {wording.percent(results['lift'])}")
    for ax in axes:
        ax.axhline(results["power"], color=MUTED, lw=0.9)
        ax.set_ylim(-0.03, 1.03)
        percent_axis(ax.yaxis, sign=False)
        ax.grid()
    legend(figure, live)
    return figure


@styled
def sensitivity(results: Record) -> Figure:
    """Lift of revenue and of expected revenue at every level of a dial."""
    figure, (ax,) = canvas(3.2)
    x = floats([one["x"] for one in results["levels"]])
    width = (np.ptp(x) or 1.0) * 0.006
    for place, (key, label) in enumerate((("revenue", "revenue"), ("expected_revenue", "expected revenue"))):
        mark = MARKS[place]
        ends = np.array([interval(one[key]["ci"]) for one in results["levels"]])
        at = x + (2 * place - 1) * width
        lift = floats([one[key]["rel_effect"] for one in results["levels"]])
        ax.plot(at, lift, color=mark.colour, ls=mark.line, marker=mark.marker, label=label)
        ax.vlines(at, ends[:, 0], ends[:, 1], color=mark.colour, lw=1.1, alpha=0.7)
    found = results["break_even"]["expected_revenue"]["x"]
    if wording.known(found):
        ax.axvline(found, color=MUTED, lw=0.9, ls=":")
    ax.axhline(0, color=MUTED, lw=0.9)
    ax.set_xlabel(results["what"])
    ax.set_ylabel(f"Lift over {results['control']}")
    percent_axis(ax.yaxis)
    ax.grid()
    legend(figure, ax)
    return figure
