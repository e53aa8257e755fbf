"""``cs3bench world``: the world card, stylised facts of a world beside the same facts of real logs.

A world is shown as a log would show it: some days served by the logging cascade's popularity retriever and a ranker
that knows the truth. Facts with a tolerance are targets of shape, for ``calibrate``; the others are shown only, and say
why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reports.drawing.tables import table
from reports.numbers.inequality import gini
from reports.studies.card.real_facts import (
    IPINYOU,
    KUAIRAND,
    LOGS,
    PUBLISHED,
    count_facts,
    curves,
    recomputed,
    time_facts,
)
from reports.studies.market.stage import burnt_in
from simulator.current_truth import CurrentTruth
from simulator.footprint import fits
from simulator.ranking import OracleRanker
from simulator.records import Impressions, concatenate
from simulator.scenario import Scenario
from simulator.world import World, build


class Fact(NamedTuple):
    """A line of the card.

    Attributes:
        real: key among the real facts; empty where no log has it.
        log: the log that it comes from.
        what: what is measured, of the world and of the log.
        tolerance: distance from the real value that a calibrated world may have; None: shown only.
    """

    real: str
    log: str
    what: str
    tolerance: float | None = None


FACTS: Mapping[str, Fact] = {
    "gini_user_activity": Fact("gini_user_impressions", KUAIRAND, "request rates; impressions per user", 0.05),
    "gini_impressions_per_ad": Fact("gini_impressions_per_ad", KUAIRAND, "impressions of the ads shown", 0.05),
    "zipf_slope": Fact("zipf_slope", KUAIRAND, "log-log slope over the top 15.7 % of the ads shown", 0.15),
    "sd_user_logit": Fact("sd_user_logit", KUAIRAND, "users' true rate, logit scale, by moments", 0.1),
    "sd_ad_logit": Fact("sd_ad_logit", KUAIRAND, "ads' true rate, logit scale, by moments", 0.1),
    "busiest_hour": Fact("busiest_hour", KUAIRAND, "share of the day", 0.01),
    "quietest_hour": Fact("quietest_hour", KUAIRAND, "share of the day", 0.01),
    "bid_cv": Fact("bid_cv", IPINYOU, "bids; winning prices", 0.15),
    "top_1_percent_ads": Fact("top_1_percent_ads", KUAIRAND, "their share: few ads in a small world"),
    "repeat_share": Fact("repeat_share", KUAIRAND, "repeated pairs: the app hides what was seen, ads come back"),
    "user_median": Fact("user_median", KUAIRAND, "impressions per user shown; the days differ"),
    "user_p99": Fact("user_p99", KUAIRAND, "impressions per user shown; the days differ"),
    "gap_median": Fact("gap_median", KUAIRAND, "seconds between a user's requests; the days differ"),
    "price_cv": Fact("bid_cv", IPINYOU, "prices of clicks; winning prices of impressions"),
    "click_rate": Fact("", "", "the scenario's own level"),
    "bound_spend": Fact("", "", "the scenario's own: spend on budget-bound ads"),
}


def card(scenario: Scenario, seed: int, days: int, data: Path | None = None) -> dict[str, dict[str, Any]]:
    """Facts of a world beside those of real logs.

    Args:
        scenario: the world.
        seed: which one.
        days: how many to serve.
        data: folder of the real logs; facts of a log that is not there are as last recomputed.

    Returns:
        fact -> {"world", "real", "log", "what", "target", "tolerance", "met"}; "real" is None where no log has it,
        "world" where its log is too short to tell, "met" where it is no target or not told.
    """
    facts: dict[str, dict[str, Any]] = survey(scenario, seed, days, data)["facts"]
    return facts


def survey(scenario: Scenario, seed: int, days: int, data: Path | None = None) -> dict[str, Any]:
    """The card with its curves, as plain values: scenario, seed, days, impressions, facts, curves, logs."""
    fits(64 * scenario.world.users * days, f"days == {days}, world.users == {scenario.world.users}")
    world = build(scenario.world, seed, max(days + 1, scenario.all_days))
    log, bound = served(scenario, world, days)
    found = world_facts(log, world) | {"bound_spend": bound}
    fresh, real_curves, there = recomputed(data)
    real = dict(PUBLISHED) | fresh
    of_world = curves(np.bincount(log.ad).astype(np.float64), log.time, log.price[log.label])
    sides = {"world": of_world} | ({"real": real_curves} if real_curves else {})
    return {
        "scenario": scenario.name,
        "seed": seed,
        "days": days,
        "impressions": len(log),
        "facts": {name: _line(fact, found[name], real, there) for name, fact in FACTS.items()},
        "curves": {k: {c: getattr(v, c).tolist() for c in ("rank", "hours", "price")} for k, v in sides.items()},
        "logs": list(there),
    }


def _line(fact: Fact, value: float, real: Mapping[str, float], there: tuple[str, ...]) -> dict[str, Any]:
    known = real[fact.real] if fact.real else None
    source = LOGS[fact.log] + ("" if fact.log in there else " (as last recomputed)") if fact.log else ""
    told, target = bool(np.isfinite(value)), fact.tolerance is not None
    return {
        "world": value if told else None,
        "real": known,
        "log": source,
        "what": fact.what,
        "target": target,
        "tolerance": fact.tolerance,
        "met": abs(value - known) <= fact.tolerance
        if fact.tolerance is not None and known is not None and told
        else None,
    }


def served(scenario: Scenario, world: World, days: int) -> tuple[Impressions, float]:
    """The log of the first ``days``, and the share of its money on budget-bound ads."""
    truth = CurrentTruth(world, scenario.market.feedback)
    found = burnt_in(scenario, world, OracleRanker(truth.pairs), truth=truth, days=days)
    spend = sum(d.log.paid.sum() for d in found)
    return concatenate([d.log for d in found]), float(sum(d.bound_spend for d in found) / spend) if spend else 0.0


def world_facts(log: Impressions, world: World) -> dict[str, float]:
    """All facts but the budgets'."""
    bid = world.demand.bid
    clicked = log.price[log.label]
    return {
        **count_facts(np.bincount(log.user).astype(np.float64), np.bincount(log.ad).astype(np.float64)),
        **time_facts(log.user, log.ad, log.time),
        "gini_user_activity": float(gini(world.truth.activity)),
        "bid_cv": float(bid.std() / bid.mean()),
        "sd_user_logit": float(world.truth.user_level.std()),
        "sd_ad_logit": float(world.truth.ad_level.std()),
        "price_cv": float(clicked.std() / clicked.mean()) if clicked.size else 0.0,
        "click_rate": float(log.label.mean()) if len(log) else float("nan"),
    }


def lines(facts: Mapping[str, Mapping[str, Any]], scenario: Scenario) -> str:
    """The card for a terminal."""
    out = [f"world card of '{scenario.name}': {' '.join(scenario.about.split())}", ""]
    rows = []
    for name, fact in facts.items():
        of_world, real = ("n/a" if fact[key] is None else f"{fact[key]:.3f}" for key in ("world", "real"))
        within = "" if fact["tolerance"] is None else f"{fact['tolerance']:.2f}"
        state = {True: "met", False: "MISSED", None: "n/a" if fact["target"] else "shown"}[fact["met"]]
        source = f"; {fact['log']}" if fact["log"] else ""
        rows.append([name, of_world, real, within, state, f"{fact['what']}{source}"])
    columns = ("fact", "world", "real", "tolerance", "", "what, and the log")
    return "\n".join([*out, *table("", columns, rows).text("lrrrl", least=(25, 8, 8, 9, 6))])
