"""Money against speed and recall: the picture and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.drawing import hover, wording
from reports.drawing.apart import Spot, label_apart
from reports.drawing.strokes import MUTED, canvas, effect, floats, legend, styled
from reports.drawing.tables import table
from reports.pages.ab.arms import arms, by_arm, cascade_by_k, marks, recall_at_k, revenue_per_1000
from reports.pages.ab.headline import main_metric, p50s
from reports.pages.parts import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]


@styled
def figure(results: Record, timing: Record) -> Figure:
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


def section(results: Record, timing: Record) -> Section:
    """Revenue, recall and latency in one plane."""
    before, after = p50s(results, timing)
    lead = ""
    if wording.known(before) and wording.known(after) and before > 0:
        ratio, money = after / before - 1, main_metric(results)
        after_ms, before_ms = wording.milliseconds(after), wording.milliseconds(before)
        lead = f"{results.get('treatment')} retrieves in {after_ms} ms against {before_ms} ms "
        lead += f"at the median ({wording.percent(ratio)})"
        lead += f", for {wording.percent(effect(money))} {str(money.get('label')).lower()}." if money else "."
    rows = []
    for arm in arms(results):
        p50 = (((timing.get("latency") or {}).get(arm) or {}).get("retrieval") or {}).get("p50_ms") or {}
        ends = wording.span((p50.get("lo"), p50.get("hi")), wording.milliseconds)
        values = [wording.milliseconds(p50.get("value")), ends, wording.number(revenue_per_1000(results, arm))]
        rows.append([arm, *values, wording.number(recall_at_k(results, arm))])
    return Section(
        key="plane",
        title="Revenue, recall and latency together",
        lead=lead,
        figure="plane",
        alt=f"Revenue per 1,000 requests against latency; marker size is recall. {lead}",
        caption="Left: revenue per 1,000 requests (currency units, mean over worlds) against median retrieval "
        "latency of one request; whiskers: 95% order-statistic intervals of the median; marker area grows with the "
        "square of recall. Right, where swept: the same money against the median of the whole cascade, one point per "
        "K. Up and left is better.",
        tables=(table("Plane", ("Arm", "Retrieval p50, ms", "95% CI", "Revenue per 1,000", "Recall"), rows),),
    )
