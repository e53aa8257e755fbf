"""Cells in, ``results.json`` out: paired worlds, intervals, corrections, lights, verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.numbers.corrections import holm
from reports.numbers.guardrails import guardrail_rows, guardrails
from reports.numbers.mechanisms import market_calls
from reports.numbers.paired import (
    PairedDifference,
    PairedLift,
    lift_by_period,
    lift_if_any,
    paired_difference,
    paired_lift,
)
from reports.numbers.untested import untested, why
from reports.numbers.verdict import rule, verdict
from reports.studies.market.budget_summary import budgets
from reports.studies.market.evaluation import equal_revenue_k
from reports.studies.market.learning import curve, learning
from reports.studies.market.lights import lights
from reports.studies.market.segment_summary import segment_rows
from reports.studies.market.segments import SURVIVAL_DAYS
from simulator.scenario import Scenario

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        key, label, unit: names.
        read: one arm's facts -> its value in one world.
        kind: compared as a ratio or as a difference; better: which way is good; headline: corrected by Holm.
    """

    key: str
    label: str
    unit: str
    read: Callable[[Facts], float]
    kind: str = "ratio"
    better: str = "higher"
    headline: bool = False


def _sum(field: str, last: int | None = None) -> Callable[[Facts], float]:
    return lambda facts: float(sum(day[field] for day in facts["days"][-last if last else None :]))


def _per(field: str, unit: str, scale: float = 1.0) -> Callable[[Facts], float]:
    def read(facts: Facts) -> float:
        units = _sum(unit)(facts)
        return scale * _sum(field)(facts) / units if units else float("nan")

    return read


def _at(*path: str) -> Callable[[Facts], float]:
    def read(facts: Facts) -> float:
        value: Any = facts
        for key in path:
            value = None if value is None else value.get(key)
        return float("nan") if value is None else float(value)

    return read


def _counted(field: str, fold: Callable[[list[float]], Any]) -> Callable[[Facts], float]:
    """A fold over days; NaN for facts of an older version, which did not count it."""
    return lambda facts: float(fold([day.get(field, np.nan) for day in facts["days"]]))


def metrics_of(scenario: Scenario) -> list[Metric]:
    """The table's rows, in order. The headline ones are corrected for being many."""
    K, steady = scenario.cascade.candidates, max(1, scenario.run.days // 2)
    gap = partial(Metric, kind="difference")
    sold = [
        Metric("conversions", "Conversions of the clicks", "count", _counted("conversions", np.sum)),
        Metric("conversion_value", "Value of the conversions", "currency", _counted("conversion_value", np.sum)),
    ]
    return [
        Metric("revenue", "Revenue", "currency", _sum("revenue"), headline=True),
        Metric("revenue_steady", f"Revenue, last {steady} days", "currency", _sum("revenue", steady)),
        Metric("expected_revenue", "Revenue, expected given the slates", "currency", _sum("expected_revenue")),
        Metric("revenue_per_1000", "Revenue per 1,000 requests", "currency", _per("revenue", "requests", 1000)),
        Metric("impressions", "Impressions", "count", _sum("impressions"), better="none"),
        Metric("clicks", "Clicks", "count", _sum("clicks"), headline=True),
        Metric("ctr", "Click rate", "share", _per("clicks", "impressions")),
        *(sold if scenario.world.conversion_rate else []),
        Metric("surplus", "Advertiser surplus", "currency", _sum("surplus")),
        Metric("welfare", "Welfare (revenue + surplus)", "currency", _sum("welfare")),
        Metric("cold_users", "Expected revenue from cold users", "currency", _at("segments", "cold_users")),
        Metric(
            "active_advertisers", "Advertisers with a click, a day", "count", _counted("active_advertisers", np.mean)
        ),
        gap("exposure_gini", "Gini of impressions over ads", "Gini", _at("exposure", "gini"), better="lower"),
        gap("new_ad_survival", f"New ads clicked in {SURVIVAL_DAYS} days", "share", _at("exposure", "new_ad_survival")),
        gap("recall", f"Recall@{K}, true eCPM order", "share", _at("recall"), headline=True),
        gap("captured", f"Value captured by {K} candidates", "share", _at("captured")),
        gap("agreement", f"Recall@{K}, evaluation ranker's order", "share", _at("agreement")),
        gap("tau", "Kendall tau-b with the evaluation ranker", "tau", _at("tau"), headline=True),
        gap("retriever_auc", "AUC of the retriever", "AUC", _at("retriever", "auc")),
        gap("retriever_logloss", "Log loss of the retriever", "nats", _at("retriever", "logloss"), better="lower"),
        gap("retriever_pcoc", "PCOC of the retriever", "ratio", _at("retriever", "pcoc"), better="none"),
        gap("ranker_auc", "AUC of the ranker", "AUC", _at("ranker", "auc"), better="none"),
        gap("ranker_logloss", "Log loss of the ranker", "nats", _at("ranker", "logloss"), better="none"),
        gap("ranker_pcoc", "PCOC of the ranker", "ratio", _at("ranker", "pcoc"), better="none"),
    ]


def _compare(metric: Metric, control: Sequence[Facts], treatment: Sequence[Facts]) -> dict[str, Any]:
    a = np.array([metric.read(facts) for facts in control])
    b = np.array([metric.read(facts) for facts in treatment])
    row = {
        "label": metric.label,
        "unit": metric.unit,
        "kind": metric.kind,
        "better": metric.better,
        "headline": metric.headline,
        "control": float(a.mean()),
        "treatment": float(b.mean()),
        "rel_effect": None,
        "effect": None,
        "ci": [None, None],
        "p": None,
        "p_holm": None,
        "n_worlds": len(a),
        "per_world": [],
    }
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return row | {"reason": "not measured in every world"}
    found: PairedLift | PairedDifference
    if metric.kind == "ratio":
        if (a <= 0).any() or (b <= 0).any():
            return row | {"reason": "not above 0 in every world, so that it has no ratio"}
        found = paired_lift(a, b)
        row["rel_effect"] = found.rel_effect
    else:
        found = paired_difference(a, b)
        row["effect"] = found.effect
    why = {"reason": found.why_no_interval} if found.why_no_interval else {}
    return row | {"ci": [found.lo, found.hi], "p": found.p, "per_world": found.per_world.tolist(), **why}


def compare(scenario: Scenario, control: Sequence[Facts], treatment: Sequence[Facts]) -> dict[str, dict[str, Any]]:
    """All metrics, paired over worlds, the headline ones with Holm's p."""
    rows = {m.key: _compare(m, control, treatment) for m in metrics_of(scenario)}
    headline = [key for key, row in rows.items() if row["headline"] and row["p"] is not None]
    if headline:
        for key, p in zip(headline, holm([rows[key]["p"] for key in headline]), strict=True):
            rows[key]["p_holm"] = float(p)
    return rows


def daily(scenario: Scenario, control: Sequence[Facts], treatment: Sequence[Facts]) -> dict[str, Any] | None:
    """Revenue lift by day since the split, and cumulative, pointwise t intervals.

    The cumulative lift also has a band that holds on all days together, so whenever one looks or stops: t intervals at
    Bonferroni's level. Its last lift is the true effect of the whole test in these worlds.
    """
    a, b = (np.array([[day["revenue"] for day in f["days"]] for f in arm]) for arm in (control, treatment))
    if (a <= 0).any() or (b <= 0).any():
        return None
    so_far = a.cumsum(axis=1), b.cumsum(axis=1)
    by_day, total = lift_by_period(a, b), lift_by_period(*so_far)
    always = lift_by_period(*so_far, level=1 - 0.05 / a.shape[1])
    return {
        "day": list(range(1, scenario.run.days + 1)),
        "lift": by_day.lift,
        "lo": by_day.lo,
        "hi": by_day.hi,
        "cumulative": {
            "lift": total.lift,
            "lo": total.lo,
            "hi": total.hi,
            "band_lo": always.lo,
            "band_hi": always.hi,
        },
    }


def _mean(arm: Sequence[Facts], *path: str) -> float:
    return float(np.mean([_at(*path)(f) for f in arm]))


def funnel(arm: Sequence[Facts]) -> dict[str, float]:
    """Mean expected money per 1,000 requests left after each stage."""
    return {stage: _mean(arm, "funnel", stage) for stage in ("oracle", "retrieved", "ranked", "sold")}


def calibration(arm: Sequence[Facts], side: str) -> dict[str, Any] | None:
    """Reliability of the first world's predictions with Wilson intervals, PCOC as the mean over worlds."""
    if any(f[side] is None for f in arm):
        return None
    return dict(arm[0][side]["reliability"]) | {"pcoc": _mean(arm, side, "pcoc"), "world": arm[0]["world"]}


def sweep(arm: Sequence[Facts], control: Sequence[Facts], k: int) -> dict[str, Any]:
    """Expected revenue per 1,000 requests against K, and its lift over what the control earns at ``k``, paired."""
    revenue = np.array([f["k_sweep"]["revenue"] for f in arm], dtype=np.float64)
    base = np.array([np.interp(k, f["k_sweep"]["k"], f["k_sweep"]["revenue"]) for f in control])
    out: dict[str, Any] = {"k": arm[0]["k_sweep"]["k"], "revenue": curve(revenue)}
    if (revenue > 0).all() and (base > 0).all():
        out["lift"] = {key: np.expm1(ends) for key, ends in curve(np.log(revenue / base[:, None])).items()}
    return out


def k_saved(scenario: Scenario, control: Sequence[Facts], treatment: Sequence[Facts]) -> dict[str, Any]:
    """Candidates with which the treatment first earns what the control earns at K, per world, with a t interval."""
    K = scenario.cascade.candidates
    found = []
    for a, b in zip(control, treatment, strict=True):
        grid = a["k_sweep"]["k"]
        target = float(np.interp(K, grid, a["k_sweep"]["revenue"]))
        found.append(equal_revenue_k(grid, b["k_sweep"]["revenue"], target))
    x = np.array(found)
    if not np.isfinite(x).all():
        short = int((~np.isfinite(x)).sum())
        text = f"In {short} of {x.size} worlds the treatment does not reach the control's revenue at any K."
        return {"k": K, "equal_revenue_k": None, "lo": None, "hi": None, "text": text}
    c = curve(x[:, None])
    mean, lo, hi = (float(c[key][0]) for key in ("mean", "lo", "hi"))
    interval = f"95 % t interval {lo:.1f} to {hi:.1f}, {x.size} worlds" if x.size > 1 else "one world, no interval"
    text = f"The treatment earns the control's revenue at K = {K} with {mean:.1f} candidates ({interval})."
    return {"k": K, "equal_revenue_k": mean, "lo": lo, "hi": hi, "text": text}


def ladder(rungs: Mapping[str, Sequence[Facts]], days: int) -> dict[str, Any]:
    """From the bare tower over online counters to the treatment: revenue of the first ``days`` test days."""

    def revenue(arm: Sequence[Facts]) -> npt.NDArray[np.float64]:
        return np.array([sum(d["revenue"] for d in f["days"][:days]) for f in arm])

    def requests(arm: Sequence[Facts]) -> float:
        return float(sum(d["requests"] for f in arm for d in f["days"][:days]))

    base = next(iter(rungs.values()))
    rows = []
    for name, arm in rungs.items():
        lift = lift_if_any(revenue(base), revenue(arm))
        night = len(arm[0]["panel"]["recall"]) - len(arm[0]["days"]) + days - 1
        rows.append(
            {
                "arm": name,
                "revenue_per_1000": float(1000 * revenue(arm).sum() / requests(arm)),
                "lift_vs_bare": lift.rel_effect,
                "ci": [lift.lo, lift.hi],
                "recall": float(np.mean([f["panel"]["recall"][night] for f in arm])),
            }
        )
    what = f"First {days} test days of {len(base)} of the worlds."
    note = f"{what} What online counters alone already earn is the middle rung."
    return {"n_worlds": len(base), "note": note, "rows": rows}


def reference_rows(arm: Sequence[Facts]) -> dict[str, Any]:
    """Random, popularity, the arm and the oracle in front of one ranker: expected revenue, t intervals over worlds."""
    rows = []
    for name in ("random", "popularity", *(n for n in arm[0]["references"] if n not in REFERENCES), "oracle"):
        if name not in arm[0]["references"]:
            continue
        c = curve([[f["references"][name]["revenue_per_1000"]] for f in arm])
        rows.append(
            {
                "retriever": name,
                "revenue_per_1000": float(c["mean"][0]),
                "ci": [float(c["lo"][0]), float(c["hi"][0])],
                "recall": float(np.mean([f["references"][name]["recall"] for f in arm])),
            }
        )
    return {"n_worlds": len(arm), "rows": rows}


def index_recall(named: Mapping[str, Sequence[Facts]]) -> dict[str, Any]:
    """``index_recall`` by arm: what an index finds of the exact best K; nothing if every arm scans all ads."""
    rows = {}
    for name, arm in named.items():
        if all("index_recall" in facts for facts in arm):
            c = curve([[facts["index_recall"]] for facts in arm])
            rows[name] = {key: float(c[key][0]) for key in ("mean", "lo", "hi")} | {"n_worlds": len(arm)}
    return {"index_recall": rows} if rows else {}


REFERENCES = ("random", "popularity", "oracle")


def summarise(
    scenario: Scenario,
    control: str,
    treatment: str,
    arms: Mapping[str, Sequence[Facts]],
    burn_in: Sequence[Facts],
    rungs: Mapping[str, Sequence[Facts]] | None,
    a_a: Facts | None,
    differ: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The whole of ``results.json`` (schema in page.py).

    Args:
        scenario: the resolved configuration.
        control: spelling of arm 0, whose facts are ``arms["control"]``.
        treatment: spelling of arm 1, whose facts are ``arms["treatment"]``.
        arms: facts of both sides, a row per world.
        burn_in: facts of the burn-ins.
        rungs: facts of the ladder's arms, or None.
        a_a: facts of the A/A cell, or None.
        differ: share of requests whose slates differ between the arms, by world; None if unknown.
    """
    run = scenario.run
    a, b = arms["control"], arms["treatment"]
    rows = compare(scenario, a, b)
    named = {control: a, treatment: b}
    learned = {name: learning(scenario, facts) for name, facts in named.items()}
    nothing = untested(control, treatment, arms, differ)
    shown = lights(control, treatment, learned, arms, a_a, nothing)
    revenue = lift_if_any([_sum("revenue")(f) for f in a], [_sum("revenue")(f) for f in b])
    decided = verdict(revenue, guardrails(rows), shown, untested=why(nothing))
    per_day = scenario.traffic.requests_per_day
    requests = {"burn_in": run.burn_in * per_day, "test": run.days * per_day}
    logged = [day for facts in burn_in for day in facts["days"]]
    return {
        "schema": 1,
        "kind": "ab",
        "scenario": scenario.name,
        "control": control,
        "treatment": treatment,
        "worlds": [f["world"] for f in a],
        "days": {"burn_in": run.burn_in, "test": run.days},
        "requests_per_world": requests,
        "k": scenario.cascade.candidates,
        "slots": scenario.auction.slots,
        "verdict": {
            "word": decided.word,
            "reason": decided.reason,
            "rule": decided.rule,
            "lights": [light._asdict() for light in decided.lights],
        },
        "metrics": rows,
        "guardrails": guardrail_rows(rows),
        "segments": segment_rows(a, b),
        "mechanisms": market_calls(control, treatment, rows["revenue"], why(nothing)),
        "per_day": daily(scenario, a, b),
        "learning": learned,
        "learned": {name: [f["learned"] for f in facts] for name, facts in named.items() if "learned" in facts[0]},
        "slates_differ": differ,
        "budgets": {name: budgets(facts, curve) for name, facts in named.items()},
        "funnel": {name: funnel(facts) for name, facts in named.items()},
        "calibration": {
            name: {side: c for side in ("retriever", "ranker") if (c := calibration(facts, side)) is not None}
            for name, facts in named.items()
        },
        "k_sweep": {name: sweep(facts, a, scenario.cascade.candidates) for name, facts in named.items()},
        "k_saved": k_saved(scenario, a, b),
        "ladder": ladder(rungs, min(run.ladder_days, run.days)) if rungs else None,
        "references": reference_rows(a) if "references" in a[0] else None,
        "cost": {name: facts[0]["cost"] for name, facts in named.items() if facts[0]["cost"]},
        "burn_in": {
            "revenue_per_1000": float(1000 * sum(d["revenue"] for d in logged) / sum(d["requests"] for d in logged))
        },
        **index_recall(named),
    }


__all__ = ["rule", "summarise"]
