"""Several arms in one market: one arm is the plain market, money is conserved, and what may not leak does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulator.designs import LIVE, DesignConfig
from simulator.marketplace import Day, Marketplace
from simulator.pacing import PacingConfig
from simulator.records import DAY, PAD, concatenate
from simulator.retrieval import OracleRetriever, PopularityRetriever, RandomRetriever
from simulator.shared_market import MarketArm, SharedMarket, SidesRetriever
from tests.simulator.test_log import same
from tests.simulator.test_marketplace import FlatRanker, days_of, market, with_section


def arm(world, make: Any = PopularityRetriever, **params: Any) -> MarketArm:
    return MarketArm(retriever=make(world.catalog, 1, **params), ranker=FlatRanker(world.catalog, 1))


def shared(world, config, name: str, treatment: MarketArm | None = None, share: float = 0.5, **more: Any):
    arms = (arm(world), treatment or arm(world, RandomRetriever))
    return SharedMarket(world, config, arms, DesignConfig(name=name, share=share), **more)


def equal(a: Day, b: Day) -> bool:
    return (
        same(a.log, b.log)
        and same(a.ledger, b.ledger)
        and (a.requests, a.bound_spend, a.unpaid) == (b.requests, b.bound_spend, b.unpaid)
    )


@pytest.mark.parametrize("name", LIVE)
def test_one_arm_is_the_plain_market(world, market_config, name):
    alone = SharedMarket(world, market_config, [arm(world)], DesignConfig(name=name))
    for mine, plain in zip(days_of(alone), days_of(market(world, market_config)), strict=True):
        assert equal(mine, plain)


@pytest.mark.parametrize("name", ["user_split", "switchback", "ad_side", "two_sided"])
def test_all_traffic_on_one_of_two_arms_is_the_plain_market(world, market_config, name):
    for share, make in ((0.0, PopularityRetriever), (1.0, RandomRetriever)):
        both, plain = shared(world, market_config, name, share=share), market(world, market_config, make)
        assert all(equal(a, b) for a, b in zip(days_of(both), days_of(plain), strict=True))


@pytest.mark.parametrize("name", ["user_split", "budget_split"])
def test_unbound_budgets_and_own_logs_leave_the_control_alone(rich_world, market_config, name):
    logs = []
    for treatment in (arm(rich_world, RandomRetriever), arm(rich_world, prior=500.0, temperature=2.0)):
        m = shared(rich_world, market_config, name, treatment)
        log = concatenate([day.log for day in days_of(m)])
        logs.append((log, m.arm_of(log)))
    (a, of_a), (b, of_b) = logs
    mine, other = a[of_a == 0], b[of_b == 0]
    assert len(mine) > 1000
    assert same(mine, other)
    treated = (a[of_a == 1], b[of_b == 1])
    assert not np.array_equal(treated[0].ad[:500], treated[1].ad[:500])


def test_a_pool_of_rows_does_not_leave_the_control_alone(rich_world, market_config):
    found = []
    for make in (RandomRetriever, PopularityRetriever):
        m = shared(rich_world, market_config, "user_split", arm(rich_world, make), training="pooled")
        log = concatenate([day.log for day in days_of(m)])
        found.append(log[m.arm_of(log) == 0])
    assert not same(*found)  # its own estimates moved with what the treatment showed


@pytest.mark.parametrize("name", LIVE)
def test_money_is_conserved_over_arms(world, market_config, name):
    m = shared(world, market_config, name)
    days = days_of(m)
    demand = world.demand
    bound = 0.0
    for day in days:
        arms = m.arm_of(day.log)
        spend = [np.bincount(demand.campaign[day.log.ad[arms == a]], day.log.paid[arms == a], demand.budget.size)
                 for a in (0, 1)]  # fmt: skip
        assert sum(s.sum() for s in spend) == pytest.approx(day.log.paid.sum(), rel=1e-12)
        assert (sum(spend) <= demand.budget + 1e-9).all()
        if name == "budget_split":
            assert all((s <= demand.budget / 2 + 1e-9).all() for s in spend)
        assert set(np.unique(arms)) == {0, 1}
        assert (np.diff(day.log.time) >= 0).all()
        assert (np.diff(day.log.request) >= 0).all()
        bound += day.bound_spend
    assert bound > 0  # the world's budgets do bind, so the test can fail


def test_each_pot_serves_its_part_of_a_tick(world, market_config):
    m = shared(world, market_config, "budget_split")
    whole = m.budgets
    for tick in m.ticks(0):
        assert m.budgets is whole
        arms = [int(part.requests.arm[0]) for part in tick.served]
        assert arms in ([0], [1], [0, 1])
        assert sum(len(part.log) for part in tick.served) == len(tick.log) == len(tick.ledger.click)
        assert (np.diff(tick.log.request) >= 0).all()
        for arm, part in zip(arms, tick.served, strict=True):
            assert (part.requests.arm == arm).all()
            assert same(part.log, tick.log[m.arm_of(tick.log) == arm])
            assert (part.spent <= world.demand.budget / 2 + 1e-9).all()
    assert len(tick.served) == 2
    assert all(part.spent.sum() > 0 for part in tick.served)


@pytest.mark.parametrize("name", ["user_split", "budget_split", "switchback"])
def test_equal_arms_show_what_one_arm_shows_and_swapping_labels_swaps_the_estimate(rich_world, market_config, name):
    """With equal, stateless arms labels move nothing: an estimate and its mirror image have the mean 0."""
    both = days_of(shared(rich_world, market_config, name, arm(rich_world, RandomRetriever), share=1.0))
    m = SharedMarket(
        rich_world, market_config, [arm(rich_world, RandomRetriever), arm(rich_world, RandomRetriever)],
        DesignConfig(name=name),
    )  # fmt: skip
    for mine, one in zip(days_of(m), both, strict=True):
        assert equal(mine, one)


def test_equal_learning_arms_with_a_pool_are_one_arm(world, market_config):
    m = shared(world, market_config, "user_split", arm(world), training="pooled")
    for mine, plain in zip(days_of(m), days_of(market(world, market_config)), strict=True):
        assert equal(mine, plain)


def test_rows_from_before_the_split_are_everybodys(world, market_config):
    before = days_of(market(world, market_config), 1)[0].log
    m = shared(world, market_config, "user_split", since=DAY, waiting=before[before.ready_at > DAY], shown=before)
    late = before[before.ready_at > DAY]
    assert len(late) > 0
    m.run_day(1)
    for one in m.arms:
        ranker: Any = one.ranker
        learned = concatenate([rows for verb, rows in ranker.calls if verb == "update"])
        assert np.array_equal(learned.request[: len(late)], late.request)
        after = learned[len(late) :]
        assert (m.arm_of(after) == m.arms.index(one)).all()


def test_ads_are_served_by_their_side_and_share_the_seats(rich_world, market_config):
    m = shared(rich_world, market_config, "ad_side", arm(rich_world))
    retriever = m.retriever
    assert isinstance(retriever, SidesRetriever)
    day = market(rich_world, market_config)
    offers = day.budgets.offers(np.ones(200, dtype=bool))
    from simulator.designs import stamped
    from simulator.records import take
    from simulator.traffic import day_requests
    from simulator.world import PLACEMENTS

    truth = rich_world.truth
    requests = day_requests(market_config.traffic, 5, 0, truth.activity, truth.arrival, PLACEMENTS)
    found = retriever.retrieve(stamped(take(requests, slice(0, 50)), m.assignment), offers, 20)
    sides = m.assignment.ads[found.ad]
    assert (found.ad != PAD).all()
    assert (np.sort(found.ad, axis=1)[:, 1:] != np.sort(found.ad, axis=1)[:, :-1]).all()
    assert (sides.sum(axis=1) == round(20 * m.assignment.ads.mean())).all()
    assert 0 < sides[:, -5:].mean() < 1  # either arm gives up seats to exploration


def test_fatigue_and_pacing_live_in_a_shared_market(world, market_config):
    config = market_config.model_copy(update={"pacing": PacingConfig(method="multiplier")})
    config = with_section(config, "feedback", fatigue=0.5)
    for name in ("user_split", "budget_split"):
        m = shared(world, config, name)
        assert all(len(day.log) > 0 for day in days_of(m))
        assert m.exposures.counts(np.arange(800, dtype=np.int32)[:, None], np.arange(200)[None, :]).sum() > 0


def test_an_oracle_and_a_ranker_with_another_hidden_width(world, market_config):
    class Wide(FlatRanker):
        def rank(self, requests, ads):
            found = super().rank(requests, ads)
            return type(found)(pctr=found.pctr, hidden=np.concatenate([found.hidden, found.hidden], axis=2))

    treatment = MarketArm(retriever=OracleRetriever(world.truth.everything), ranker=Wide(world.catalog, 1))
    m = shared(world, market_config, "two_sided", treatment)
    log = m.run_day(0).log
    treated = m.arm_of(log) == 1
    assert log.hidden.shape[1] == 8
    assert (log.hidden[~treated, 4:] == 0).all()
    assert np.array_equal(log.hidden[treated, 4], log.ad[treated].astype(np.float16))


def test_refusals(world, market_config):
    one = arm(world)
    with pytest.raises(ValueError, match=r"len\(arms\) == 0, must be 1 or 2"):
        SharedMarket(world, market_config, [], DesignConfig())
    with pytest.raises(ValueError, match="arms share a retriever or a ranker, must have their own"):
        SharedMarket(world, market_config, [one, one], DesignConfig())


def test_a_plain_market_is_not_a_shared_one(world, market_config):
    assert isinstance(shared(world, market_config, "user_split"), Marketplace)
