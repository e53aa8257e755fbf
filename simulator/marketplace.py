"""One tick in numbered steps: it alone knows the order of the road. Owns the ticks, the label queue and the syncs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.special import expit

from simulator.auction import AuctionConfig, auction
from simulator.config import Section
from simulator.exposure import Exposures, fatigue
from simulator.feedback import FeedbackConfig, examine_p, respond
from simulator.log import LabelQueue, impressions_of
from simulator.pacing import Budgets
from simulator.plugins import Ranker, Retriever
from simulator.records import (
    DAY,
    PAD,
    Floats,
    Impressions,
    Keys,
    Ledger,
    Offers,
    Requests,
    concatenate,
    take,
)
from simulator.retrieval import check_legal, explore
from simulator.traffic import TrafficConfig, day_requests
from simulator.world import PLACEMENTS, World, eligible_at


class CascadeConfig(Section):
    """The retrieve-then-rank cascade and its clock."""

    candidates: int = Field(50, ge=1, description="K")
    explore: float = Field(0.1, ge=0, lt=1, description="share of the K places for keyed uniform ads, in all arms")
    tick: int = Field(900, ge=1, le=DAY, description="seconds; training and charging happen at a tick's end")
    sync: int = Field(1800, ge=1, description="seconds between publications")


class MarketConfig(Section):
    """All the dials that a market (without its world) has."""

    traffic: TrafficConfig = TrafficConfig()
    auction: AuctionConfig = AuctionConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    cascade: CascadeConfig = CascadeConfig()


@dataclass(frozen=True, kw_only=True)
class Day:
    """What one simulated day left behind.

    Attributes:
        log: the impressions.
        ledger: the truth about them, row by row.
        requests: how many requests were served.
        bound_spend: money paid by ads of campaigns that ran out of budget that day.
        unpaid: value (price) of clicks delivered after the budget's end.
    """

    log: Impressions
    ledger: Ledger
    requests: int
    bound_spend: float
    unpaid: float


class Marketplace:
    """One arm's market in one world: its cascade, budgets, exposures and waiting labels.

    Args:
        world: the world.
        config: the market's dials.
        retriever: stage one.
        ranker: stage two.
        waiting: rows of an earlier market that still wait for their labels (the seam).
        shown: rows of an earlier market, for the exposure counts.
    """

    def __init__(
        self,
        world: World,
        config: MarketConfig,
        retriever: Retriever,
        ranker: Ranker,
        *,
        waiting: Impressions | None = None,
        shown: Impressions | None = None,
    ) -> None:
        if config.cascade.candidates > world.catalog.ads.rows:
            raise ValueError(
                f"cascade.candidates == {config.cascade.candidates}, must be at most the {world.catalog.ads.rows} ads"
            )
        self.world = world
        self.config = config
        self.retriever = retriever
        self.ranker = ranker
        self.budgets = Budgets(world.demand.budget, world.demand.campaign, world.demand.bid)
        self.exposures = Exposures(world.catalog.ads.rows, config.feedback.fatigue_days)
        self.queue = LabelQueue()
        self.examine_p = examine_p(config.auction.slots, config.feedback.examine_decay)
        if waiting is not None:
            self.queue.put(waiting)
        if shown is not None and len(shown):
            for day in np.unique(shown.time // DAY)[-config.feedback.fatigue_days :]:
                rows = shown.time // DAY == day
                self.exposures.new_day()
                self.exposures.add(shown.user[rows], shown.ad[rows])

    def true_logit(self, requests: Requests, ads: Keys) -> Floats:
        """True logit of P(click | examined) of ads [R, n], fatigue as of now. For market, oracles and metrics only."""
        return self._tired(self.world.truth.pairs(requests.user, ads, requests.time), requests, ads)

    def true_logit_everywhere(self, requests: Requests) -> Floats:
        """The same for all ads -> float32 [R, A]."""
        ads = np.arange(self.world.catalog.ads.rows, dtype=np.int32)[None, :]
        return self._tired(self.world.truth.everything(requests), requests, ads)

    def _tired(self, logit: Floats, requests: Requests, ads: Keys) -> Floats:
        """Take the fatigue off logits [R, n] in place; few pairs have any."""
        strength = self.config.feedback.fatigue
        if strength:
            counts = self.exposures.counts(requests.user[:, None], ads).reshape(-1)
            seen = np.flatnonzero(counts)
            flat = logit.reshape(-1)
            flat[seen] -= fatigue(counts[seen], strength)
        return logit

    def run_day(self, day: int, on_tick: Callable[[int], None] | None = None) -> Day:
        """Serve, charge and learn for one day; ``on_tick`` is told the requests served in each tick."""
        truth, clock = self.world.truth, self.config.cascade
        requests = day_requests(self.config.traffic, self.world.seed, day, truth.activity, truth.arrival, PLACEMENTS)
        self.budgets.new_day()
        self.exposures.new_day()
        rows: list[tuple[Impressions, Ledger, float]] = []
        edges = np.arange(day * DAY, (day + 1) * DAY, clock.tick)
        cuts = np.append(np.searchsorted(requests.time, edges), len(requests))
        for start, first, last in zip(edges, cuts[:-1], cuts[1:], strict=True):
            if last > first:
                rows.append(self._serve(take(requests, slice(first, last)), int(start)))
            self._learn(min(int(start) + clock.tick, (day + 1) * DAY))
            if on_tick is not None:
                on_tick(int(last - first))
        log, ledger = concatenate([r[0] for r in rows]), concatenate([r[1] for r in rows])
        bound = self.budgets.exhausted[self.world.demand.campaign[log.ad]]
        return Day(
            log=log,
            ledger=ledger,
            requests=len(requests),
            bound_spend=float(log.paid[bound].sum()),
            unpaid=sum(r[2] for r in rows),
        )

    def _serve(self, requests: Requests, now: int) -> tuple[Impressions, Ledger, float]:
        """Steps 1 to 8 of a tick for the requests of [now, now + tick)."""
        config, seed = self.config, self.world.seed
        # 1, 2: requests are given; who may compete, and at what bid
        offers: Offers = self.budgets.offers(eligible_at(self.world.demand, now))
        # 3: retrieve the top K by published state, the last places by exploration
        K = config.cascade.candidates
        found = self.retriever.retrieve(requests, offers, K)
        check_legal(found, offers, requests, K)
        found = explore(
            seed, requests, found, offers, config.cascade.explore, lambda ads: self.retriever.score(requests, ads)
        )
        # 4: rank
        ranked = self.ranker.rank(requests, found.ad)
        if not ((ranked.pctr >= 0) & (ranked.pctr <= 1)).all():  # NaN is neither
            raise ValueError(f"ranked.pctr holds values outside [0, 1] at time {now}, must be probabilities")
        # 5: auction
        slates = auction(found.ad, ranked.pctr, offers.bid, config.auction, self.examine_p)
        # 6: feedback by key
        logit = self.true_logit(requests, slates.ad)
        outcomes = respond(seed, requests, slates, logit, config.feedback)
        # 7, 8: charge in event order, log, enqueue the labels
        r, s = np.nonzero(outcomes.click)
        paid = np.zeros(slates.price.shape)
        paid[r, s] = self.budgets.charge(slates.ad[r, s], slates.price[r, s])
        log = impressions_of(
            requests, found, ranked, slates, paid, outcomes.click, outcomes.click_at, config.feedback.label_wait
        )
        placed = np.flatnonzero(slates.ad != PAD)
        ledger = Ledger(
            true_ctr=expit(logit.take(placed)).astype(np.float32, copy=False),
            examine_p=self.examine_p.take(log.slot),
            examined=outcomes.examined.take(placed),
            click=outcomes.click.take(placed),
            value=log.bid,
        )
        self.exposures.add(log.user, log.ad)
        self.queue.put(log)
        return log, ledger, float((slates.price[r, s] - paid[r, s]).sum())

    def _learn(self, now: int) -> None:
        """Steps 9 and 10: train on what matured, publish if due."""
        matured = self.queue.matured(now)
        if matured is not None:
            self.ranker.update(matured)
            self.retriever.update(matured)
        if now % self.config.cascade.sync == 0:
            self.ranker.sync(now)
            self.retriever.sync(now)


def learn_from_log(
    log: Impressions,
    learner: Retriever | Ranker,
    config: CascadeConfig,
    day: int,
    on_tick: Callable[[int], None] | None = None,
) -> None:
    """Replay one day of a log into a learner, tick by tick: the updates and syncs that it would have had live.

    Args:
        log: rows in event order; those whose labels mature within the day are used, each exactly once over the days.
        learner: gets ``update`` and ``sync``.
        config: the clock.
        day: 0-based.
        on_tick: told the number of rows of each tick.
    """
    begin = day * DAY
    ends = np.minimum(np.arange(begin, begin + DAY, config.tick) + config.tick, begin + DAY)
    cuts = np.searchsorted(log.ready_at, np.concatenate([[begin], ends]), side="right")
    if day == 0:
        cuts[0] = 0
    for end, first, last in zip(ends, cuts[:-1], cuts[1:], strict=True):
        if last > first:
            learner.update(log[int(first) : int(last)])
        if int(end) % config.sync == 0:
            learner.sync(int(end))
        if on_tick is not None:
            on_tick(int(last - first))
