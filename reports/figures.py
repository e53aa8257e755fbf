"""The pictures of a run: one function per figure, from the plain dicts of results.json and timing.json to matplotlib.

`draw_all` draws whatever the run has numbers for and writes each figure as `figures/NAME.png` and `figures/NAME.svg`.
Nothing here computes a statistic: a figure shows only what is already in the dicts. What figures share is in `strokes`,
and its names are there under this module's too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports import hover, wording
from reports.apart import Spot, label_apart
from reports.budget_figures import budgets
from reports.segment_figures import segments
from reports.strokes import (
    BETTER,
    GRID,
    INK,
    MARKS,
    MUTED,
    PAPER,
    WIDTH,
    WORSE,
    Mark,
    Row,
    band,
    canvas,
    direction,
    dot_rows,
    draw_into,
    effect,
    floats,
    interval,
    legend,
    metric_row,
    name_bars,
    percent_axis,
    save,
    style,
    styled,
    whole_days,
    write_aside,
)

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
REVENUE_KEYS = ("revenue_per_1000", "revenue_per_1000_requests", "revenue_per_thousand", "rpm")


def arms(results: Record) -> list[str]:
    """The compared arms, control first, treatment second (once in an A/A run), then any other that has a curve."""
    named = [results.get("control"), results.get("treatment")]
    for section in ("learning", "funnel", "k_sweep", "calibration"):
        named.extend(results.get(section) or {})
    return [arm for arm in dict.fromkeys(named) if arm]


def marks(results: Record) -> dict[str, Mark]:
    """Each arm's mark, the same in every figure of the run."""
    return {arm: MARKS[place % len(MARKS)] for place, arm in enumerate(arms(results))}


def by_arm(results: Record, section: str) -> dict[str, Record]:
    """`results[section]` for the arms that have it, in the page's order of arms."""
    found = results.get(section) or {}
    return {arm: found[arm] for arm in arms(results) if found.get(arm)}


def revenue_per_1000(results: Record, arm: str) -> Any:
    """Revenue per 1,000 requests of an arm: the A/B's own metric, else its K sweep at the run's K, else its funnel."""
    side = "control" if arm == results.get("control") else "treatment" if arm == results.get("treatment") else ""
    for key in REVENUE_KEYS:
        metric = (results.get("metrics") or {}).get(key) or {}
        if wording.known(metric.get(side)):
            return metric[side]
    sweep = by_arm(results, "k_sweep").get(arm)
    if sweep and results.get("k") in sweep["k"]:
        return sweep["revenue"]["mean"][sweep["k"].index(results["k"])]
    return by_arm(results, "funnel").get(arm, {}).get("sold")


def recall_at_k(results: Record, arm: str) -> Any:
    """Recall of an arm: the first metric called recall..., else the last day of its learning curve."""
    side = "control" if arm == results.get("control") else "treatment" if arm == results.get("treatment") else ""
    for key, metric in (results.get("metrics") or {}).items():
        if key.startswith("recall") and wording.known(metric.get(side)):
            return metric[side]
    curve = (by_arm(results, "learning").get(arm, {}).get("recall") or {}).get("mean") or [None]
    return curve[-1]


# --- the figures ----------------------------------------------------------------------------------------------------


@styled
def forest(results: Record) -> Figure:
    """Every metric's effect with its interval: relative lifts above, absolute differences below."""
    metrics = list(results["metrics"].values())
    ratio = [metric_row(metric, wording.percent) for metric in metrics if metric.get("kind") == "ratio"]
    other = [metric_row(metric, wording.signed) for metric in metrics if metric.get("kind") != "ratio"]
    panels = [rows for rows in (ratio, other) if rows]
    figure, axes = canvas(
        0.34 * len(metrics) + 0.85 * len(panels), rows=len(panels), ratios=[len(p) + 0.6 for p in panels]
    )
    for ax, rows in zip(axes, panels, strict=True):
        dot_rows(ax, rows)
        relative = rows is ratio
        ax.set_xlabel("Lift, treatment over control" if relative else "Difference, treatment minus control")
        if relative:
            percent_axis(ax.xaxis)
    figure.align_ylabels(axes)
    return figure


@styled
def per_day(results: Record) -> Figure:
    """Lift of revenue on each simulated day since the arms parted, and the lift of all days so far."""
    days = results["per_day"]
    day, lift, lo, hi = (floats(days.get(key)) for key in ("day", "lift", "lo", "hi"))
    treated = MARKS[1]
    figure, (ax,) = canvas(2.9)
    ax.axhline(0, color=MUTED, lw=0.9, zorder=0)
    together = days.get("cumulative") or {}
    if together.get("lift"):
        curve = {"mean": together["lift"]} | {
            end: together.get(f"band_{end}", together.get(end)) for end in ("lo", "hi")
        }
        band(ax, day, curve, Mark(MARKS[2].colour, "", "-"), "all days so far")
        ax.axhline(
            floats(together["lift"])[-1], color=INK, lw=1.1, ls=(0, (4, 3)), label="true effect of the whole test"
        )
    if lo.size == day.size == hi.size:
        ax.vlines(day, lo, hi, color=treated.colour, lw=2)
    (dots,) = ax.plot(day, lift, treated.marker, color=treated.colour, label="that day alone")
    hover.tell(dots, name="that day alone", ends=(lo, hi) if lo.size == day.size == hi.size else None)
    ax.set_xlabel("Simulated day since the arms parted")
    ax.set_ylabel("Lift of revenue")
    whole_days(ax, day)
    ax.margins(y=0.1)
    percent_axis(ax.yaxis)
    ax.grid(axis="y")
    legend(figure, ax)
    return figure


@styled
def ladder(results: Record) -> Figure:
    """Lift over the bare tower of each rung: bare, with counters, with CS3."""
    figure, (ax,) = canvas(0.42 * len(results["ladder"]["rows"]) + 0.8)
    rows = []
    for rung in results["ladder"]["rows"]:
        lift, ends = rung.get("lift_vs_bare"), interval(rung.get("ci"))
        money = f"{wording.number(rung.get('revenue_per_1000'))} per 1,000"
        words = (
            "the base" if lift == 0 and not any(ends[0:2] if np.isfinite(ends).all() else ()) else wording.percent(lift)
        )
        side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        rows.append(Row(rung["arm"], float(floats([lift])[0]), ends, f"{words}  ·  {money}", side))
    dot_rows(ax, rows)
    percent_axis(ax.xaxis)
    ax.set_xlabel("Lift of revenue over the bare tower")
    return figure


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
        axes[1].set_xlabel("Cascade p50 (ms per request)")
        axes[1].set_title("As K grows (label: K)")
    for each in axes:
        each.grid()
    legend(figure, ax)
    if sweeps:
        label_apart(axes[1], spots, size=8)
    return figure


def cascade_by_k(timing: Record, arm: str) -> dict[int, Any]:
    """The cascade's p50 in ms of each timed K; a K that was not timed answers None."""
    timed = ((timing.get("latency") or {}).get(arm) or {}).get("k") or {}
    found = dict(zip(timed.get("k") or (), timed.get("cascade_p50_ms") or (), strict=True))
    return _Gaps(found)


class _Gaps(dict[int, Any]):
    """A dict that answers None for what it has not."""

    def __missing__(self, key: int) -> None:
        return None


@styled
def k_sweep(results: Record, timing: Record) -> Figure:
    """Revenue against K, the cascade's latency against K, and the K that the better retriever saves."""
    looks, sweeps = marks(results), by_arm(results, "k_sweep")
    timed = {arm: cascade_by_k(timing, arm) for arm in sweeps if cascade_by_k(timing, arm)}
    figure, axes = canvas(3.1, columns=2 if timed else 1)
    for arm, sweep in sweeps.items():
        band(axes[0], floats(sweep["k"]), sweep["revenue"], looks[arm], arm)
    axes[0].set_title("Revenue per 1,000 requests")
    _saved_k(axes[0], results)
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


def _saved_k(ax: Axes, results: Record) -> None:
    """Marks where the treatment earns what the control earns at the run's K."""
    saved, sweep = results.get("k_saved") or {}, by_arm(results, "k_sweep").get(str(results.get("control")))
    if not sweep or saved.get("k") not in sweep["k"] or not wording.known(saved.get("equal_revenue_k")):
        return
    level = floats(sweep["revenue"]["mean"])[sweep["k"].index(saved["k"])]
    ax.plot((saved["equal_revenue_k"], saved["k"]), (level, level), color=MARKS[2].colour, lw=1.6, marker="|", ms=9)
    ends = interval((saved.get("lo"), saved.get("hi")))
    if np.isfinite(ends).all():
        ax.plot(ends, (level, level), color=MARKS[2].colour, lw=5, alpha=0.3, solid_capstyle="butt")
    words = f"equal revenue at K = {saved['equal_revenue_k']:.1f}"
    ax.annotate(words, (0.98, 0.05), xycoords="axes fraction", ha="right", fontsize=9)


@styled
def calibration(results: Record) -> Figure:
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


LEARNED = {"recall": ("Recall@K", 0, 1), "logloss": ("Logloss", 0, np.inf), "tau": ("Tau to the ranker", -1, 1)}
"""What a night reads: its name, and the least and the greatest value that it can have."""


@styled
def learning(results: Record) -> Figure:
    """Recall, logloss and tau of every arm over simulated days, with the seam where the arms part."""
    looks, curves = marks(results), by_arm(results, "learning")
    shown = [key for key in LEARNED if any(curve.get(key) for curve in curves.values())]
    figure, axes = canvas(3.0, columns=max(1, len(shown)))
    for ax, key in zip(axes, shown, strict=True):
        label, least, greatest = LEARNED[key]
        for arm, curve in curves.items():
            if curve.get(key):
                day = floats(curve["day"])
                band(ax, day, curve[key], looks[arm]._replace(marker=""), arm)
                whole_days(ax, day)
        ax.set_ylim(*np.clip(ax.get_ylim(), least, greatest))
        ax.set_title(label)
        ax.set_xlabel("Simulated day")
        ax.grid(axis="y")
        _seam(ax, next(iter(curves.values())))
    legend(figure, axes[0])
    return figure


def _seam(ax: Axes, curve: Record) -> None:
    """A line between the last burn-in day and the first test day, named on either side."""
    day, phase = floats(curve["day"]), np.array(curve.get("phase") or ())
    if phase.size != day.size or len(set(phase.tolist())) < 2:
        return
    spot = (day[phase != "test"].max() + day[phase == "test"].min()) / 2
    ax.axvline(spot, color=MUTED, lw=0.9, ls=(0, (4, 3)))
    for words, shift, side in (("burn-in", -4, "right"), ("test", 4, "left")):
        ax.annotate(
            words, (spot, 1.0), (shift, -1), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha=side, va="top", fontsize=8, color=MUTED,
        )  # fmt: skip


@styled
def mechanisms(results: Record) -> Figure:
    """What each mechanism adds alone, with its interval and the paper's claim called."""
    found = [row for row in results["mechanisms"]["rows"] if wording.known(row.get("lift"))]
    figure, (ax,) = canvas(0.42 * len(found) + 0.8)
    rows = []
    for row in found:
        ends = interval(row.get("ci"))
        words = f"{wording.percent(row.get('lift'))}  ·  {row.get('word') or 'undecided'}"
        side = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else ""
        rows.append(
            Row(str(row.get("mechanism") or row.get("arm")), float(floats([row.get("lift")])[0]), ends, words, side)
        )
    dot_rows(ax, rows)
    percent_axis(ax.xaxis)
    ax.set_xlabel("Lift of revenue over the control")
    return figure


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


# --- to disk --------------------------------------------------------------------------------------------------------


def has_rows(results: Record, section: str) -> bool:
    """Whether a section of kind `{"rows": [...]}` has any row."""
    return bool((results.get(section) or {}).get("rows"))


def told_apart(results: Record) -> bool:
    """Whether the run measured any mechanism alone."""
    return any(wording.known(row.get("lift")) for row in results["mechanisms"]["rows"])


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


__all__ = [
    "BETTER",
    "GRID",
    "INK",
    "MARKS",
    "MUTED",
    "PAPER",
    "REVENUE_KEYS",
    "STAGES",
    "WIDTH",
    "WORSE",
    "Mark",
    "Row",
    "arms",
    "band",
    "budgets",
    "by_arm",
    "calibration",
    "canvas",
    "cascade_by_k",
    "direction",
    "dot_rows",
    "draw_all",
    "drawable",
    "effect",
    "floats",
    "forest",
    "funnel",
    "has_rows",
    "interval",
    "k_sweep",
    "ladder",
    "learning",
    "legend",
    "marks",
    "mechanisms",
    "metric_row",
    "name_bars",
    "per_day",
    "percent_axis",
    "plane",
    "recall_at_k",
    "references",
    "revenue_per_1000",
    "save",
    "segments",
    "style",
    "styled",
    "told_apart",
    "whole_days",
    "write_aside",
]
