"""One tick in numbered steps: it alone knows the order of the road. Owns the ticks, the label queue and the syncs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.special import expit

from simulator.auction import AuctionConfig, auction
from simulator.config import Section
from simulator.conversion import ConversionConfig, ConversionRates, convert
from simulator.current_truth import CurrentTruth
from simulator.feedback import FeedbackConfig, click_delay, examine_p, misreported, respond, times_sent
from simulator.log import LabelQueue, impressions_of
from simulator.pacing import Budgets, PacingConfig
from simulator.plugins import Ranker, Retriever
from simulator.ranking import handicapped, redesigned
from simulator.records import (
    DAY,
    MOST_IDS,
    MOST_SECONDS,
    PAD,
    Clicks,
    Conversions,
    Impressions,
    Ledger,
    Money,
    Requests,
    concatenate,
    take,
)
from simulator.retrieval import check_legal, explore
from simulator.served import Served, Tick, joined
from simulator.traffic import TrafficConfig, day_requests, day_share
from simulator.world import PLACEMENTS, World, eligible_at


class CascadeConfig(Section):
    """The retrieve-then-rank cascade and its clock."""

    candidates: int = Field(50, ge=1, le=MOST_IDS, description="K")
    explore: float = Field(0.1, ge=0, lt=1, description="share of the K places for keyed uniform ads, in all arms")
    tick: int = Field(900, ge=1, le=DAY, description="seconds; training and charging happen at a tick's end")
    sync: int = Field(1800, ge=1, le=MOST_SECONDS, description="seconds between publications, a multiple of tick")
    ranker_noise: float = Field(
        0.0, ge=0, le=100, description="handicap: sd of keyed noise on the ranker's logit; 0 is off"
    )
    redesign_day: int = Field(
        0, ge=0, le=MOST_IDS, description="first day on which the ranker's hidden space is another; 0 is off"
    )


class MarketConfig(Section):
    """All the dials that a market (without its world) has."""

    traffic: TrafficConfig = TrafficConfig()
    auction: AuctionConfig = AuctionConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    cascade: CascadeConfig = CascadeConfig()
    pacing: PacingConfig = PacingConfig()
    conversion: ConversionConfig = ConversionConfig()


@dataclass(frozen=True, kw_only=True)
class Day:
    """What one simulated day left behind.

    Attributes:
        log: the impressions.
        ledger: the truth about them, row by row.
        requests: how many requests were served.
        bound_spend: money paid by ads of campaigns that ran out of budget that day.
        unpaid: value (price) of clicks delivered after the budget's end.
        conversions: what the day's clicks led to, whenever; None if the world has none.
    """

    log: Impressions
    ledger: Ledger
    requests: int
    bound_spend: float
    unpaid: float
    conversions: Conversions | None = None


class Marketplace:
    """One arm's market in one world: its cascade, budgets, exposures and waiting labels.

    Args:
        world: the world.
        config: the market's dials.
        retriever: stage one.
        ranker: stage two.
        truth: the truth that it decides clicks by, for oracles to share; its own if None.
        budgets: the campaigns' budgets; the world's, whole, if None.
        waiting: rows of an earlier market that still wait for their labels (the seam).
        shown: rows of an earlier market, for the exposure counts and the conversion rates.

    Raises:
        ValueError: for a market in which nothing can be sold, or a truth of another world or of another fatigue.
    """

    def __init__(
        self,
        world: World,
        config: MarketConfig,
        retriever: Retriever,
        ranker: Ranker,
        *,
        truth: CurrentTruth | None = None,
        budgets: Budgets | None = None,
        waiting: Impressions | None = None,
        shown: Impressions | None = None,
    ) -> None:
        self.world = world
        self.config = config
        self.retriever = retriever
        self.ranker = ranker
        _feasible(world, config)
        self.budgets = budgets or Budgets(world.demand.budget, world.demand.campaign, world.demand.bid, config.pacing)
        self.conversion_rates = ConversionRates(world.catalog.ads.rows, config.conversion)
        self.truth = truth or CurrentTruth(world, config.feedback)
        if self.truth.world is not world or self.truth.feedback != config.feedback:
            raise ValueError("truth is of another world or fatigue, must be of the market's")
        self.exposures = self.truth.exposures
        self.queue = LabelQueue()
        self.examine_p = examine_p(config.auction.slots, config.feedback.examine_decay)
        if waiting is not None:
            self.queue.put(waiting)
        if shown is not None and len(shown):
            for day in np.unique(shown.time // DAY)[-config.feedback.fatigue_days :]:
                rows = shown.time // DAY == day
                self.exposures.new_day()
                self.exposures.add(shown.user[rows], shown.ad[rows])
            if world.demand.target is not None:
                bought = shown[np.flatnonzero(shown.paid > 0)]
                delay = click_delay(world.seed, bought.request, bought.ad, config.feedback)
                self._sell(Clicks(request=bought.request, user=bought.user, ad=bought.ad, at=bought.time + delay))

    def run_day(self, day: int, on_tick: Callable[[int], None] | None = None) -> Day:
        """Serve, charge and learn for one day; ``on_tick`` is told the requests served in each tick."""
        # `map` lets go of a tick as soon as its rows are taken.
        kept = list(map(Tick.rows, self.ticks(day, on_tick)))
        log = concatenate([tick.log for tick in kept])
        bound = self.budgets.exhausted[self.world.demand.campaign[log.ad]]
        return Day(
            log=log,
            ledger=concatenate([tick.ledger for tick in kept]),
            requests=self.config.traffic.requests_per_day,
            bound_spend=float(log.paid[bound].sum()),
            unpaid=sum(tick.unpaid for tick in kept),
            conversions=joined([tick.sold for tick in kept]),
        )

    def ticks(self, day: int, on_tick: Callable[[int], None] | None = None) -> Iterator[Tick]:
        """One day tick by tick, those without a request left out; who has seen enough need not go on.

        A tick is yielded once it is served: the truth is still that of its start, and the market goes on (counts,
        learns, publishes) when it is asked for the next one. When a tick is over, ``on_tick`` is told its requests.
        """
        truth, clock = self.world.truth, self.config.cascade
        requests = day_requests(self.config.traffic, self.world.seed, day, truth.activity, truth.arrival, PLACEMENTS)
        self.budgets.new_day()
        self.exposures.new_day()
        edges = np.arange(day * DAY, (day + 1) * DAY, clock.tick)
        cuts = np.append(np.searchsorted(requests.time, edges), len(requests))
        for start, first, last in zip(edges, cuts[:-1], cuts[1:], strict=True):
            if last > first:
                tick = Tick.of(self._serve_all(take(requests, slice(first, last)), int(start)))
                log = tick.log
                yield tick
                del tick  # its hidden vectors are not to be held beside the next one's
                self.exposures.add(log.user, log.ad)
                self.queue.put(log)
            end = min(int(start) + clock.tick, (day + 1) * DAY)
            self.budgets.steer(day_share(end - day * DAY))
            self._learn(int(start), end)
            if on_tick is not None:
                on_tick(int(last - first))

    def _serve_all(self, requests: Requests, now: int) -> tuple[Served, ...]:
        """The requests of [now, now + tick), a part for each set of budgets."""
        return (self._serve(requests, now, self.budgets),)

    def _serve(self, requests: Requests, now: int, budgets: Budgets) -> Served:
        """Steps 1 to 8 of a tick for requests of [now, now + tick) that share their budgets."""
        config, seed = self.config, self.world.seed
        # 1, 2: requests are given; who may compete, and at what bid
        if self.world.demand.target is not None:
            self._reprice(now, budgets)
        offers, spent = budgets.offers(eligible_at(self.world.demand, now)), budgets.spent.copy()
        # 3: retrieve the top K by published state, the last places by exploration
        K = config.cascade.candidates
        retrieved = self.retriever.retrieve(requests, offers, K)
        check_legal(retrieved, offers, requests, K)
        found = explore(
            seed, requests, retrieved, offers, config.cascade.explore, lambda ads: self.retriever.score(requests, ads)
        )
        found = budgets.throttled(seed, requests.id, found)
        # 4: rank
        ranked = self.ranker.rank(requests, found.ad)
        if config.cascade.ranker_noise:
            ranked = handicapped(seed, requests, found.ad, ranked, config.cascade.ranker_noise)
        if 0 < config.cascade.redesign_day * DAY <= now:
            ranked = redesigned(seed, ranked)
        if not ((ranked.pctr >= 0) & (ranked.pctr <= 1)).all():  # NaN is neither
            raise ValueError(f"ranked.pctr holds values outside [0, 1] at time {now}, must be probabilities")
        # 5: auction
        slates = auction(found.ad, ranked.pctr, offers.bid, config.auction, self.examine_p)
        # 6: feedback by key
        logit = self.truth.pairs(requests, slates.ad)
        outcomes = respond(seed, requests, slates, logit, config.feedback)
        # 7, 8: charge in event order, log (the day enqueues the labels)
        r, s = np.nonzero(outcomes.click)
        owed, paid = np.zeros(slates.price.shape), np.zeros(slates.price.shape)
        sent = times_sent(seed, requests.id[r], slates.ad[r, s], config.feedback)
        owed[r, s] = sent * slates.price[r, s]
        once = np.repeat(np.arange(r.size), sent)
        np.add.at(paid, (r[once], s[once]), budgets.charge(slates.ad[r, s][once], slates.price[r, s][once]))
        log = impressions_of(
            requests, found, ranked, slates, paid, outcomes.click, outcomes.click_at, config.feedback.label_wait
        )
        log = misreported(seed, log, config.feedback)
        clicks = Clicks(request=requests.id[r], user=requests.user[r], ad=slates.ad[r, s], at=outcomes.click_at[r, s])
        placed = np.flatnonzero(slates.ad != PAD)
        ledger = Ledger(
            true_ctr=expit(logit.take(placed)).astype(np.float32, copy=False),
            examine_p=self.examine_p.take(log.slot),
            examined=outcomes.examined.take(placed),
            click=outcomes.click.take(placed),
            value=self._value(log),
        )
        return Served(
            requests=requests,
            spent=spent,
            offers=offers,
            retrieved=retrieved,
            found=found,
            ranked=ranked,
            slates=slates,
            log=log,
            ledger=ledger,
            unpaid=float((owed[r, s] - paid[r, s]).sum()),
            sold=None if self.world.truth.buying is None else self._sell(clicks),
        )

    def _sell(self, clicks: Clicks) -> Conversions:
        """What clicks lead to; the platform's rates will learn of it when the wait is over."""
        buying = self.world.truth.buying
        assert buying is not None
        found = convert(
            self.world.seed,
            clicks,
            self.world.truth.conversion_rate(clicks.user, clicks.ad).astype(np.float32),
            buying.price[clicks.ad],
            buying.median_value[clicks.ad],
            buying.value_sd,
            self.config.conversion,
        )
        if self.world.demand.target is not None:
            self.conversion_rates.put(clicks, found)
        return found

    def _reprice(self, now: int, budgets: Budgets) -> None:
        """Bids per conversion x the platform's own rates -> bids per click of this tick."""
        demand = self.world.demand
        assert demand.target is not None
        self.conversion_rates.mature(now)
        per_click = demand.target * self.conversion_rates.rates()
        budgets.reprice(np.where(np.isnan(demand.target), demand.bid, per_click))

    def _value(self, log: Impressions) -> Money:
        """float64 [n]: what a click on each row is worth to its advertiser (see ``Ledger``)."""
        demand, bot = self.world.demand, self.world.truth.bot
        value = demand.bid.take(log.ad)
        if demand.target is not None:
            per_click = demand.target.take(log.ad) * self.world.truth.conversion_rate(log.user, log.ad)
            value = np.where(np.isnan(per_click), value, per_click)
        return value if bot is None else np.where(bot[log.user], 0.0, value)

    def _learn(self, start: int, now: int) -> None:
        """Steps 9 and 10 at the end of the tick [start, now): train on what matured, publish if due."""
        matured = self.queue.matured(now)
        if matured is not None:
            self.ranker.update(matured)
            self.retriever.update(matured)
        if publishes(self.config.cascade, start, now):
            self.ranker.sync(now)
            self.retriever.sync(now)


def _feasible(world: World, config: MarketConfig) -> None:
    """Refuse a market in which nothing can be sold, before anything runs."""
    demand, K, A = world.demand, config.cascade.candidates, world.catalog.ads.rows
    if K > A:
        raise ValueError(f"cascade.candidates == {K}, must be at most the {A} ads")
    if not (demand.bid > 0).all():
        raise ValueError(f"demand.bid == {demand.bid.min()}, must be positive")
    if config.auction.reserve > demand.bid.max():
        raise ValueError(
            f"auction.reserve == {config.auction.reserve}, must be at most the best bid {demand.bid.max()}"
        )
    if not (demand.budget[demand.campaign] >= demand.bid).any():
        raise ValueError(f"demand.budget == {demand.budget.max()} at most, must pay for one click of some ad")


def publishes(clock: CascadeConfig, start: int, end: int) -> bool:
    """Whether a publication falls due in a tick (start, end]; a day's last tick may be shorter than the others."""
    return end // clock.sync > start // clock.sync


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
    starts = np.arange(begin, begin + DAY, config.tick)
    ends = np.minimum(starts + config.tick, begin + DAY)
    cuts = np.searchsorted(log.ready_at, np.concatenate([[begin], ends]), side="right")
    if day == 0:
        cuts[0] = 0
    for start, end, first, last in zip(starts, ends, cuts[:-1], cuts[1:], strict=True):
        if last > first:
            learner.update(log[int(first) : int(last)])
        if publishes(config, int(start), int(end)):
            learner.sync(int(end))
        if on_tick is not None:
            on_tick(int(last - first))
