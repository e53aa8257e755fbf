"""What the page says of models: calibration, learning, what they cost, what an index finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing import wording
from reports.drawing.tables import table
from reports.pages.ab.arms import arms, by_arm
from reports.pages.ab.model_figures import LEARNED
from reports.pages.parts import Section, columns_of, spread, worlds

Record = Mapping[str, Any]


def calibration(results: Record) -> Section:
    """Reliability and PCOC of the retriever and the ranker."""
    rows, ratios, counted = [], [], 0.0
    for arm, parts in by_arm(results, "calibration").items():
        for stage in ("retriever", "ranker"):
            bins = parts.get(stage)
            if not bins:
                continue
            ratios.append(f"{arm} {stage} {wording.number(bins.get('pcoc'))}")
            counted = max(counted, sum(n for n in bins.get("n") or () if wording.known(n)))
            for p, y, lo, hi, true, n in columns_of(bins, "p", "y", "lo", "hi", "true", "n"):
                rates = [wording.number(p), wording.number(y), wording.span((lo, hi)), wording.number(true)]
                rows.append([arm, stage, *rates, wording.number(n)])
    lead = (
        f"Predicted over observed clicks (PCOC; 1 is perfect, above 1 is too hopeful): {', '.join(ratios)}."
        if ratios
        else ""
    )
    columns = ("Arm", "Stage", "Predicted", "Observed", "95% CI", "True", "n")
    return Section(
        key="calibration",
        title="Calibration",
        lead=lead,
        figure="calibration",
        alt=f"Observed over predicted click rate by bin of predicted rate. {lead}",
        caption="Reliability by equal-mass bins of matured impressions, shown as observed over predicted so that "
        "small errors show; on the line is perfect. 95% intervals of the observed rate; up to "
        f"{wording.number(counted)} impressions an arm. Crosses: the world's true click rate of the same bin.",
        tables=(table("Reliability", columns, rows),),
    )


TAU = (
    " Tau: Kendall's tau-b with the order of the evaluation ranker, which taught no arm and is frozen at the seam, "
    "every night about the same requests and ads, those of the final evaluation."
)


def learning(results: Record) -> Section:
    """Recall, logloss and tau over simulated days, and whether an arm still learns."""
    found = by_arm(results, "learning")
    moving = [text for arm, curve in found.items() for text in _still_moving(arm, curve)]
    judged = any((curve.get("plateau") or {}).get("recall") for curve in found.values())
    fallen = [text for arm, curve in found.items() for text in _fallen(arm, curve)]
    lead = ""
    if moving:
        lead = f"Not at a plateau: {'; '.join(moving)}. The lift above is partly a lift between unfinished learners."
    elif judged:
        lead = "Every arm has reached its plateau: no curve still improves or worsens within its phase."
    if fallen:
        lead = f"{lead} {' '.join(fallen)}".strip()
    rows = []
    shown = {key: label for key, (label, *_) in LEARNED.items() if any(curve.get(key) for curve in found.values())}
    for arm, curve in found.items():
        read = [columns_of(curve.get(key) or {}, "mean", "lo", "hi") for key in shown]
        for place, (day, phase) in enumerate(columns_of(curve, "day", "phase")):
            cells = [(values[place] if place < len(values) else (None,) * 3) for values in read]
            spelled = [text for mean, *ends in cells for text in (wording.number(mean), wording.span(ends))]
            rows.append([arm, wording.number(day), str(phase or ""), *spelled])
    columns = ["Arm", "Day", "Phase", *(text for label in shown.values() for text in (label, "95% CI"))]
    return Section(
        key="learning",
        title="Trained, not just started",
        lead=lead,
        figure="learning",
        alt=f"{', '.join(shown.values())} of each arm over simulated days, with the seam between burn-in "
        f"and test. {lead}",
        caption="Recall@K against the true eCPM order (share) and logloss (nats) by simulated day; bands: 95% t "
        f"intervals over {worlds(len(results.get('worlds') or ()) or None)}. Dashed line: the seam, where the arms "
        "part and serve their own traffic." + (TAU if "tau" in shown else ""),
        tables=(table("Learning curves", tuple(columns), rows),),
    )


WAYS = {"recall": ("rising", "sinking"), "logloss": ("falling", "climbing")}
"""A measure that improves, and one that worsens, in a word."""


def _still_moving(arm: str, curve: Record) -> list[str]:
    """The words for each measure of `arm` that is not flat within its phase."""
    said = []
    for key, words in WAYS.items():
        plateau = (curve.get("plateau") or {}).get(key) or {}
        word = words[0] if plateau.get("rising") else words[1] if plateau.get("worsening") else ""
        if word:
            said.append(f"{key} of {arm} is still {word} ({_change(plateau)})")
    return said


def _fallen(arm: str, curve: Record) -> list[str]:
    """The sentence for each measure of an arm that is worse since the seam: by its light, or by its whole interval."""
    steps = {key: (curve.get("seam") or {}).get(key) or {} for key in WAYS}
    sure = (steps["recall"].get("hi") or 0) < 0
    said = {"recall": "lower", "logloss": "higher"}
    return [
        f"Since the seam {key} of {arm} is {said[key]} ({_change(step)})."
        for key, step in steps.items()
        if step.get("worsening") or (key == "recall" and sure)
    ]


def _change(step: Record) -> str:
    ends = wording.span((step.get("lo"), step.get("hi")), wording.percent)
    return f"{wording.percent(step.get('change'))}, 95% CI {ends}"


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
