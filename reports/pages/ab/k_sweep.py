"""How many candidates it takes: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import hover, wording
from reports.drawing.strokes import MARKS, MUTED, band, canvas, floats, interval, legend, percent_axis, styled
from reports.drawing.tables import table
from reports.pages.ab.arms import by_arm, cascade_by_k, marks
from reports.pages.ab.headline import k_span
from reports.pages.parts import Section, columns_of, worlds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record, timing: Record) -> Figure:
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


def section(results: Record, timing: Record) -> Section:
    """Revenue and latency against K."""
    saved = results.get("k_saved") or {}
    rows = []
    for arm, sweep in by_arm(results, "k_sweep").items():
        timed = cascade_by_k(timing, arm)
        lifts = columns_of(sweep.get("lift") or {}, "mean", "lo", "hi") or [(None, None, None)] * len(sweep["k"])
        money = columns_of(sweep["revenue"], "mean", "lo", "hi")
        for k, (mean, lo, hi), (lift, *ends) in zip(sweep["k"], money, lifts, strict=True):
            over = (wording.percent(lift), wording.span(ends, wording.percent))
            rows.append(
                [arm, wording.number(k), wording.number(mean), wording.span((lo, hi)), *over,
                 wording.milliseconds(timed[k])]
            )  # fmt: skip
    paired = all(sweep.get("lift") for sweep in by_arm(results, "k_sweep").values())
    how = "as lift over what the control earns at the run's K, paired over worlds" if paired else "currency units"
    lead = str(saved.get("text") or "")
    if wording.known(saved.get("equal_revenue_k")) and wording.known(saved.get("lo")):
        lead = f"{lead.rstrip('.')} (95% CI of that K: {k_span(saved)})."
    return Section(
        key="k-sweep",
        title="How many candidates it takes",
        lead=lead,
        figure="k_sweep",
        alt=f"Revenue and cascade latency against K. {lead}",
        caption=f"Expected revenue by K, {how}; bands: 95% t intervals over "
        f"{worlds(len(results.get('worlds') or ()) or None)}. Latency: median of one request through retrieval, "
        "ranking of K and auction. The bar marks the K that earns what the control earns at the run's K.",
        tables=(
            table(
                "K sweep",
                ("Arm", "K", "Revenue per 1,000", "95% CI", "Over the control", "95% CI", "Cascade p50, ms"),
                rows,
            ),
        ),
    )
