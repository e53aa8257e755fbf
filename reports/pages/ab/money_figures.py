"""The pictures of money: where it is lost, what it costs in time and candidates, between chance and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import hover, wording
from reports.drawing.apart import Spot, label_apart
from reports.drawing.strokes import (
    INK,
    MARKS,
    MUTED,
    band,
    canvas,
    floats,
    interval,
    legend,
    name_bars,
    percent_axis,
    styled,
)
from reports.pages.ab.arms import arms, by_arm, cascade_by_k, marks, recall_at_k, revenue_per_1000

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Record = Mapping[str, Any]

STAGES = (
    ("oracle", "Oracle\n(best possible)"),
    ("retrieved", "Retrieved\n(best of the K)"),
    ("ranked", "Ranked\n(ranker's choice)"),
    ("sold", "Sold"),
)


@styled
def funnel(results: Record) -> Figure:
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


@styled
def plane(results: Record, timing: Record) -> Figure:
    """Money against speed: revenue over retrieval p50, recall as size; where swept, over the cascade's p50 by K."""
    looks, latency = marks(results), timing["latency"]
    sweeps = {arm: sweep for arm, sweep in by_arm(results, "k_sweep").items() if cascade_by_k(timing, arm)}
    figure, axes = canvas(3.3, columns=2 if sweeps else 1)
    ax = axes[0]
    shown = [arm for arm in arms(results) if arm in latency and wording.known(revenue_per_1000(results, arm))]
    order = sorted(shown, key=lambda arm: -revenue_per_1000(results, arm))
    for arm in shown:
        p50 = (latency[arm].get("retrieval") or {}).get("p50_ms") or {}
        x, y, recall = p50.get("value"), revenue_per_1000(results, arm), recall_at_k(results, arm)
        if not wording.known(x):
            continue
        mark = looks[arm]
        if wording.known(p50.get("lo")) and wording.known(p50.get("hi")):
            ax.plot((p50["lo"], p50["hi"]), (y, y), color=mark.colour, lw=1.4)
        size = 60 + 420 * recall**2 if wording.known(recall) else 60
        dot = ax.scatter([x], [y], s=size, marker=mark.marker, color=mark.colour, alpha=0.85, lw=0)
        hover.tell(dot, name=f"{arm}, recall {wording.number(recall)}")
        ax.plot([], [], mark.marker, color=mark.colour, label=arm)  # the legend's marker keeps one size
        up = 1 if order.index(arm) < len(order) / 2 else -1
        words = f"recall {recall:.3f}" if wording.known(recall) else "recall n/a"
        ax.annotate(words, (x, y), (0, 17 * up), textcoords="offset points", ha="center", va="center", fontsize=9)
    ax.margins(0.35, 0.5)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel("Retrieval p50 (ms per request)")
    ax.set_ylabel("Revenue per 1,000 requests")
    ax.set_title(f"At K = {results['k']}" if results.get("k") else "")
    spots: list[Spot] = []
    for arm, sweep in sweeps.items():
        x = floats(cascade_by_k(timing, arm)[k] for k in sweep["k"])
        mean = floats(sweep["revenue"]["mean"])
        (line,) = axes[1].plot(x, mean, color=looks[arm].colour, ls=looks[arm].line, marker=looks[arm].marker)
        pairs = zip(sweep["k"], x, mean, strict=True)
        hover.tell(line, [f"{arm}, K = {k}: {wording.milliseconds(at)} ms, {wording.number(y)}" for k, at, y in pairs])
        for k, spot, money in zip(sweep["k"], x, mean, strict=True):
            named = k in (sweep["k"][0], sweep["k"][-1], results.get("k"))  # the others say theirs when pointed at
            if np.isfinite(spot) and np.isfinite(money):
                spots.append(Spot(spot, money, f"{k}" if named else "", MUTED))
    if sweeps:
        axes[1].margins(0.12, 0.12)
        axes[1].locator_params(axis="x", nbins=5)
        axes[1].set_xlabel("Cascade p50 (ms per request)")
        axes[1].set_title("As K grows (label: K)")
    for each in axes:
        each.grid()
    legend(figure, ax)
    if sweeps:
        label_apart(axes[1], spots, size=8)
    return figure


@styled
def k_sweep(results: Record, timing: Record) -> Figure:
    """Revenue against K, the cascade's latency against K, and the K that the better retriever saves."""
    looks, sweeps = marks(results), by_arm(results, "k_sweep")
    timed = {arm: cascade_by_k(timing, arm) for arm in sweeps if cascade_by_k(timing, arm)}
    figure, axes = canvas(3.1, columns=2 if timed else 1)
    paired = all(sweep.get("lift") for sweep in sweeps.values())
    for arm, sweep in sweeps.items():
        band(axes[0], floats(sweep["k"]), sweep["lift" if paired else "revenue"], looks[arm], arm)
    if paired:
        axes[0].axhline(0, color=MUTED, lw=0.9, zorder=0)
        percent_axis(axes[0].yaxis)
        axes[0].set_title(f"Revenue over {results.get('control')} at K = {results.get('k')}")
    else:
        axes[0].set_title("Revenue per 1,000 requests")
    _saved_k(axes[0], results, paired)
    if timed:
        for arm, found in timed.items():
            mark = looks[arm]
            line = axes[1].plot(
                list(found), floats(found.values()), color=mark.colour, ls=mark.line, marker=mark.marker
            )
            hover.tell(line[0], name=arm)
        axes[1].set_title("Cascade p50 (ms per request)")
        axes[1].set_ylim(bottom=0)
    every_k = sorted({k for sweep in sweeps.values() for k in sweep["k"]})
    for ax in axes:
        ax.set_xscale("log")
        ax.minorticks_off()
        ax.set_xticks(every_k, _spaced(every_k))
        ax.set_xlabel("K, candidates sent to the ranker")
        ax.grid()
    legend(figure, axes[0])
    return figure


def _spaced(every_k: list[int]) -> list[str]:
    """Names for ticks of a log axis, "" where the name would touch the one on its left."""
    named, last = [], 0.0
    for k in every_k:
        free = last == 0 or np.log(k / last) > 0.1 * np.log(every_k[-1] / every_k[0])
        named.append(str(k) if free else "")
        last = k if free else last
    return named


def _saved_k(ax: Axes, results: Record, paired: bool) -> None:
    """Marks where the treatment earns what the control earns at the run's K."""
    saved, sweep = results.get("k_saved") or {}, by_arm(results, "k_sweep").get(str(results.get("control")))
    if not sweep or saved.get("k") not in sweep["k"] or not wording.known(saved.get("equal_revenue_k")):
        return
    level = 0.0 if paired else floats(sweep["revenue"]["mean"])[sweep["k"].index(saved["k"])]
    ax.plot((saved["equal_revenue_k"], saved["k"]), (level, level), color=MARKS[2].colour, lw=1.6, marker="|", ms=9)
    ends = interval((saved.get("lo"), saved.get("hi")))
    if np.isfinite(ends).all():
        ax.plot(ends, (level, level), color=MARKS[2].colour, lw=5, alpha=0.3, solid_capstyle="butt")
    words = f"equal revenue at K = {saved['equal_revenue_k']:.1f}"
    ax.annotate(words, (0.98, 0.05), xycoords="axes fraction", ha="right", fontsize=9)


@styled
def references(results: Record) -> Figure:
    """Revenue per 1,000 requests of the reference retrievers, from chance to the truth."""
    rows = results["references"]["rows"]
    looks = marks(results)
    figure, (ax,) = canvas(0.38 * len(rows) + 0.8)
    for place, row in enumerate(rows):
        (money,), ends = floats([row.get("revenue_per_1000")]), interval(row.get("ci"))
        mark = looks.get(str(row.get("retriever")))
        ax.barh(place, np.nan_to_num(money), 0.6, color=mark.colour if mark else "#56b4e9")
        if np.isfinite(ends).all():
            ax.plot(ends, (place, place), color=INK, lw=1.6)
        if np.isfinite(money):
            edge = ends[1] if np.isfinite(ends).all() else money
            words = wording.number(round(float(money), 1))
            ax.annotate(words, (edge, place), (5, 0), textcoords="offset points", va="center", fontsize=9)
    name_bars(ax, [str(row.get("retriever")) for row in rows])
    _room_right(ax, 0.08)
    ax.set_xlabel("Revenue per 1,000 requests (currency units)")
    return figure
