"""What an arm costs: latency, bytes and operations, and what its index misses, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.tables import table
from reports.pages.ab.arms import arms, by_arm
from reports.pages.parts import Section, spread, worlds

Record = Mapping[str, Any]


def latency(results: Record, timing: Record) -> Section:
    """p50, p95, p99 of retrieval and cascade, QPS, and what each arm costs."""
    found = timing["latency"]
    order = [arm for arm in arms(results) if arm in found] + [arm for arm in found if arm not in arms(results)]
    rows = []
    for arm in order:
        for stage in ("retrieval", "cascade"):
            part = found[arm].get(stage)
            if part:
                tails = [_quantile(part.get(f"p{q}_ms")) for q in (50, 95, 99)]
                speed = _batch_speed(found[arm].get("qps_batch")) if stage == "retrieval" else "\N{EM DASH}"
                rows.append([arm, stage, *tails, wording.number(part.get("n")), speed])
    columns = ("Arm", "What", "p50, ms", "p95, ms", "p99, ms", "n", "QPS in batches")
    return Section(
        key="latency",
        title="Latency",
        caption="One request at a time, one thread, trained weights, arms interleaved. Retrieval: encode and search. "
        "Cascade: retrieval, ranking of K, auction. In brackets: 95% order-statistic intervals; n counts requests; "
        "p99 needs n of at least 299.",
        tables=(table("", columns, rows, shown=True),),
    )


def _batch_speed(run: Record | None) -> str:
    if not run or not wording.known(run.get("qps")):
        return wording.MISSING
    return f"{wording.number(round(run['qps']))} (batch {wording.number(run.get('batch'))})"


def _quantile(quantile: Record | None) -> str:
    if not quantile or not wording.known(quantile.get("value")):
        return wording.MISSING
    ends = wording.span((quantile.get("lo"), quantile.get("hi")), wording.milliseconds)
    return f"{wording.milliseconds(quantile['value'])} {ends}"


def cost(results: Record) -> Section:
    """Bytes and floating-point operations of each arm, whatever the machine."""
    found = by_arm(results, "cost") or dict(results["cost"])
    keys = list(dict.fromkeys(key for record in found.values() for key in record))
    rows = [[arm, *(wording.number(record.get(key)) for key in keys)] for arm, record in found.items()]
    names = {
        "item_bytes": "Bytes an item",
        "user_flops": "FLOPs to encode a user",
        "scan_flops": "FLOPs to scan the index",
    }
    return Section(
        key="cost",
        title="Cost on any machine",
        caption="Counted from shapes, not timed.",
        tables=(table("", ("Arm", *(names.get(key, key.replace("_", " ")) for key in keys)), rows, shown=True),),
    )


def index_recall(results: Record) -> Section:
    """What an arm's index finds of what its exact search would."""
    found = results["index_recall"]
    rows = [[arm, wording.number(one.get("mean")), *spread(one)] for arm, one in found.items()]
    count = max((one.get("n_worlds") or 0 for one in found.values()), default=0)
    said = ", ".join(f"{arm} {wording.percent(one.get('mean'), sign=False)}" for arm, one in found.items())
    return Section(
        key="index",
        title="What the index finds",
        lead=f"Of the ads that an exact search would have returned, the index returns: {said}.",
        caption=f"Recall@{wording.number(results.get('k'))} of the index against exact search by the same published "
        f"weights, bids and budgets, on the final evaluation's requests; 95% t intervals over {worlds(count)}. An arm "
        "that is not listed scores every ad.",
        tables=(table("", ("Arm", "Recall of the index", "95% CI"), rows, shown=True),),
    )
