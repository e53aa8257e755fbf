"""What the page says of money: the funnel, the plane, the candidates, the references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.strokes import effect
from reports.drawing.tables import table
from reports.pages.ab.arms import arms, by_arm, cascade_by_k, recall_at_k, revenue_per_1000
from reports.pages.ab.headline import k_span, main_metric, p50s
from reports.pages.ab.money_figures import STAGES
from reports.pages.parts import Section, columns_of, worlds

Record = Mapping[str, Any]


def funnel(results: Record) -> Section:
    """Money that survives each stage."""
    found = by_arm(results, "funnel")
    rows, lost = [], []
    for arm, money in found.items():
        kept = [money.get(stage) for stage, _ in STAGES]
        for place, (stage, _) in enumerate(STAGES):
            before, now = kept[place - 1] if place else None, kept[place]
            change = share = "\N{EM DASH}"
            if wording.known(before) and wording.known(now) and before > 0:
                change, share = wording.signed(round(now - before, 2)), wording.percent(now / before - 1)
                if stage == "retrieved":
                    lost.append(f"{wording.percent(1 - now / before, sign=False)} in {arm}")
            rows.append([arm, stage, wording.number(now), change, share])
    lead = f"Retrieval loses {', '.join(lost)} of the money that the oracle would have found." if lost else ""
    return Section(
        key="funnel",
        title="Where the money is lost",
        lead=lead,
        figure="funnel",
        alt=f"Bars of expected revenue left after the oracle, retrieval, ranking and sale. {lead}",
        caption="Expected revenue per 1,000 requests, currency units, on the run's common request sample, mean over "
        f"{worlds(len(results.get('worlds') or ()) or None)}; no interval. In brackets: change against the stage "
        "before.",
        tables=(table("Funnel", ("Arm", "Stage", "Per 1,000 requests", "Change", "Change in %"), rows),),
    )


def plane(results: Record, timing: Record) -> Section:
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


def k_sweep(results: Record, timing: Record) -> Section:
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


def references(results: Record) -> Section:
    """Random, popularity, the towers and the oracle on one scale."""
    found = results["references"]
    rows = [
        [str(row.get("retriever")), wording.number(row.get("revenue_per_1000")), wording.span(row.get("ci"))]
        for row in found["rows"]
    ]
    best = next((row.get("revenue_per_1000") for row in found["rows"] if row.get("retriever") == "oracle"), None)
    shares = [
        f"{row['retriever']} {wording.percent(row['revenue_per_1000'] / best, sign=False)}"
        for row in found["rows"]
        if wording.known(best)
        and best > 0
        and wording.known(row.get("revenue_per_1000"))
        and row.get("retriever") != "oracle"
    ]
    lead = f"Share of the oracle's revenue: {', '.join(shares)}." if shares else ""
    return Section(
        key="references",
        title="Between chance and the truth",
        lead=lead,
        figure="references",
        alt=f"Bars of revenue per 1,000 requests of the reference retrievers. {lead}",
        caption="Revenue per 1,000 requests, currency units, same ranker and auction; 95% t intervals over "
        f"{worlds(found.get('n_worlds'))}.",
        tables=(table("Reference retrievers", ("Retriever", "Revenue per 1,000", "95% CI"), rows),),
    )
