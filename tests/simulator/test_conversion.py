"""Conversions by key, and the platform's own estimate of their rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.conversion import ConversionConfig, ConversionRates, convert
from simulator.records import Clicks, Conversions, take

N, ADS = 20_000, 40
CONFIG = ConversionConfig()


def clicks_of(n: int = N) -> Clicks:
    i = np.arange(n)
    return Clicks(request=i, user=(i % 97).astype(np.int32), ad=(i % ADS).astype(np.int32), at=i * 7)


def found_of(
    rate: float = 0.2, config: ConversionConfig = CONFIG, clicks: Clicks | None = None, **given
) -> Conversions:
    clicks = clicks if clicks is not None else clicks_of()
    n = clicks.ad.size
    price = np.full(n, given.get("price", 0.0), dtype=np.float32)
    median = np.full(n, given.get("median", 20.0))
    return convert(1, clicks, np.full(n, rate, dtype=np.float32), price, median, 0.5, config)


def test_rate_value_and_delay_are_those_asked_for():
    found = found_of()
    n = found.request.size
    assert abs(n / N - 0.2) < 4 * np.sqrt(0.16 / N)
    assert np.median(np.log(found.value)) == pytest.approx(np.log(20), abs=0.03)
    assert np.log(found.value).std() == pytest.approx(0.5, rel=0.05)
    hours = (found.at - found.click_at) / 3600
    assert hours.min() >= 0
    assert np.median(hours) == pytest.approx(6, rel=0.08)
    assert np.log(hours + 1e-3).std() == pytest.approx(1.0, rel=0.05)


def test_a_higher_rate_only_adds_conversions():
    low, high = found_of(0.1), found_of(0.3)
    assert np.isin(low.request, high.request).all()
    same = np.isin(high.request, low.request)
    assert np.array_equal(high.value[same], low.value)
    assert np.array_equal(high.at[same], low.at)


def test_a_click_has_its_conversion_whatever_else_was_clicked():
    clicks = clicks_of()
    rows = np.random.default_rng(0).permutation(N)[:3000]
    some, whole = found_of(clicks=take(clicks, rows)), found_of()
    order = np.argsort(some.request)
    picked = np.isin(whole.request, some.request)
    assert np.array_equal(some.request[order], whole.request[picked])
    assert np.array_equal(some.at[order], whole.at[picked])
    assert np.array_equal(some.value[order], whole.value[picked])


def test_costly_goods_take_longer():
    cheap, dear = found_of(price=-1.0), found_of(price=1.0)
    ratio = np.median(dear.at - dear.click_at) / np.median(cheap.at - cheap.click_at)
    assert ratio == pytest.approx(np.exp(0.6), rel=0.01)


def test_off_positions():
    assert found_of(0.0).request.size == 0
    at_once = found_of(config=ConversionConfig(delay_hours=0))
    assert np.array_equal(at_once.at, at_once.click_at)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 60)), max_size=25),
    st.lists(st.integers(0, 200), min_size=1, max_size=4),
)
def test_rates_equal_a_click_by_click_account(rows, nows):
    """(ad, buys, hours until it does) of clicks an hour apart; a conversion after the wait is none."""
    config = ConversionConfig(wait_hours=24, prior_rate=0.1, prior_clicks=10)
    rates = ConversionRates(4, config)
    at = np.arange(len(rows)) * 3600
    clicks = Clicks(
        request=np.arange(len(rows)),
        user=np.zeros(len(rows), dtype=np.int32),
        ad=np.array([ad for ad, _, _ in rows], dtype=np.int32),
        at=at,
    )
    buys = np.flatnonzero([b for _, b, _ in rows])
    found = Conversions(
        request=clicks.request[buys],
        user=clicks.user[buys],
        ad=clicks.ad[buys],
        click_at=at[buys],
        at=at[buys] + np.array([rows[i][2] for i in buys], dtype=np.int64) * 3600,
        value=np.ones(buys.size),
    )
    rates.put(clicks, found)
    for now in sorted(nows):
        rates.mature(now * 3600)
        n, bought = np.zeros(4), np.zeros(4)
        for i, (ad, b, hours) in enumerate(rows):
            if i + 24 <= now:
                n[ad] += 1
                bought[ad] += b and hours <= 24
        mean = (bought.sum() + 1) / (n.sum() + 10)
        assert_allclose(rates.rates(), (bought + 10 * mean) / (n + 10))


def test_nothing_is_known_before_the_wait_is_over():
    rates = ConversionRates(ADS, CONFIG)
    clicks = clicks_of(50)
    rates.put(clicks, found_of(0.9, clicks=clicks))
    rates.mature(24 * 3600 - 1)
    assert_allclose(rates.rates(), CONFIG.prior_rate)
    rates.mature(24 * 3600 + 400)
    assert rates.rates().max() > CONFIG.prior_rate
