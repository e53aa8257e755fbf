"""What the page says: each section's sentence, caption and tables, from the dicts of a run.

A section that the run has no numbers for is simply not built. Sentences are written from the numbers, so they stay true
when the treatment loses; nothing here computes a statistic beyond a ratio of two numbers already on the page.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reports import wording
from reports.budget_sections import budgets
from reports.figures import (
    LEARNED,
    REVENUE_KEYS,
    STAGES,
    arms,
    by_arm,
    cascade_by_k,
    direction,
    effect,
    has_rows,
    recall_at_k,
    revenue_per_1000,
)
from reports.parts import (
    ARROW,
    LIGHTS,
    TONES,
    WORDS,
    Cell,
    Section,
    Table,
    Tile,
    appendix,
    columns_of,
    flat,
    speller,
    spread,
    table,
    worlds,
)
from reports.segment_sections import guardrails, segments

Record = Mapping[str, Any]

# --- the verdict ----------------------------------------------------------------------------------------------------


def lights(results: Record) -> list[dict[str, str]]:
    """The verdict's lights with their tone and shape; a state we do not know is grey."""
    found = (results.get("verdict") or {}).get("lights") or ()
    spelled = []
    for light in found:
        tone, shape = LIGHTS.get(str(light.get("state")).lower(), ("", "\N{WHITE CIRCLE}"))
        state, text = str(light.get("state") or "unknown"), str(light.get("text") or "")
        spelled.append({"name": str(light.get("name", "")), "state": state, "text": text, "tone": tone, "shape": shape})
    return spelled


def main_metric(results: Record) -> Record | None:
    """The metric that the verdict is about: revenue, else the first headline metric, else the first."""
    metrics = results.get("metrics") or {}
    for key in ("revenue", *REVENUE_KEYS):
        if metrics.get(key):
            return dict(metrics[key])
    headline = [metric for metric in metrics.values() if metric.get("headline")]
    return next(iter([*headline, *metrics.values()]), None)


def tiles(results: Record, timing: Record) -> list[Tile]:
    """The numbers that a reader in a hurry takes away."""
    return [*_metric_tiles(results), *_latency_tile(results, timing), *_saved_tile(results)]


def _metric_tiles(results: Record) -> list[Tile]:
    main = main_metric(results)
    recall = next((m for key, m in (results.get("metrics") or {}).items() if key.startswith("recall")), None)
    built = []
    for metric in (main, recall):
        if metric:
            spell = speller(metric)
            word = "lift" if metric.get("kind") == "ratio" else "change"
            ends = wording.span(metric.get("ci"), spell)
            detail = f"95% CI {ends}, {_equals(metric.get('p'))}, {worlds(metric.get('n_worlds'))}"
            tone = TONES.get(direction(metric), "")
            built.append(
                Tile(label=f"{metric.get('label')} {word}", value=spell(effect(metric)), detail=detail, tone=tone)
            )
    return built


def _equals(p: Any) -> str:
    """A p value as p = 0.003 or p < 0.001, held on one line by no-break spaces."""
    spelled = wording.p_value(p)
    return f"p {spelled if spelled.startswith('<') else f'= {spelled}'}".replace(" ", "\N{NO-BREAK SPACE}")


def _p50s(results: Record, timing: Record) -> list[Any]:
    found = timing.get("latency") or {}
    pair = (str(results.get("control")), str(results.get("treatment")))
    return [((((found.get(arm) or {}).get("retrieval") or {}).get("p50_ms")) or {}).get("value") for arm in pair]


def _latency_tile(results: Record, timing: Record) -> list[Tile]:
    before, after = _p50s(results, timing)
    if not (wording.known(before) and wording.known(after)) or results.get("control") == results.get("treatment"):
        return []
    value = f"{wording.milliseconds(before)} {ARROW} {wording.milliseconds(after)}"
    change = wording.percent(after / before - 1) if before > 0 else wording.MISSING
    return [Tile(label="Retrieval p50, ms", value=value, detail=f"{change}, one request at a time, one thread")]


def _saved_tile(results: Record) -> list[Tile]:
    saved = results.get("k_saved") or {}
    if not wording.known(saved.get("equal_revenue_k")):
        return []
    value = f"{wording.number(saved.get('k'))} {ARROW} {saved['equal_revenue_k']:.0f}"
    return [Tile(label="K at equal revenue", value=value, detail=f"95% CI {_k_span(saved)}")]


def _k_span(saved: Record) -> str:
    return wording.span((saved.get("lo"), saved.get("hi")), lambda end: f"{end:.0f}")


# --- the sections, in the page's order ------------------------------------------------------------------------------


def metrics(results: Record) -> Section:
    """Every metric, both arms, effect, interval, p, Holm p and n."""
    rows: list[list[str | Cell]] = []
    for metric in results["metrics"].values():
        spell, tone = speller(metric), TONES.get(direction(metric), "")
        name = str(metric.get("label")) + (f" ({metric['unit']})" if metric.get("unit") else "")
        sides = [wording.number(metric.get("control")), wording.number(metric.get("treatment"))]
        ends = wording.span(metric.get("ci"), spell)
        tests = [wording.p_value(metric.get("p")), _holm(metric), wording.number(metric.get("n_worlds"))]
        strong = Cell(text=name, tone="strong" if metric.get("headline") else "")
        rows.append([strong, *sides, Cell(text=spell(effect(metric)), tone=tone), ends, *tests])
    control, treatment = str(results.get("control")), str(results.get("treatment"))
    if control == treatment:
        control, treatment = f"{control} (A)", f"{treatment} (A)"
    columns = ("Metric", control, treatment, "Effect", "95% CI", "p", "Holm p", "n")
    return Section(
        key="metrics",
        title="All metrics",
        lead="Per cent is a relative lift, a plain number an absolute difference. Headline metrics are in bold and "
        "share one Holm correction; the others are shown uncorrected and carry no claim.",
        caption="Arm columns: mean over worlds. Effect: true effect by twin worlds, paired over worlds; 95% t "
        "interval; p from the paired t test; n counts worlds.",
        tables=(table("", columns, rows, shown=True),),
    )


def _holm(metric: Record) -> str:
    return wording.p_value(metric.get("p_holm")) if wording.known(metric.get("p_holm")) else "\N{EM DASH}"


def forest(results: Record) -> Section:
    """Effects with intervals, and each world's own effect folded below."""
    found = list(results["metrics"].values())
    sides = [direction(metric) for metric in found]
    better, worse, open_ = (sides.count(side) for side in ("better", "worse", ""))
    lead = (
        f"Of {len(found)} metrics, {better} are better with the treatment and {worse} worse; for the other {open_} the "
    )
    lead += "interval includes 0 or the metric has no good side."
    every = results.get("worlds") or ()
    rows = [
        [str(metric.get("label")), *(speller(metric)(value) for value in metric["per_world"])]
        for metric in found
        if len(metric.get("per_world") or ()) == len(every) > 0
    ]
    worlds_table = (
        (table("Effect in each world", ["Metric", *(f"world {world}" for world in every)], rows),) if rows else ()
    )
    return Section(
        key="forest",
        title="Effects with their uncertainty",
        lead=lead,
        figure="forest",
        alt=f"Dot plot of the effect of the treatment on {len(found)} metrics with 95% intervals. {lead}",
        caption="Lift in per cent (top) or absolute difference in the metric's own unit (bottom); 95% t intervals "
        f"over {worlds(len(every) or None)}, not corrected for their number. Filled: the interval leaves 0; an arrow "
        "at the edge: the interval goes on; an arrow "
        "down: lower is better.",
        tables=worlds_table,
    )


def per_day(results: Record) -> Section:
    """Lift by day since the arms parted."""
    days = results["per_day"]
    together = days.get("cumulative") or {}
    last = wording.percent((days.get("lift") or [None])[-1])
    ends = wording.span([(days.get(key) or [None])[-1] for key in ("lo", "hi")], wording.percent)
    lead = (
        f"On the last test day the lift of revenue was {last}, 95% CI {ends}. A lift that still climbs or decays is a "
    )
    lead += "transient: read the last days, not only the mean."
    always = "band_lo" in together
    daily = columns_of(days, "day", "lift", "lo", "hi")
    total = columns_of(together, "lift", *(("band_lo", "band_hi") if always else ("lo", "hi")))
    rows = [
        [
            wording.number(day),
            wording.percent(lift),
            wording.span(ends, wording.percent),
            *((wording.percent(total[place][0]), wording.span(total[place][1:], wording.percent)) if total else ()),
        ]
        for place, (day, lift, *ends) in enumerate(daily)
        if not total or place < len(total)
    ]
    columns = ["Day", "Lift that day", "95% CI"] + (
        ["Lift of all days so far", "95%, all days together" if always else "95% CI"] if total else []
    )
    return Section(
        key="per-day",
        title="Lift by simulated day",
        lead=lead,
        figure="per_day",
        alt=f"Lift of revenue on each test day with 95% intervals. {lead}",
        caption=f"Lift of revenue in per cent over {worlds(len(results.get('worlds') or ()) or None)}. Dots: pointwise "
        "95% t intervals, valid for one day fixed in advance, not for stopping at the best one. "
        + (
            "Band: 95% t intervals at Bonferroni's level, which hold on all days together, so whenever one stops. "
            if always
            else "Band: the same of all days so far. "
        )
        + "Dashed: the true effect of the whole test in these worlds.",
        tables=(table("Lift by day", columns, rows),),
    )


def ladder(results: Record) -> Section:
    """Bare tower, counters, CS3: which rung the gain is on."""
    found = results["ladder"]
    rungs = found["rows"]
    rows = [
        [
            str(rung.get("arm")),
            wording.number(rung.get("revenue_per_1000")),
            wording.percent(rung.get("lift_vs_bare")),
            wording.span(rung.get("ci"), wording.percent),
            wording.number(rung.get("recall")),
        ]
        for rung in rungs
    ]
    lead = _ladder_lead(rungs)
    return Section(
        key="ladder",
        title="The ladder: what is CS3's and what is not",
        lead=lead,
        figure="ladder",
        alt=f"Lift over the bare tower of each rung with 95% intervals. {lead}",
        caption=f"Lift of revenue over the tower without online counters, in per cent; 95% t intervals over "
        f"{worlds(found.get('n_worlds'))}. {found.get('note') or ''}".strip(),
        tables=(table("Rungs", ("Arm", "Revenue per 1,000", "Lift over bare", "95% CI", "Recall"), rows),),
    )


def _ladder_lead(rungs: Sequence[Record]) -> str:
    steps = []
    for below, rung in itertools.pairwise(rungs):
        low, high = below.get("revenue_per_1000"), rung.get("revenue_per_1000")
        if wording.known(low) and wording.known(high) and low > 0:
            steps.append(f"{below.get('arm')} {ARROW} {rung.get('arm')}: {wording.percent(high / low - 1)}")
    return f"Revenue, rung by rung: {'; '.join(steps)}." if steps else ""


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
    before, after = _p50s(results, timing)
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
        for k, (mean, lo, hi) in zip(sweep["k"], columns_of(sweep["revenue"], "mean", "lo", "hi"), strict=True):
            rows.append(
                [arm, wording.number(k), wording.number(mean), wording.span((lo, hi)), wording.milliseconds(timed[k])]
            )
    lead = str(saved.get("text") or "")
    if wording.known(saved.get("equal_revenue_k")) and wording.known(saved.get("lo")):
        lead = f"{lead.rstrip('.')} (95% CI of that K: {_k_span(saved)})."
    return Section(
        key="k-sweep",
        title="How many candidates it takes",
        lead=lead,
        figure="k_sweep",
        alt=f"Revenue per 1,000 requests and cascade latency against K. {lead}",
        caption="Revenue per 1,000 requests in currency units, bands: 95% t intervals over worlds. Latency: median "
        "of one request through retrieval, ranking of K and auction. The bar marks the K that earns what the control "
        "earns at the run's K.",
        tables=(table("K sweep", ("Arm", "K", "Revenue per 1,000", "95% CI", "Cascade p50, ms"), rows),),
    )


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


def learning(results: Record) -> Section:
    """Recall, logloss and tau over simulated days, and whether an arm still learns."""
    found = by_arm(results, "learning")
    moving = [text for arm, curve in found.items() for text in _still_moving(arm, curve)]
    judged = any((curve.get("plateau") or {}).get("recall") for curve in found.values())
    if moving:
        lead = f"Not at a plateau: {'; '.join(moving)}. The lift above is partly a lift between unfinished learners."
    else:
        lead = "Every arm has reached its plateau: no curve still improves within its phase." if judged else ""
    fallen = [text for arm, curve in found.items() for text in _fallen(arm, curve)]
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
        caption="Recall@K against the true eCPM order (share), logloss (nats) and Kendall's tau-b with the order of "
        "the evaluation ranker, which taught no arm and is frozen at the seam, by simulated day; bands: 95% t "
        f"intervals over {worlds(len(results.get('worlds') or ()) or None)}. Dashed line: the seam, where the arms "
        "part and serve their own traffic. Tau asks every night about the same requests and ads, those of the final "
        "evaluation.",
        tables=(table("Learning curves", tuple(columns), rows),),
    )


def _still_moving(arm: str, curve: Record) -> list[str]:
    """The words for each measure of `arm` whose plateau light says that it still improves."""
    said = []
    for key, word in (("recall", "rising"), ("logloss", "falling")):
        plateau = (curve.get("plateau") or {}).get(key) or {}
        if plateau.get("rising"):
            ends = wording.span((plateau.get("lo"), plateau.get("hi")), wording.percent)
            said.append(f"{key} of {arm} is still {word} ({wording.percent(plateau.get('change'))}, 95% CI {ends})")
    return said


def _fallen(arm: str, curve: Record) -> list[str]:
    """The sentence for an arm whose recall is lower since the seam, its whole interval below 0."""
    step = (curve.get("seam") or {}).get("recall") or {}
    if step.get("hi") is None or step["hi"] >= 0:
        return []
    ends = wording.span((step.get("lo"), step.get("hi")), wording.percent)
    return [f"Since the seam recall of {arm} is lower ({wording.percent(step.get('change'))}, 95% CI {ends})."]


def mechanisms(results: Record) -> Section:
    """Each mechanism alone, and the paper's claim called."""
    found = results["mechanisms"]
    rows: list[list[str | Cell]] = [
        [
            str(row.get("mechanism") or row.get("arm")),
            str(row.get("claim") or ""),
            wording.percent(row.get("lift")),
            wording.span(row.get("ci"), wording.percent),
            wording.p_value(row.get("p")),
            _holm(row),
            Cell(text=str(row.get("word") or "undecided"), tone=WORDS.get(str(row.get("word")), "")),
        ]
        for row in found["rows"]
    ]
    said = [f"{row.get('mechanism') or row.get('arm')} {row.get('word') or 'undecided'}" for row in found["rows"]]
    lead = f"The paper's claims: {', '.join(said)}."
    apart = any(wording.known(row.get("lift")) for row in found["rows"])
    columns = ("Mechanism", "Claim", "Lift", "95% CI", "p", "Holm p", "Call")
    return Section(
        key="mechanisms",
        title="Mechanism by mechanism",
        lead=f"{lead} {found.get('note') or ''}".strip(),
        figure="mechanisms" if apart else "",
        alt=f"Lift of each mechanism alone with 95% intervals. {lead}",
        caption=f"Lift of revenue over the control in per cent; 95% t intervals over {worlds(found.get('n_worlds'))}.",
        tables=(table("Claims", columns, rows, prose=True, shown=not apart),),
    )


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


def build(results: Record, timing: Record, manifest: Record, drawn: Iterable[str]) -> list[Section]:
    """The page's sections in order; those of a figure appear when the figure was drawn."""
    has = set(drawn)
    every = [
        metrics(results) if results.get("metrics") else None,
        forest(results) if "forest" in has else None,
        guardrails(results) if results.get("guardrails") else None,
        segments(results) if "segments" in has else None,
        per_day(results) if "per_day" in has else None,
        ladder(results) if "ladder" in has else None,
        funnel(results) if "funnel" in has else None,
        plane(results, timing) if "plane" in has else None,
        k_sweep(results, timing) if "k_sweep" in has else None,
        calibration(results) if "calibration" in has else None,
        learning(results) if "learning" in has else None,
        budgets(results) if "budgets" in has else None,
        mechanisms(results) if has_rows(results, "mechanisms") else None,
        latency(results, timing) if timing.get("latency") else None,
        cost(results) if results.get("cost") else None,
        index_recall(results) if results.get("index_recall") else None,
        references(results) if "references" in has else None,
        appendix(results, timing, manifest),
    ]
    return [section for section in every if section and (section.figure or section.tables)]


__all__ = [
    "ARROW",
    "LIGHTS",
    "TONES",
    "WORDS",
    "Cell",
    "Section",
    "Table",
    "Tile",
    "appendix",
    "budgets",
    "build",
    "calibration",
    "columns_of",
    "cost",
    "flat",
    "forest",
    "funnel",
    "index_recall",
    "k_sweep",
    "ladder",
    "latency",
    "learning",
    "lights",
    "main_metric",
    "mechanisms",
    "metrics",
    "per_day",
    "plane",
    "references",
    "speller",
    "spread",
    "table",
    "tiles",
    "worlds",
]
