"""Budgets against a click-by-click account."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.pacing import Budgets, PacingConfig
from simulator.records import PAD, Candidates

CAMPAIGN = np.array([0, 0, 1, 1, 2], dtype=np.int32)
BID = np.array([1.0, 2.0, 1.5, 0.5, 4.0])
LIVE = np.ones(5, dtype=bool)
# Quarters are exact in binary, so the two accounts agree to the last bit whatever the order of the sums.
QUARTERS = st.integers(1, 16).map(lambda n: n / 4)
TICKS = st.lists(st.lists(st.tuples(st.integers(0, 4), QUARTERS), max_size=12), max_size=5)
DAILY = st.lists(st.integers(0, 40).map(lambda n: n / 4), min_size=3, max_size=3)


def clicks(tick: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([a for a, _ in tick], dtype=np.int32), np.array([p for _, p in tick], dtype=float)


@given(DAILY, TICKS)
def test_equals_a_click_by_click_account(daily, ticks):
    budgets = Budgets(np.array(daily), CAMPAIGN, BID)
    spent = [0.0, 0.0, 0.0]
    for tick in ticks:
        over = [False, False, False]
        asked = list(spent)
        expected = []
        for ad, price in tick:
            c = CAMPAIGN[ad]
            asked[c] += price
            over[c] |= asked[c] > daily[c]
            expected.append(0.0 if over[c] else price)
            spent[c] += expected[-1]
        assert budgets.charge(*clicks(tick)).tolist() == expected
        assert budgets.spent.tolist() == spent
        assert budgets.exhausted[over].all()


@given(
    st.lists(st.floats(0, 50), min_size=3, max_size=3),
    st.lists(st.lists(st.tuples(st.integers(0, 4), st.floats(1e-3, 9)), max_size=30), max_size=6),
)
def test_paid_spend_never_passes_the_budget_and_no_cent_is_lost(daily, ticks):
    budgets = Budgets(np.array(daily), CAMPAIGN, BID)
    revenue = 0.0
    for tick in ticks:
        ads, price = clicks(tick)
        paid = budgets.charge(ads, price)
        assert ((paid == price) | (paid == 0)).all()
        revenue += paid.sum()
        assert (budgets.spent <= budgets.daily + 1e-8).all()
    assert budgets.spent.sum() == pytest.approx(revenue, abs=1e-8)


def test_over_delivery_goes_unpaid_until_the_end_of_the_tick():
    budgets = Budgets(np.array([3.0, 10.0, 10.0]), CAMPAIGN, BID)
    ads = np.array([0, 2, 1, 0, 0], dtype=np.int32)
    paid = budgets.charge(ads, np.array([1.0, 1.5, 2.5, 0.5, 0.5]))
    # The third click overdraws campaign 0; the cheap ones after it were delivered after its end.
    assert paid.tolist() == [1.0, 1.5, 0.0, 0.0, 0.0]
    assert budgets.exhausted.tolist() == [True, False, False]


def test_event_order_decides_who_is_paid():
    ads = np.array([0, 1], dtype=np.int32)
    first = Budgets(np.array([2.0, 1.0, 1.0]), CAMPAIGN, BID).charge(ads, np.array([1.0, 2.0]))
    second = Budgets(np.array([2.0, 1.0, 1.0]), CAMPAIGN, BID).charge(ads[::-1], np.array([2.0, 1.0]))
    assert first.tolist() == [1.0, 0.0]
    assert second.tolist() == [2.0, 0.0]


def test_an_ad_competes_only_while_its_campaign_can_pay_a_click_at_the_bid():
    budgets = Budgets(np.array([2.0, 2.0, 4.0]), CAMPAIGN, BID)
    assert budgets.offers(LIVE).eligible.all()
    budgets.charge(np.array([0, 2, 4], dtype=np.int32), np.array([0.75, 1.5, 0.5]))
    # Left: 1.25, 0.5, 3.5 against the bids 1, 2 | 1.5, 0.5 | 4.
    assert budgets.offers(LIVE).eligible.tolist() == [True, False, False, True, False]


def test_dates_hide_an_ad_whatever_its_money():
    live = np.array([True, False, True, False, True])
    budgets = Budgets(np.full(3, 100.0), CAMPAIGN, BID)
    assert budgets.offers(live).eligible.tolist() == live.tolist()


def test_a_new_day_refills():
    budgets = Budgets(np.full(3, 4.0), CAMPAIGN, BID)
    budgets.charge(np.array([4], dtype=np.int32), np.array([4.0]))
    assert budgets.exhausted[2]
    assert not budgets.offers(LIVE).eligible[4]
    budgets.new_day()
    assert not budgets.exhausted.any()
    assert budgets.offers(LIVE).eligible.all()
    assert budgets.spent.sum() == 0


def test_offers_bid_in_logs():
    log_bid = Budgets(np.array([0.0, 9.0, 9.0]), CAMPAIGN, BID).offers(LIVE).log_bid()
    assert np.isneginf(log_bid[:2]).all()
    assert_allclose(np.exp(log_bid[2:]), BID[2:], rtol=1e-6)


def test_no_click_changes_nothing():
    budgets = Budgets(np.full(3, 5.0), CAMPAIGN, BID)
    assert budgets.charge(*clicks([])).size == 0
    assert budgets.spent.sum() == 0


@pytest.mark.parametrize(
    ("daily", "bid", "name"),
    [([-1.0, 1, 1], BID, "daily"), ([np.inf, 1, 1], BID, "daily"), ([1.0, 1, 1], 0 * BID, "bid")],
)
def test_wrong_money_is_refused(daily, bid, name):
    with pytest.raises(ValueError, match=f"^{name} == .*, must be"):
        Budgets(np.array(daily), CAMPAIGN, bid)


class TestPacing:
    """A PID controller on the share of the budget against the share of the day."""

    DEMAND = np.array([8.0, 2.0, 0.5])
    """Money that each campaign would spend per tick at full pace; the budget is 24 over 24 ticks."""

    def day(self, method: str, days: int = 1, **dials: float) -> tuple[Budgets, np.ndarray]:
        """Spend by campaign after each tick of the last of so many days, spending in proportion to the pace."""
        budgets = Budgets(np.full(3, 24.0), CAMPAIGN, BID, PacingConfig(method=method, **dials))
        for _ in range(days):
            budgets.new_day()
            spent = []
            for tick in range(24):
                want = np.minimum(self.DEMAND * budgets.pace, budgets.daily - budgets.spent)
                budgets.charge(np.array([0, 2, 4], dtype=np.int32), np.maximum(want, 0))
                budgets.steer((tick + 1) / 24)
                spent.append(budgets.spent.copy())
        return budgets, np.array(spent)

    def test_off(self):
        budgets, spent = self.day("none")
        assert (budgets.pace == 1).all()
        assert spent[2, 0] == 24.0

    @pytest.mark.parametrize("method", ["multiplier", "throttle"])
    def test_the_money_lasts_the_day(self, method):
        _, spent = self.day(method, days=3)
        for noon, share in ((5, 0.25), (11, 0.5), (17, 0.75)):
            assert spent[noon, :2] == pytest.approx(24 * share, abs=2.5)
        assert (spent[-1, :2] > 0.95 * 24).all()

    def test_who_has_money_enough_is_left_alone(self):
        budgets, spent = self.day("multiplier", days=2)
        assert budgets.pace[2] == 1
        assert spent[-1, 2] == pytest.approx(12.0)

    def test_the_pace_is_held_to_its_floor_and_the_sum_does_not_wind_up(self):
        budgets = Budgets(np.full(3, 10.0), CAMPAIGN, BID, PacingConfig(method="multiplier", floor=0.2))
        budgets.charge(np.array([0], dtype=np.int32), np.array([10.0]))
        for _ in range(200):
            budgets.steer(0.01)
        assert budgets.pace[0] == pytest.approx(0.2)
        budgets.new_day()
        for tick in range(12):
            budgets.steer((tick + 1) / 24)
        assert budgets.pace[0] == 1, "a day that begins with nothing spent is caught up with by noon"

    def test_a_multiplier_bids_less(self):
        budgets = Budgets(np.full(3, 100.0), CAMPAIGN, BID, PacingConfig(method="multiplier"))
        budgets.pace[:] = [0.5, 1.0, 0.25]
        assert budgets.offers(LIVE).bid.tolist() == [0.5, 1.0, 1.5, 0.5, 1.0]
        assert np.array_equal(budgets.bid, BID)

    def test_throttling_leaves_auctions_out_by_key_and_bids_as_they_are(self):
        budgets = Budgets(np.full(3, 100.0), CAMPAIGN, BID, PacingConfig(method="throttle"))
        budgets.pace[:] = [0.5, 1.0, 0.1]
        assert np.array_equal(budgets.offers(LIVE).bid, BID)
        request = np.arange(4000)
        ad = np.tile(np.array([0, 2, 4, 1, PAD], dtype=np.int32), (4000, 1))
        found = Candidates(ad=ad, logit=np.ones(ad.shape, np.float32), explored=np.ones(ad.shape, dtype=bool))
        kept = budgets.throttled(3, request, found)
        stays = kept.ad != PAD
        assert stays.mean(axis=0) == pytest.approx([0.5, 1.0, 0.1, 0.5, 0.0], abs=0.04)
        assert np.array_equal(stays[:, 0], stays[:, 3]), "both ads of a campaign sit the same requests out"
        at = ad[0] != PAD
        assert np.array_equal(np.isnan(kept.logit[:, at]), ~stays[:, at])
        assert np.array_equal(kept.explored[:, at], stays[:, at])
        assert np.array_equal(
            budgets.throttled(
                3, request[7:9], Candidates(**{k: getattr(found, k)[7:9] for k in ("ad", "logit", "explored")})
            ).ad,
            kept.ad[7:9],
        )

    def test_bids_per_conversion_move(self):
        budgets = Budgets(np.full(3, 2.5), CAMPAIGN, BID)
        budgets.reprice(2 * BID)
        assert budgets.offers(LIVE).eligible.tolist() == [True, False, False, True, False]

    def test_an_empty_budget_divides_by_nothing(self):
        budgets = Budgets(np.array([0.0, 1.0, 1.0]), CAMPAIGN, BID, PacingConfig(method="multiplier"))
        budgets.steer(0.5)
        assert np.isfinite(budgets.pace).all()
