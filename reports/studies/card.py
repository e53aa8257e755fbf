"""``cs3bench world``: the world card, stylised facts of a world beside the same facts of real logs (world.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reports.metrics import gini
from simulator.marketplace import Marketplace
from simulator.ranking import OracleRanker
from simulator.records import DAY, Impressions, Requests, concatenate
from simulator.retrieval import PopularityRetriever
from simulator.scenario import Scenario
from simulator.world import World, build

REAL: dict[str, tuple[float, str, bool]] = {
    "gini_user_activity": (0.465, "KuaiRand-Pure, impressions per user, 25 Apr - 8 May", True),
    "gini_impressions_per_ad": (0.727, "KuaiRand-Pure, impressions per item", True),
    "top_1_percent_ads": (0.167, "KuaiRand-Pure, share of impressions of the top 1 % items", False),
    "zipf_slope": (-0.63, "KuaiRand-Pure, top 1,000 items", True),
    "sd_user_logit": (0.74, "KuaiRand-Pure, users' true click rate, method of moments", True),
    "sd_ad_logit": (0.68, "KuaiRand-Pure, items' true click rate, method of moments", True),
    "repeat_share": (0.009, "KuaiRand-Pure, repeat (user, item) exposures", False),
    "busiest_hour": (0.064, "KuaiRand-Pure, share of the day", True),
    "quietest_hour": (0.008, "KuaiRand-Pure, share of the day", True),
    "bid_cv": (0.83, "iPinYou 1458, winning prices of won auctions", True),
    "price_cv": (0.83, "iPinYou 1458, winning prices of won auctions", False),
    "click_rate": (float("nan"), "the scenario's own level", False),
    "bound_spend": (float("nan"), "the scenario's own: spend on budget-bound ads", False),
}
"""Fact -> real value, its log, and whether it is a target of shape (or shown only)."""


def card(scenario: Scenario, seed: int, days: int) -> dict[str, dict[str, Any]]:
    """Facts of a world served for ``days`` by the exploring popularity retriever and a ranker that knows the truth.

    Returns:
        fact -> {"world", "real", "log", "target"}; "real" is None where no log has it.
    """
    world = build(scenario.world, seed, max(days + 1, scenario.all_days))
    log, bound = _served(scenario, world, seed, days)
    found = _demand_facts(world) | _log_facts(log, world) | {"bound_spend": bound}
    return {
        name: {"world": found[name], "real": None if np.isnan(real) else real, "log": source, "target": target}
        for name, (real, source, target) in REAL.items()
    }


def _served(scenario: Scenario, world: World, seed: int, days: int) -> tuple[Impressions, float]:
    logger = PopularityRetriever(
        world.catalog, seed, temperature=scenario.logging.temperature, pool=scenario.logging.pool
    )
    ranker = OracleRanker(lambda _, ads: np.zeros(ads.shape, dtype=np.float32))
    market = Marketplace(world, scenario.market, logger, ranker)
    market.ranker = OracleRanker(_truth_of(market))
    served = [market.run_day(day) for day in range(days)]
    spend = sum(d.log.paid.sum() for d in served)
    return concatenate([d.log for d in served]), float(sum(d.bound_spend for d in served) / spend) if spend else 0.0


def _truth_of(market: Marketplace) -> Any:
    def logit(requests: Requests, ads: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        return market.true_logit(requests, ads)

    return logit


def _demand_facts(world: World) -> dict[str, float]:
    bid = world.demand.bid
    return {
        "gini_user_activity": float(gini(world.truth.activity)),
        "bid_cv": float(bid.std() / bid.mean()),
        "sd_user_logit": float(world.truth.user_level.std()),
        "sd_ad_logit": float(world.truth.ad_level.std()),
    }


def _log_facts(log: Impressions, world: World) -> dict[str, float]:
    ads = world.catalog.ads.rows
    per_ad = np.sort(np.bincount(log.ad, minlength=ads))[::-1]
    hours = np.bincount((log.time % DAY) // 3600, minlength=24) / len(log)
    top = per_ad[: min(1000, int((per_ad > 0).sum()))]
    pairs = log.user.astype(np.int64) * ads + log.ad
    clicked = log.price[log.label]
    return {
        "gini_impressions_per_ad": float(gini(per_ad)),
        "top_1_percent_ads": float(per_ad[: max(1, ads // 100)].sum() / per_ad.sum()),
        "zipf_slope": float(np.polyfit(np.log(np.arange(1, top.size + 1)), np.log(top), 1)[0]),
        "repeat_share": float(1 - np.unique(pairs).size / pairs.size),
        "busiest_hour": float(hours.max()),
        "quietest_hour": float(hours.min()),
        "price_cv": float(clicked.std() / clicked.mean()) if clicked.size else 0.0,
        "click_rate": float(log.label.mean()),
    }


def lines(facts: dict[str, dict[str, Any]], scenario: Scenario) -> str:
    """The card for a terminal."""
    out = [f"world card of '{scenario.name}': {' '.join(scenario.about.split())}", ""]
    out.append(f"{'fact':<26}{'world':>10}{'real':>10}  {'':<12}log")
    for name, fact in facts.items():
        real = "n/a" if fact["real"] is None else f"{fact['real']:.3f}"
        kind = "shape target" if fact["target"] else "shown only"
        out.append(f"{name:<26}{fact['world']:>10.3f}{real:>10}  {kind:<12}{' ' + fact['log']}")
    return "\n".join(out)
