"""Whole markets with every dial drawn at random: what a market promises, and its slates against slow, obvious ones."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.marketplace import Marketplace
from simulator.records import DAY, PAD, Candidates, Catalog, Impressions, Keys, Offers, Ranked, Requests
from simulator.retrieval import PopularityRetriever
from simulator.scenario import Scenario, load
from simulator.world import World, build, eligible_at
from tests.simulator.test_auction import brute_force
from tests.simulator.test_log import same

DAYS = 2
CENT = 1e-6


class Hashed:
    """A ranker that learns nothing: rates and hidden vectors by ad and user. It keeps what it was asked and told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Requests, Keys, Any]] = []
        self.told: list[tuple[int, Impressions]] = []
        self.now = 0

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        level = (np.maximum(ads, 0) * 37 + requests.user[:, None] * 11) % 19
        pctr = np.where(ads == PAD, 0, 0.01 + 0.02 * level).astype(np.float32)
        self.asked.append((requests, ads, pctr))
        self.now = int(requests.time[-1])
        return Ranked(pctr=pctr, hidden=np.repeat(pctr[..., None], 2, axis=2))

    def update(self, impressions: Impressions) -> None:
        self.told.append((self.now, impressions))

    def sync(self, now: int) -> None:
        """Publishes nothing."""


class Watched(PopularityRetriever):
    """Popularity that keeps every tick's offers, and every row that it is told."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        super().__init__(catalog, seed)
        self.offers: list[Offers] = []

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        self.offers.append(Offers(eligible=offers.eligible.copy(), bid=offers.bid.copy()))
        return super().retrieve(requests, offers, k)


@st.composite
def scenarios(draw: Any) -> Scenario:
    """A small market; each dial off half of the time."""

    def dial(*values: float) -> float:
        return draw(st.sampled_from([0.0, *values])) if draw(st.booleans()) else 0.0

    ads = draw(st.integers(8, 40))
    sets = {
        "world.users": draw(st.integers(5, 60)),
        "world.ads": ads,
        "world.advertisers": draw(st.integers(1, 8)),
        "world.base_logit": draw(st.sampled_from([-4.0, -2.0, 0.0])),
        "world.budget_clicks": draw(st.sampled_from([1.0, 3.0, 20.0, 1e6])),
        "world.drift_half_life": dial(3.0),
        "world.low_rank_share": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "world.new_ads": dial(0.3),
        "world.ending_ads": dial(0.3),
        "world.new_users": dial(0.3),
        "world.bots": dial(0.2),
        "world.conversion_rate": (conversion := dial(0.2)),
        "world.ocpc_share": dial(0.5, 1.0) if conversion else 0.0,
        "traffic.requests_per_day": draw(st.integers(20, 150)),
        "auction.slots": draw(st.integers(1, 5)),
        "auction.reserve": draw(st.sampled_from([0.0, 0.005, 0.05])),
        "auction.pricing": draw(st.sampled_from(["gsp", "first", "vcg"])),
        "feedback.fatigue": dial(0.3),
        "feedback.examine_decay": draw(st.sampled_from([0.7, 1.0])),
        "feedback.label_wait": draw(st.sampled_from([0, 900, 20_000])),
        "feedback.click_delay": draw(st.sampled_from([0.0, 60.0, 3000.0])),
        "feedback.label_flips": dial(0.1),
        "feedback.lost_clicks": dial(0.2),
        "feedback.duplicate_clicks": dial(0.3),
        "cascade.candidates": draw(st.integers(5, ads)),
        "cascade.sync": 7200,
        "cascade.explore": draw(st.sampled_from([0.0, 0.2])),
        "cascade.tick": draw(st.sampled_from([900, 7200])),
        "cascade.ranker_noise": dial(0.5),
        "cascade.redesign_day": draw(st.sampled_from([0, 1])),
        "pacing.method": draw(st.sampled_from(["none", "multiplier", "throttle"])),
    }
    return load("quickstart", small=True, sets=[f"{key}={value}" for key, value in sets.items()])


def lived(scenario: Scenario, seed: int) -> tuple[World, Marketplace, list[Any]]:
    world = build(scenario.world, seed, DAYS)
    market = Marketplace(world, scenario.market, Watched(world.catalog, seed), Hashed())
    return world, market, [market.run_day(day) for day in range(DAYS)]


def possible(scenario: Scenario, seed: int) -> bool:
    """Whether something can be sold at all: the others are refused in one line, which has its own tests."""
    world = build(scenario.world, seed, DAYS)
    demand = world.demand
    return bool(scenario.auction.reserve <= demand.bid.max() and (demand.budget[demand.campaign] >= demand.bid).any())


random_markets = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@random_markets
@given(scenario=scenarios(), seed=st.integers(0, 1000))
def test_money_is_conserved_and_nothing_happens_that_may_not(scenario: Scenario, seed: int) -> None:
    if not possible(scenario, seed):
        return
    world, market, days = lived(scenario, seed)
    demand, twice = world.demand, bool(scenario.feedback.duplicate_clicks)
    for day, found in enumerate(days):
        log, ledger = found.log, found.ledger
        # Money: what the site takes is what campaigns pay, never above a budget, never without a click.
        by_campaign = np.bincount(demand.campaign[log.ad], weights=log.paid, minlength=demand.budget.size)
        assert (by_campaign <= demand.budget + CENT).all()
        assert abs(by_campaign.sum() - log.paid.sum()) < CENT
        assert (log.paid[~ledger.click] == 0).all()
        assert (log.paid <= (2 if twice else 1) * log.price + CENT).all()
        assert (log.price <= log.bid + CENT).all()
        assert (log.bid <= demand.bid[log.ad] * (1 + 1e-12)).all() or scenario.world.ocpc_share > 0
        if not twice:
            assert abs(found.unpaid - (log.price[ledger.click].sum() - log.paid.sum())) < CENT
        # Time: rows of the day, in order, of live ads; a click needs an examination, a label its wait.
        assert (log.time // DAY == day).all()
        assert (np.diff(log.time) >= 0).all()
        # Dates are looked at when a tick begins.
        tick = log.time // scenario.cascade.tick * scenario.cascade.tick
        for start in np.unique(tick):
            assert eligible_at(demand, int(start))[log.ad[tick == start]].all()
        assert not (ledger.click & ~ledger.examined).any()
        assert (log.ready_at >= log.time + scenario.feedback.label_wait).all()
        if not scenario.feedback.label_flips:
            assert not (log.label & ~ledger.click).any()
        # A slate holds an ad once, and slots from the top.
        _, first, count = np.unique(log.request, return_index=True, return_counts=True)
        assert (log.slot[first] == 0).all()
        assert (count <= scenario.auction.slots).all()
        assert np.unique(np.stack([log.request, log.ad]), axis=1).shape[1] == len(log)
        assert ((ledger.true_ctr >= 0) & (ledger.true_ctr <= 1)).all()
    # Labels reach a model once, and not before they are ready.
    rows = market.ranker.told  # type: ignore[attr-defined]
    told = [tuple(pair) for _, part in rows for pair in zip(part.request.tolist(), part.ad.tolist(), strict=True)]
    assert len(told) == len(set(told))
    ready = {
        (r, a): int(at)
        for found in days
        for r, a, at in zip(found.log.request.tolist(), found.log.ad.tolist(), found.log.ready_at, strict=True)
    }
    assert set(told) <= set(ready)
    for asked_at, part in rows:
        # A model is told at the end of the tick in which it was last asked, or of a later one without requests.
        end = DAYS * DAY if asked_at >= (DAYS - 1) * DAY else DAY * (asked_at // DAY + 2)
        assert (part.ready_at <= end).all()
    early = [pair for pair, at in ready.items() if at <= DAYS * DAY]
    assert set(early) == set(told)


@random_markets
@given(scenario=scenarios(), seed=st.integers(0, 1000))
def test_every_slate_is_that_of_an_auction_held_by_hand(scenario: Scenario, seed: int) -> None:
    quiet = scenario.model_copy(
        update={"cascade": scenario.cascade.model_copy(update={"ranker_noise": 0.0, "redesign_day": 0})}
    )
    decay = {"examine_decay": 0.7}  # the brute force's own
    quiet = quiet.model_copy(update={"feedback": quiet.feedback.model_copy(update=decay)})
    if not possible(quiet, seed):
        return
    _, market, days = lived(quiet, seed)
    shown: dict[int, list[tuple[int, int, float, float]]] = defaultdict(list)
    for found in days:
        log = found.log
        for row in zip(log.request.tolist(), log.slot.tolist(), log.ad.tolist(), log.bid, log.price, strict=True):
            shown[row[0]].append((row[1], row[2], float(row[3]), float(row[4])))
    asked, offers = market.ranker.asked, market.retriever.offers  # type: ignore[attr-defined]
    assert len(asked) == len(offers)
    for (requests, ads, pctr), offer in zip(asked, offers, strict=True):
        assert offer.eligible[ads[ads != PAD]].all()
        by_hand = brute_force(ads, pctr, offer.bid, quiet.auction)
        for i, request in enumerate(requests.id.tolist()):
            expected = [
                (slot, ad, bid, price)
                for slot, (ad, bid, price) in enumerate(
                    zip(by_hand["ad"][i], by_hand["bid"][i], by_hand["price"][i], strict=True)
                )
                if ad != PAD
            ]
            got = sorted(shown.pop(request, []))
            assert [row[:2] for row in got] == [row[:2] for row in expected]
            np.testing.assert_allclose(
                [row[2:] for row in got], [row[2:] for row in expected], rtol=1e-6
            )  # e_s is float32
    assert not shown


@settings(random_markets, max_examples=8)
@given(scenario=scenarios(), seed=st.integers(0, 1000))
def test_the_same_market_twice_is_the_same(scenario: Scenario, seed: int) -> None:
    if not possible(scenario, seed):
        return
    (_, _, once), (_, _, again) = lived(scenario, seed), lived(scenario, seed)
    for a, b in zip(once, again, strict=True):
        assert same(a.log, b.log)
        assert same(a.ledger, b.ledger)
        assert (a.bound_spend, a.unpaid) == (b.bound_spend, b.unpaid)


@settings(random_markets, max_examples=8)
@given(scenario=scenarios(), seed=st.integers(0, 1000), more=st.sampled_from([2.0, 10.0]))
def test_without_budgets_no_campaign_is_bound(scenario: Scenario, seed: int, more: float) -> None:
    rich = scenario.model_copy(
        update={
            "world": scenario.world.model_copy(update={"budget_clicks": more * 1e8}),
            "pacing": scenario.pacing.model_copy(update={"method": "none"}),
        }
    )
    if not possible(rich, seed):
        return
    _, _, days = lived(rich, seed)
    assert all(found.bound_spend == 0 and abs(found.unpaid) < CENT for found in days)
