"""A whole market: money is conserved, luck is common, labels wait, and models see the log only."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

import simulator.marketplace as marketplace
from simulator.conversion import ConversionConfig
from simulator.current_truth import CurrentTruth
from simulator.feedback import respond
from simulator.marketplace import Day, MarketConfig, Marketplace, learn_from_log
from simulator.ranking import OracleRanker
from simulator.records import DAY, PAD, Catalog, Impressions, Keys, Offers, Ranked, Requests, concatenate
from simulator.retrieval import OracleRetriever, PopularityRetriever, RandomRetriever, explore
from simulator.world import World, build, eligible_at
from tests.simulator.test_log import same


class FlatRanker:
    """Predicts the base rate for everything, with a hidden vector; remembers what it was given."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self.base = catalog.base_ctr
        self.calls: list[tuple[str, Any]] = []

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        self.calls.append(("rank", requests))
        pctr = np.where(ads == PAD, 0, self.base).astype(np.float32)
        return Ranked(pctr=pctr, hidden=np.repeat(ads[..., None], 4, axis=2).astype(np.float32))

    def update(self, impressions: Impressions) -> None:
        self.calls.append(("update", impressions))

    def sync(self, now: int) -> None:
        self.calls.append(("sync", now))


def market(
    world: World, config: MarketConfig, make: Callable[..., Any] = PopularityRetriever, **seam: Any
) -> Marketplace:
    return Marketplace(world, config, make(world.catalog, 1), FlatRanker(world.catalog, 1), **seam)


def days_of(m: Marketplace, days: int = 2) -> list[Day]:
    return [m.run_day(day) for day in range(days)]


def with_section(config: MarketConfig, section: str, **update: Any) -> MarketConfig:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=update)})


@pytest.fixture(scope="module")
def two_days(world, market_config) -> list[Day]:
    return days_of(market(world, market_config))


class TestLuck:
    def test_twin_markets_differ_by_exactly_nothing(self, world, market_config, two_days):
        for a, b in zip(two_days, days_of(market(world, market_config)), strict=True):
            assert same(a.log, b.log)
            assert same(a.ledger, b.ledger)
            assert (a.bound_spend, a.unpaid, a.requests) == (b.bound_spend, b.unpaid, b.requests)

    def test_two_arms_meet_the_same_luck_where_they_show_the_same(self, rich_world, market_config):
        """Fatigue off, so the history of exposures is no difference: same (request, ad, slot), same outcome."""
        config = with_section(market_config, "feedback", fatigue=0.0)
        a, b = (
            Marketplace(rich_world, config, make(rich_world.catalog, 1), FlatRanker(rich_world.catalog, 1)).run_day(0)
            for make in (PopularityRetriever, RandomRetriever)
        )
        key_a, key_b = (d.log.request * 100_000 + d.log.ad * 10 + d.log.slot for d in (a, b))
        _, i, j = np.intersect1d(key_a, key_b, return_indices=True)
        assert 50 < i.size < len(a.log)
        assert not np.array_equal(a.log.ad[:1000], b.log.ad[:1000])
        for name in ("true_ctr", "examined", "click"):
            assert np.array_equal(getattr(a.ledger, name)[i], getattr(b.ledger, name)[j]), name
        assert np.array_equal(a.log.label[i], b.log.label[j])

    def test_traffic_does_not_depend_on_the_arm(self, world, market_config):
        asked = []
        for make in (PopularityRetriever, RandomRetriever):
            m = market(world, market_config, make)
            m.run_day(0)
            asked.append(np.concatenate([r.user for verb, r in m.ranker.calls if verb == "rank"]))
        assert np.array_equal(*asked)


class TestMoney:
    def test_platform_revenue_is_advertiser_spend_to_the_cent(self, world, market_config):
        m = market(world, market_config)
        for day in range(2):
            log = m.run_day(day).log
            by_campaign = np.bincount(world.demand.campaign[log.ad], weights=log.paid, minlength=m.budgets.spent.size)
            assert_allclose(by_campaign, m.budgets.spent, atol=0.005)
            assert log.paid.sum() == pytest.approx(m.budgets.spent.sum(), abs=0.005)
            assert log.paid.sum() > 0

    def test_no_campaign_pays_more_than_its_budget_a_day(self, world, two_days):
        bound = 0
        for day in two_days:
            spent = np.bincount(
                world.demand.campaign[day.log.ad], weights=day.log.paid, minlength=world.demand.budget.size
            )
            assert (spent <= world.demand.budget + 0.005).all()
            bound += int((spent > 0.9 * world.demand.budget).sum())
            assert day.bound_spend <= day.log.paid.sum() + 1e-9
        assert bound > 0, "the test world must have budgets that bind"

    def test_only_clicks_are_charged_at_their_price_never_above_the_bid(self, two_days, world):
        for day in two_days:
            log, ledger = day.log, day.ledger
            assert (log.paid[~ledger.click] == 0).all()
            assert ((log.paid == log.price) | (log.paid == 0)).all()
            assert (log.price <= log.bid).all()
            assert np.array_equal(log.bid, world.demand.bid[log.ad])
            owed = log.price[ledger.click].sum()
            assert owed - log.paid.sum() == pytest.approx(day.unpaid, abs=0.005)

    def test_unbound_budgets_pay_for_every_click(self, rich_world, market_config):
        day = market(rich_world, market_config).run_day(0)
        assert day.unpaid == 0
        assert day.bound_spend == 0
        assert np.array_equal(day.log.paid, np.where(day.ledger.click, day.log.price, 0.0))

    def test_over_delivery_stays_in_the_tick_that_broke_the_budget(self, world, market_config):
        """Shorter ticks stop an ad sooner."""
        unpaid = [
            sum(d.unpaid for d in days_of(market(world, with_section(market_config, "cascade", tick=tick, sync=tick))))
            for tick in (300, 14_400)
        ]
        assert unpaid[0] < unpaid[1]


class TestRows:
    def test_event_order_and_slots_without_gaps(self, two_days):
        log = concatenate([d.log for d in two_days])
        order = np.lexsort((log.slot, log.request, log.time))
        assert np.array_equal(order, np.arange(len(log)))
        starts = np.flatnonzero(np.concatenate([[True], log.request[1:] != log.request[:-1]]))
        rank = np.arange(len(log)) - np.repeat(starts, np.diff(np.append(starts, len(log))))
        assert np.array_equal(rank, log.slot)
        assert log.slot.max() == 2

    def test_ledger_tells_the_truth(self, rich_world, market_config):
        config = with_section(market_config, "feedback", fatigue=0.0)
        day = market(rich_world, config).run_day(0)
        log = day.log
        assert_allclose(
            day.ledger.true_ctr,
            expit(rich_world.truth.pairs(log.user, log.ad[:, None], log.time)[:, 0].astype(float)),
            rtol=1e-4,
        )
        assert_allclose(day.ledger.examine_p, config.feedback.examine_decay ** log.slot.astype(float), rtol=1e-6)
        assert not day.ledger.click[~day.ledger.examined].any()
        p = (day.ledger.true_ctr * day.ledger.examine_p).astype(float)
        assert abs(day.ledger.click.sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())

    def test_fatigue_lowers_what_is_shown_again(self, rich_world, market_config):
        day = market(rich_world, market_config).run_day(0)
        log, strength = day.log, market_config.feedback.fatigue
        fresh = rich_world.truth.pairs(log.user, log.ad[:, None], log.time)[:, 0]
        tick = log.time // market_config.cascade.tick
        pair = log.user.astype(np.int64) * 1000 + log.ad
        # Exposures of the same pair in earlier ticks, counted the slow way.
        seen: dict[int, int] = {}
        earlier = np.empty(len(log), dtype=np.int64)
        for t in np.unique(tick):
            rows = np.flatnonzero(tick == t)
            earlier[rows] = [seen.get(k, 0) for k in pair[rows].tolist()]
            for k in pair[rows].tolist():
                seen[k] = seen.get(k, 0) + 1
        assert earlier.max() > 0
        assert_allclose(day.ledger.true_ctr, expit(fresh - strength * np.log1p(earlier)), rtol=1e-4)

    def test_only_ads_inside_their_dates_are_shown(self, world, two_days, market_config):
        log = concatenate([d.log for d in two_days])
        start = log.time // market_config.cascade.tick * market_config.cascade.tick
        assert (world.demand.start[log.ad] <= start).all()
        assert (start < world.demand.end[log.ad]).all()
        assert (world.demand.start[log.ad] > 0).any()

    def test_the_rankers_words_are_on_the_row(self, two_days, world):
        log = two_days[0].log
        assert (log.pctr == np.float32(world.catalog.base_ctr)).all()
        assert np.array_equal(log.hidden[:, 2], log.ad.astype(np.float16))
        assert np.isfinite(log.logit).all()

    def test_exploration_stays_on_and_is_marked(self, two_days, market_config):
        log = two_days[1].log
        assert 0 < log.explored.mean() < 0.5


class TestTicks:
    def test_a_day_is_its_ticks(self, rich_world, market_config):
        day = market(rich_world, market_config).run_day(0)
        ticks = list(market(rich_world, market_config).ticks(0))
        assert same(concatenate([tick.log for tick in ticks]), day.log)
        assert same(concatenate([tick.ledger for tick in ticks]), day.ledger)
        assert sum(tick.unpaid for tick in ticks) == day.unpaid

    def test_every_step_of_a_tick_is_in_its_record(self, rich_world, market_config):
        m = market(rich_world, with_section(market_config, "cascade", ranker_noise=0.5))
        spent = np.zeros_like(rich_world.demand.budget)
        for tick in m.ticks(0):
            (served,) = tick.served
            assert served.log is tick.log
            R, K = len(served.requests), market_config.cascade.candidates
            assert served.found.ad.shape == served.ranked.pctr.shape == (R, K)
            kept = K - round(K * market_config.cascade.explore)
            assert np.array_equal(served.found.ad[:, :kept], served.retrieved.ad[:, :kept])
            assert np.array_equal(served.spent, spent), "as of the tick's start"
            row = np.searchsorted(served.requests.id, tick.log.request)
            assert np.array_equal(served.slates.ad[row, tick.log.slot], tick.log.ad)
            place = served.slates.place[row, tick.log.slot]
            assert np.array_equal(served.ranked.pctr[row, place], tick.log.pctr)
            assert np.array_equal(served.offers.bid[tick.log.ad], tick.log.bid)
            spent = m.budgets.spent.copy()

    def test_who_has_seen_enough_leaves_the_market_as_of_the_tick_s_start(self, rich_world, market_config):
        m = market(rich_world, market_config)
        tick = next(m.ticks(0))
        user, ad = tick.log.user[:1, None], tick.log.ad[:1, None]
        assert m.exposures.counts(user, ad) == 0
        learned = [verb for verb, _ in m.ranker.calls if verb != "rank"]
        assert learned == []

    def test_a_day_holds_no_tick_s_candidates(self, rich_world, market_config):
        """They are many times its rows: of a day's ticks one at most is whole."""
        served: list[weakref.ref[Any]] = []
        alive: list[int] = []

        class Kept(Marketplace):
            def _serve(self, requests, now, budgets):
                alive.append(sum(one() is not None for one in served))
                found = super()._serve(requests, now, budgets)
                served.append(weakref.ref(found))
                return found

        world = rich_world
        Kept(world, market_config, RandomRetriever(world.catalog, 1), FlatRanker(world.catalog, 1)).run_day(0)
        assert len(alive) > 10
        assert set(alive) == {0}


class TestLabels:
    def test_a_row_is_learned_once_in_order_as_soon_as_it_is_ready_and_no_sooner(self, rich_world, market_config):
        m, tick = market(rich_world, market_config), market_config.cascade.tick
        learned: list[tuple[int, Impressions]] = []
        log: list[Impressions] = []
        for day in range(2):
            now = [day * DAY]

            def on_tick(_: int, now: list[int] = now) -> None:
                now[0] += tick
                new = [rows for verb, rows in m.ranker.calls if verb == "update"]
                learned.extend((now[0], rows) for rows in new[len(learned) :])

            log.append(m.run_day(day, on_tick).log)
        for now, rows in learned:
            assert rows.ready_at.max() <= now
            assert rows.ready_at.min() > now - tick
        whole, got = concatenate(log), concatenate([rows for _, rows in learned])
        assert same(got, whole[whole.ready_at <= 2 * DAY])
        assert len(whole) - len(got) > 0

    def test_ready_at_is_the_wait_and_late_clicks_are_lost_labels(self, rich_world, market_config):
        config = with_section(market_config, "feedback", label_wait=60, click_delay=120.0)
        day = market(rich_world, config).run_day(0)
        assert np.array_equal(day.log.ready_at, day.log.time + 60)
        assert not day.log.label[~day.ledger.click].any()
        lost = day.ledger.click & ~day.log.label
        # P(delay > 60 s) with a mean of 120 s; a click known in the 60th second counts.
        share, n = lost.sum() / day.ledger.click.sum(), day.ledger.click.sum()
        assert abs(share - np.exp(-61 / 120)) < 4 * np.sqrt(0.25 / n)
        assert (day.log.paid[lost] > 0).all()

    def test_flipping_one_label_changes_no_score_before_it_matured(self, rich_world, market_config, monkeypatch):
        """Budgets never bind, so the label is all that differs; the counters of popularity are what could leak it."""
        target = 400

        def flipped(seed, requests, *rest):
            outcomes = respond(seed, requests, *rest)
            row = requests.id == target
            if not row.any():
                return outcomes
            click, click_at = outcomes.click.copy(), outcomes.click_at.copy()
            click[row, 0] ^= True
            click_at[row, 0] = np.where(click[row, 0], requests.time[row], -1)
            return replace(outcomes, click=click, click_at=click_at)

        plain = market(rich_world, market_config).run_day(0).log
        monkeypatch.setattr(marketplace, "respond", flipped)
        other = market(rich_world, market_config).run_day(0).log
        ready = int(plain.ready_at[plain.request == target][0])
        before = plain.time < ready
        n = int(before.sum())
        for f in fields(plain):
            if f.name not in ("label", "paid"):
                a, b = getattr(plain, f.name)[:n], getattr(other, f.name)[:n]
                assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), f.name
        assert (plain.label[:n] != other.label[:n]).sum() == 1
        # It does matter later: from the first sync after it matured, some logit differs.
        after = other[n:]
        assert not np.array_equal(plain[n:].logit, after.logit)

    def test_syncs_come_on_their_clock(self, world, market_config):
        m = market(world, market_config)
        days_of(m)
        syncs = [now for verb, now in m.ranker.calls if verb == "sync"]
        period = market_config.cascade.sync
        assert syncs == list(range(period, 2 * DAY + 1, period))


class TestSeam:
    def test_waiting_rows_of_the_burn_in_are_learned_by_the_arm(self, world, market_config):
        """Replay of day 0 plus the handed-over rows is every row exactly once."""
        burn_in = market(world, market_config)
        log = burn_in.run_day(0).log
        learner = FlatRanker(world.catalog, 1)
        learn_from_log(log, learner, market_config.cascade, 0)
        replayed = [rows for verb, rows in learner.calls if verb == "update"]
        waiting = log[log.ready_at > DAY]
        assert len(waiting) > 0
        arm = market(world, market_config, waiting=waiting, shown=log)
        new = arm.run_day(1).log
        learned = concatenate(replayed + [rows for verb, rows in arm.ranker.calls if verb == "update"])
        whole = concatenate([log, new])
        assert same(learned, whole[whole.ready_at <= 2 * DAY])

    def test_a_replay_gives_the_updates_and_syncs_of_the_live_market(self, world, market_config):
        live = market(world, market_config)
        log = concatenate([d.log for d in days_of(live)])
        replayed = FlatRanker(world.catalog, 1)
        for day in range(2):
            learn_from_log(log, replayed, market_config.cascade, day)
        calls = [(verb, what) for verb, what in live.ranker.calls if verb != "rank"]
        assert [verb for verb, _ in calls] == [verb for verb, _ in replayed.calls]
        for (verb, a), (_, b) in zip(calls, replayed.calls, strict=True):
            assert same(a, b) if verb == "update" else a == b

    def test_exposures_go_on(self, world, market_config):
        log = market(world, market_config).run_day(0).log
        arm = market(world, market_config, shown=log)
        pairs, counts = np.unique(np.stack([log.user, log.ad]), axis=1, return_counts=True)
        assert np.array_equal(arm.exposures.counts(pairs[0], pairs[1]), counts)


class TestSecrets:
    def test_no_truth_reaches_a_model(self, world, market_config):
        """The only things handed over are requests, offers, ads and the log, and none has a column of the truth."""
        handed: list[Any] = []

        class Spy(RandomRetriever):
            def retrieve(self, requests, offers, k):
                handed.extend([requests, offers])
                return super().retrieve(requests, offers, k)

            def update(self, impressions):
                handed.append(impressions)

        day = market(world, market_config, Spy).run_day(0)
        assert {type(x) for x in handed} == {Requests, Offers, Impressions}
        learned = concatenate([x for x in handed if isinstance(x, Impressions)])
        true_ctr = day.ledger.true_ctr[: len(learned)]
        for f in fields(learned):
            column = getattr(learned, f.name)
            for values in column.T if column.ndim == 2 else [column]:
                v = values.astype(float)
                if np.isfinite(v).any() and np.nanstd(v) > 0:
                    assert abs(np.corrcoef(np.nan_to_num(v), true_ctr)[0, 1]) < 0.6, f.name

    def test_offers_are_the_eligible_ads_of_the_tick(self, world, market_config):
        handed: list[tuple[Requests, Offers]] = []

        class Spy(RandomRetriever):
            def retrieve(self, requests, offers, k):
                handed.append((requests, offers))
                return super().retrieve(requests, offers, k)

        market(world, market_config, Spy).run_day(1)
        tick = market_config.cascade.tick
        for requests, offers in handed:
            live = eligible_at(world.demand, int(requests.time[0]) // tick * tick)
            assert (offers.eligible <= live).all()
            assert requests.time[-1] // tick == requests.time[0] // tick
        assert any((~o.eligible & eligible_at(world.demand, int(r.time[0]) // tick * tick)).any() for r, o in handed)


class TestDials:
    """Each dial does what it says in a whole market; its off position is every other test's market."""

    def day(self, world: World, config: MarketConfig) -> Day:
        return market(world, config).run_day(0)

    def test_duplicates_are_charged_twice_and_logged_once(self, rich_world, market_config):
        plain = self.day(rich_world, market_config)
        twice = self.day(rich_world, with_section(market_config, "feedback", duplicate_clicks=1.0))
        assert_allclose(twice.log.paid, 2 * plain.log.paid)
        assert np.array_equal(twice.log.label, plain.log.label)
        assert twice.unpaid == 0

    def test_duplicates_respect_the_budget(self, world, market_config):
        day = self.day(world, with_section(market_config, "feedback", duplicate_clicks=0.5))
        spent = np.bincount(world.demand.campaign[day.log.ad], weights=day.log.paid, minlength=world.demand.budget.size)
        assert (spent <= world.demand.budget + 0.005).all()
        assert day.unpaid > 0

    def test_lost_clicks_are_paid_for_and_not_learned(self, rich_world, market_config):
        day = self.day(rich_world, with_section(market_config, "feedback", lost_clicks=1.0))
        assert not day.log.label.any()
        assert np.array_equal(day.log.paid > 0, day.ledger.click)

    def test_a_worse_ranker_places_worse_ads(self, rich_world, market_config):
        def earned(noise: float) -> float:
            config = with_section(market_config, "cascade", ranker_noise=noise)
            truth = CurrentTruth(rich_world, config.feedback)
            retriever, ranker = PopularityRetriever(rich_world.catalog, 1), OracleRanker(truth.pairs)
            d = Marketplace(rich_world, config, retriever, ranker, truth=truth).run_day(0)
            return float((d.ledger.examine_p * d.ledger.true_ctr * d.ledger.value).sum())

        assert earned(0.0) > earned(1.0) > earned(3.0)

    def test_a_redesign_shows_from_its_day_on(self, rich_world, market_config):
        plain, new = (
            days_of(market(rich_world, with_section(market_config, "cascade", redesign_day=day))) for day in (0, 1)
        )
        assert same(plain[0].log, new[0].log)
        assert np.array_equal(plain[1].log.ad, new[1].log.ad)

    def test_vcg_sells_the_same_slates_for_less(self, rich_world, market_config):
        gsp = self.day(rich_world, market_config)
        vcg = self.day(rich_world, with_section(market_config, "auction", pricing="vcg"))
        assert np.array_equal(gsp.log.ad, vcg.log.ad)
        assert (vcg.log.price <= gsp.log.price * (1 + 1e-6)).all()
        assert 0 < vcg.log.paid.sum() < gsp.log.paid.sum()

    @pytest.mark.parametrize("method", ["multiplier", "throttle"])
    def test_pacing_keeps_ads_in_the_market_longer(self, world, market_config, method):
        def served(config: MarketConfig) -> tuple[float, int, float]:
            m = market(world, config)
            for day in range(3):
                d = m.run_day(day)
                spent = np.bincount(world.demand.campaign[d.log.ad], weights=d.log.paid, minlength=m.budgets.spent.size)
                assert (spent <= world.demand.budget + 0.005).all()
                assert (d.log.price <= d.log.bid).all()
                assert (d.log.bid <= world.demand.bid[d.log.ad]).all()
                assert np.array_equal(d.ledger.value, world.demand.bid[d.log.ad])
            late = d.log.time % DAY > 18 * 3600
            return (
                d.unpaid / d.log.paid.sum(),
                np.unique(d.log.ad[late]).size,
                d.log.paid[late].sum() / d.log.paid.sum(),
            )

        free = served(market_config)
        paced = served(with_section(market_config, "pacing", method=method))
        assert paced[0] < free[0], "less over-delivery"
        assert paced[2] > free[2], "more money left for the evening"


@pytest.fixture(scope="module")
def selling(world_config) -> World:
    update = {"conversion_rate": 0.2, "ocpc_share": 0.5, "budget_clicks": 1e9}
    return build(world_config.model_copy(update=update), seed=5, days=3)


@pytest.fixture(scope="module")
def quick(market_config) -> MarketConfig:
    config = market_config.model_copy(update={"conversion": ConversionConfig(wait_hours=4, delay_hours=1)})
    return with_section(config, "traffic", requests_per_day=6000)


class TestConversions:
    def test_no_conversion_without_a_click_and_none_where_they_are_off(self, selling, quick, two_days):
        assert two_days[0].conversions is None
        day = market(selling, quick).run_day(0)
        found = day.conversions
        clicked = day.ledger.click
        key = day.log.request[clicked] * 1000 + day.log.ad[clicked]
        assert found.request.size > 100
        assert np.isin(found.request * 1000 + found.ad, key).all()
        assert (found.at >= found.click_at).all()
        assert (found.value > 0).all()

    def test_bids_per_conversion_follow_the_platforms_own_rates(self, selling, quick):
        m = market(selling, quick)
        log = concatenate([m.run_day(day).log for day in range(3)])
        target = selling.demand.target
        own = np.isnan(target)
        assert 0.2 < own.mean() < 0.8
        mine = own[log.ad]
        assert np.array_equal(log.bid[mine], selling.demand.bid[log.ad[mine]])
        # At first the platform knows the prior alone.
        first = ~mine & (log.time < 3 * 3600)
        assert_allclose(log.bid[first], target[log.ad[first]] * quick.conversion.prior_rate)
        # Later its rates lean to the truth: ads that convert better bid more per click.
        true = expit(selling.truth.buying.base + selling.truth.buying.landing)
        rates = m.conversion_rates.rates()
        clicks = np.bincount(log.ad[log.paid > 0], minlength=own.size)
        often = clicks > np.quantile(clicks, 0.8)
        assert np.corrcoef(rates[often], true[often])[0, 1] > 0.4
        assert (log.price <= log.bid).all()

    def test_the_value_of_a_click_is_the_truths(self, selling, quick):
        day = market(selling, quick).run_day(0)
        per_conversion = ~np.isnan(selling.demand.target[day.log.ad])
        truth, log = selling.truth.buying, day.log
        value = selling.demand.target[log.ad] * expit(truth.pairs(log.user, log.ad).astype(float))
        assert_allclose(day.ledger.value[per_conversion], value[per_conversion])
        assert np.array_equal(day.ledger.value[~per_conversion], log.bid[~per_conversion])

    def test_an_arm_takes_over_the_rates_at_the_seam(self, selling, quick):
        """Conversions are drawn by key, so the log is enough to know them again."""
        first = market(selling, quick)
        log = first.run_day(0).log
        arm = market(selling, quick, shown=log)
        for m in (first, arm):
            m.conversion_rates.mature(2 * DAY)
        assert_allclose(arm.conversion_rates.rates(), first.conversion_rates.rates())


class TestBots:
    def test_bots_click_whatever_they_see_pay_nothing_back_and_buy_nothing(self, world_config, market_config):
        update = {"bots": 0.1, "bot_rate": 0.6, "conversion_rate": 0.3, "budget_clicks": 1e9}
        world = build(world_config.model_copy(update=update), seed=5, days=2)
        day = market(world, with_section(market_config, "feedback", fatigue=0.0)).run_day(0)
        bot = world.truth.bot
        by_bot = bot[day.log.user]
        assert 0.05 < bot.mean() < 0.15
        assert by_bot.mean() > 2 * bot.mean(), "they ask more often"
        assert_allclose(day.ledger.true_ctr[by_bot], 0.6, rtol=1e-5)
        assert (day.ledger.value[by_bot] == 0).all()
        assert not bot[day.conversions.user].any()
        assert day.log.paid[by_bot].sum() > 0


class TestReferences:
    def test_knowing_more_earns_more(self, rich_world, market_config):
        """Oracle beats popularity beats random, under one ranker that knows the truth."""
        revenue = {}
        for name in ("oracle", "popularity", "random"):
            truth = CurrentTruth(rich_world, market_config.feedback)
            makers = {"popularity": PopularityRetriever, "random": RandomRetriever}
            retriever = OracleRetriever(truth.everything) if name == "oracle" else makers[name](rich_world.catalog, 1)
            m = Marketplace(rich_world, market_config, retriever, OracleRanker(truth.pairs), truth=truth)
            revenue[name] = sum(d.log.paid.sum() for d in days_of(m))
        assert revenue["oracle"] > 1.02 * revenue["popularity"] > 1.02 * 1.2 * revenue["random"] > 0

    def test_true_logits_agree(self, world, market_config):
        m = market(world, market_config)
        m.run_day(0)
        n = 40
        requests = Requests(
            id=np.arange(n),
            user=np.arange(n, dtype=np.int32),
            time=np.full(n, DAY + 100),
            context=np.zeros((n, 2), dtype=np.int32),
            arm=np.zeros(n, dtype=np.int8),
        )
        ads = np.tile(np.arange(world.catalog.ads.rows, dtype=np.int32), (n, 1))
        assert_allclose(m.truth.pairs(requests, ads), m.truth.everything(requests), rtol=1e-4, atol=1e-5)


class TestRefusals:
    def test_a_truth_of_another_world_or_fatigue(self, world, rich_world, market_config):
        tired = market_config.feedback.model_copy(update={"fatigue": 0.7})
        for truth in (CurrentTruth(rich_world, market_config.feedback), CurrentTruth(world, tired)):
            with pytest.raises(ValueError, match=r"^truth is of another world or fatigue, must be of the market's$"):
                market(world, market_config, truth=truth)

    def test_more_candidates_than_ads(self, world, market_config):
        with pytest.raises(ValueError, match=r"^cascade\.candidates == 201, must be at most the 200 ads$"):
            market(world, with_section(market_config, "cascade", candidates=201))

    @pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
    def test_a_ranker_that_speaks_no_probability(self, world, market_config, bad):
        m = market(world, market_config)
        m.ranker.base = bad
        with pytest.raises(ValueError, match=r"^ranked\.pctr holds values outside \[0, 1\] at time 0"):
            m.run_day(0)

    def test_a_retriever_that_breaks_the_law(self, world, market_config):
        class Greedy(RandomRetriever):
            def retrieve(self, requests, offers, k):
                found = super().retrieve(requests, offers, k)
                return replace(found, ad=np.zeros_like(found.ad))

        with pytest.raises(ValueError, match=r"^candidates\.ad == 0 "):
            market(world, market_config, Greedy).run_day(0)

    @pytest.mark.parametrize(
        ("update", "line"),
        [
            ({"budget": np.zeros(50)}, r"^demand\.budget == 0\.0 at most, must pay for one click of some ad$"),
            ({"bid": np.full(200, -1.0)}, r"^demand\.bid == -1\.0, must be positive$"),
            ({"bid": np.full(200, 1e-3)}, r"^auction\.reserve == 0\.01, must be at most the best bid 0\.001$"),
        ],
    )
    def test_a_market_in_which_nothing_can_be_sold(self, world, market_config, update, line):
        with pytest.raises(ValueError, match=line):
            market(replace(world, demand=replace(world.demand, **update)), market_config)

    def test_a_quiet_night_is_no_error(self, world, market_config):
        """Ticks without a request, and a day on which nobody may compete."""
        quiet = with_section(market_config, "traffic", requests_per_day=3)
        assert market(world, quiet).run_day(0).requests == 3
        demand = replace(world.demand, end=np.zeros_like(world.demand.end))
        day = market(replace(world, demand=demand), quiet).run_day(0)
        assert len(day.log) == 0
        assert day.unpaid == day.bound_spend == 0


def test_exploration_is_common_to_the_arms(rich_world, market_config):
    """The keyed extra candidates are the same in every arm while the same ads may compete."""
    requests = Requests(
        id=np.arange(50),
        user=np.arange(50, dtype=np.int32),
        time=np.zeros(50, dtype=np.int64),
        context=np.zeros((50, 2), dtype=np.int32),
        arm=np.zeros(50, dtype=np.int8),
    )
    offers = Offers(eligible=eligible_at(rich_world.demand, 0), bid=rich_world.demand.bid)
    extra = []
    for make in (PopularityRetriever, RandomRetriever):
        found = make(rich_world.catalog, 1).retrieve(requests, offers, 20)
        out = explore(5, requests, found, offers, 0.2, lambda ads: np.zeros(ads.shape, dtype=np.float32))
        extra.append(out.ad[:, 16:])
    both = (extra[0] != PAD) & (extra[1] != PAD)
    assert both.mean() > 0.5
    assert np.array_equal(extra[0][both], extra[1][both])
