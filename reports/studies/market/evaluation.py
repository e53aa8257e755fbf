"""Measures of published state on common request samples: the daily panel, and the final evaluation of an arm.

Every arm of a world meets the same requests, the same eligible ads and the same truth (first exposures: no fatigue,
since arms differ in what they have shown). Money is expected money: bid or price x P(examined) x true_ctr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from reports.numbers.agreement import kendall_tau_b
from reports.numbers.recall import captured, recall_at_k
from simulator.auction import auction
from simulator.feedback import examine_p
from simulator.keyed_random import integers, subseed
from simulator.plugins import Ranker, Retriever
from simulator.records import DAY, PAD, Candidates, Floats, Keys, Money, Offers, Requests, take
from simulator.scenario import Scenario
from simulator.traffic import TrafficConfig, day_requests
from simulator.world import PLACEMENTS, World, eligible_at

PANEL_TOP, PANEL_RANDOM = 20, 30
"""Ads per panel request whose predicted rates are held against the truth: the truly best, and keyed uniform ones."""
TAU_ADS = 50
"""Random ads, and the evaluation ranker's best, that tau is taken over."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Requests of the day after ``day`` and the truth about them.

    Attributes:
        requests: R requests; offers: who may compete as the day begins, budgets aside.
        true_ctr: float32 [R, A]; value: float64 [R, A], bid x true_ctr.
    """

    requests: Requests
    offers: Offers
    true_ctr: Floats
    value: Money


def sample(world: World, day: int, n: int, purpose: str) -> Sample:
    """``n`` keyed requests of the day that follows ``day``, the same for all arms."""
    seed = subseed(world.seed, purpose)
    traffic = TrafficConfig(requests_per_day=n)
    requests = day_requests(traffic, seed, day + 1, world.truth.activity, world.truth.arrival, PLACEMENTS)
    offers = Offers(eligible=eligible_at(world.demand, (day + 1) * DAY), bid=world.demand.bid)
    true_ctr = expit(world.truth.everything(requests)).astype(np.float32)
    return Sample(requests=requests, offers=offers, true_ctr=true_ctr, value=true_ctr * world.demand.bid)


@dataclass(frozen=True, kw_only=True)
class PanelRow:
    """One day's reading of the panel: recall@K against the true eCPM order, and log loss against the truth."""

    recall: float
    logloss: float


def read_panel(retriever: Retriever, panel: Sample, k: int, world: World) -> PanelRow:
    """Recall@K and expected log loss of a retriever's published state; log loss is NaN if it has no probabilities."""
    found = retriever.retrieve(panel.requests, panel.offers, k)
    recall = recall_at_k(found.ad, panel.value, panel.offers.eligible, k).mean()
    rows = np.arange(len(panel.requests))[:, None]
    legal = np.where(panel.offers.eligible, panel.value, -np.inf)
    best = np.argsort(-legal, axis=1, kind="stable")[:, :PANEL_TOP]
    live = np.flatnonzero(panel.offers.eligible)
    drawn = live[integers(world.seed, "panel ads", live.size, panel.requests.id[:, None], np.arange(PANEL_RANDOM))]
    ads = np.concatenate([best, drawn], axis=1).astype(np.int32)
    p = panel.true_ctr[rows, ads].astype(np.float64)
    q = np.clip(expit(retriever.score(panel.requests, ads).astype(np.float64)), 1e-7, 1 - 1e-7)
    return PanelRow(recall=float(recall), logloss=float(-(p * np.log(q) + (1 - p) * np.log1p(-q)).mean()))


def expected_money(
    scenario: Scenario, s: Sample, ads: Keys, pctr: Floats
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Value and revenue that a ranked candidate list earns in expectation, per request -> float64 [R], [R]."""
    seen = examine_p(scenario.auction.slots, scenario.feedback.examine_decay)
    slates = auction(ads, pctr, s.offers.bid, scenario.auction, seen)
    clicks = np.where(slates.ad != PAD, np.take_along_axis(s.true_ctr, np.maximum(slates.ad, 0), axis=1), 0.0) * seen
    return (clicks * slates.bid).sum(axis=1), (clicks * slates.price).sum(axis=1)


def best_money(scenario: Scenario, s: Sample, ads: Keys | None) -> npt.NDArray[np.float64]:
    """Value of the truly best slate out of ``ads`` [R, K] (all eligible ones if None) -> float64 [R]."""
    value = np.where(s.offers.eligible, s.value, 0.0)
    if ads is not None:
        value = np.where(ads != PAD, np.take_along_axis(value, np.maximum(ads, 0), axis=1), 0.0)
    slots = scenario.auction.slots
    top = -np.sort(-value, axis=1)[:, :slots]
    return np.asarray(top @ examine_p(slots, scenario.feedback.examine_decay)[: top.shape[1]])


def k_grid(k: int, ads: int) -> list[int]:
    """Candidates of the sweep: from a quarter of K to twice K."""
    return sorted({min(max(4, round(k * f)), ads) for f in (0.25, 0.35, 0.5, 0.67, 0.83, 1.0, 1.33, 2.0)})


def first_k(found: Candidates, k: int) -> Keys:
    """The best ``k`` of each row."""
    return found.ad[:, :k]


def per_thousand(x: npt.NDArray[np.float64]) -> float:
    """Mean per request x 1,000."""
    return float(x.mean() * 1000)


def last_sample(scenario: Scenario, world: World) -> Sample:
    """The requests of the final evaluation, of the day after the test."""
    return sample(world, scenario.run.burn_in + scenario.run.days - 1, scenario.run.evaluation, "evaluation")


def evaluate(
    scenario: Scenario, world: World, retriever: Retriever, ranker: Ranker, evaluator: Orders
) -> dict[str, Any]:
    """The final evaluation of an arm's published state at the end of the test: funnel, K sweep, recall, tau."""
    K = scenario.cascade.candidates
    s = last_sample(scenario, world)
    grid = k_grid(K, world.catalog.ads.rows)
    found = retriever.retrieve(s.requests, s.offers, max(grid))
    pctr = ranked_in_blocks(ranker, s.requests, found.ad)
    at_k = first_k(found, K)
    value, revenue = expected_money(scenario, s, at_k, pctr[:, :K])
    sweep = {k: per_thousand(expected_money(scenario, s, first_k(found, k), pctr[:, :k])[1]) for k in grid}
    return {
        "funnel": {
            "oracle": per_thousand(best_money(scenario, s, None)),
            "retrieved": per_thousand(best_money(scenario, s, at_k)),
            "ranked": per_thousand(value),
            "sold": per_thousand(revenue),
        },
        "k_sweep": {"k": grid, "revenue": [sweep[k] for k in grid]},
        "recall": float(recall_at_k(at_k, s.value, s.offers.eligible, K).mean()),
        "captured": float(captured(at_k, s.value, s.offers.eligible).mean()),
        **index_recall(retriever, s, K),
        "agreement": evaluator.recall(retriever, K),
        "tau": evaluator.tau(retriever),
    }


def index_recall(retriever: Retriever, s: Sample, k: int) -> dict[str, float]:
    """``index_recall``, the share of a retriever's exact best ``k`` that its index finds; nothing where it has none.

    A retriever says it as ``recall_against_exact(requests, offers, k)``, [R], or None if it scores every ad.
    """
    ask = getattr(retriever, "recall_against_exact", None)
    share = None if ask is None else ask(s.requests, s.offers, k)
    return {} if share is None else {"index_recall": float(np.nanmean(share))}


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the frozen evaluation ranker, which taught no arm, thinks of R requests of the final evaluation.

    One set of requests and ads for all arms and all nights, so that what moves is the retriever alone.

    Attributes:
        requests: R requests; offers: who may compete.
        money: float64 [R, A], its eCPM of every ad.
        ads: int32 [R, n], the union of ``TAU_ADS`` random eligible ads and its best; one in both stands twice.
        pctr: float32 [R, n], its prediction, NaN where an ad stands a second time.
    """

    requests: Requests
    offers: Offers
    money: Money
    ads: Keys
    pctr: Floats

    def tau(self, retriever: Retriever) -> float:
        """Mean over requests of Kendall's tau-b between a retriever's published scores and ``pctr``."""
        tau = kendall_tau_b(retriever.score(self.requests, self.ads), self.pctr)
        return float(np.nanmean(tau)) if np.isfinite(tau).any() else float("nan")

    def recall(self, retriever: Retriever, k: int) -> float:
        """Recall@k of a retriever against the order of ``money``."""
        found = retriever.retrieve(self.requests, self.offers, k)
        return float(recall_at_k(found.ad, self.money, self.offers.eligible, k).mean())


def orders(scenario: Scenario, world: World, evaluator: Ranker) -> Orders:
    """Ask the frozen evaluation ranker about every ad for the first ``run.tau`` requests of the final evaluation."""
    s = last_sample(scenario, world)
    requests = take(s.requests, slice(0, scenario.run.tau))
    A = world.catalog.ads.rows
    everything = np.broadcast_to(np.arange(A, dtype=np.int32), (len(requests), A))
    pctr = ranked_in_blocks(evaluator, requests, everything)
    money = pctr * s.offers.bid
    live = np.flatnonzero(s.offers.eligible)
    drawn = live[integers(world.seed, "tau ads", live.size, requests.id[:, None], np.arange(TAU_ADS))]
    best = np.argsort(-np.where(s.offers.eligible, money, -np.inf), axis=1, kind="stable")[:, :TAU_ADS]
    ads = np.sort(np.concatenate([drawn, best], axis=1), axis=1).astype(np.int32)
    repeated = np.concatenate([np.zeros((len(ads), 1), dtype=bool), ads[:, 1:] == ads[:, :-1]], axis=1)
    theirs = np.where(repeated, np.nan, np.take_along_axis(pctr, ads, axis=1))
    return Orders(requests=requests, offers=s.offers, money=money, ads=ads, pctr=theirs)


def ranked_in_blocks(ranker: Ranker, requests: Requests, ads: Keys, rows: int = 20_000) -> Floats:
    """pctr of many pairs [R, n], a bounded number of them at a time."""
    step = max(1, rows // max(1, ads.shape[1]))
    parts = [
        ranker.rank(take(requests, slice(i, i + step)), ads[i : i + step]).pctr for i in range(0, len(requests), step)
    ]
    return np.concatenate(parts)


def references(
    scenario: Scenario, world: World, ranker: Ranker, retrievers: Mapping[str, Retriever]
) -> dict[str, dict[str, float]]:
    """Expected revenue per 1,000 requests and recall of several retrievers in front of one and the same ranker."""
    K = scenario.cascade.candidates
    s = last_sample(scenario, world)
    out: dict[str, dict[str, float]] = {}
    for name, retriever in retrievers.items():
        found = retriever.retrieve(s.requests, s.offers, K)
        _, revenue = expected_money(scenario, s, found.ad, ranked_in_blocks(ranker, s.requests, found.ad))
        recall = recall_at_k(found.ad, s.value, s.offers.eligible, K).mean()
        out[name] = {"revenue_per_1000": per_thousand(revenue), "recall": float(recall)}
    return out


def equal_revenue_k(grid: Sequence[int], revenue: Sequence[float], target: float) -> float:
    """Candidates at which a rising curve first earns ``target``, linear between its points; NaN if it never does."""
    r, k = np.asarray(revenue, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    over = np.flatnonzero(r >= target)
    if over.size == 0:
        return float("nan")
    i = int(over[0])
    if i == 0:
        return float(k[0])
    share = (target - r[i - 1]) / (r[i] - r[i - 1])
    return float(k[i - 1] + share * (k[i] - k[i - 1]))
