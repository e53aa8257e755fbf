"""Budgets against a click-by-click account."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.pacing import Budgets

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
