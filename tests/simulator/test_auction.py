"""The auction against a slow, obvious one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.auction import AuctionConfig, auction
from simulator.records import PAD, Slates


def brute_force(ads, pctr, bid, config: AuctionConfig) -> dict[str, list[list[float]]]:
    """Sort, cut at the reserve, charge: one request and one slot at a time."""
    out: dict[str, list[list[float]]] = {"ad": [], "place": [], "bid": [], "score": [], "price": []}
    for row_ads, row_pctr in zip(ads.tolist(), pctr.astype(float).tolist(), strict=True):
        entries = [
            (-bid[a] * p, column, a, bid[a], p)
            for column, (a, p) in enumerate(zip(row_ads, row_pctr, strict=True))
            if a != PAD and p > 0 and bid[a] * p >= config.reserve
        ]
        entries.sort()
        row: list[tuple[float, ...]] = []
        for i, (negative, column, a, b, p) in enumerate(entries[: config.slots]):
            following = -entries[i + 1][0] if i + 1 < len(entries) else 0.0
            least = max(following, config.reserve) / p
            row.append((a, column, b, -negative, b if config.pricing == "first" else min(least, b)))
        row += [(PAD, 0, 0.0, 0.0, 0.0)] * (config.slots - len(row))
        for name, values in zip(out, zip(*row, strict=True), strict=True):
            out[name].append(list(values))
    return out


@st.composite
def rooms(draw):
    """Requests with pads, ties and unequal bids; ads distinct within a row."""
    R, K, A = draw(st.integers(1, 4)), draw(st.integers(1, 9)), 12
    # Few distinct values make ties of whole scores likely.
    bid = np.array(draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=A, max_size=A)))
    ads = np.array([draw(st.permutations(range(A)))[:K] for _ in range(R)], dtype=np.int32)
    pads = np.array(draw(st.lists(st.booleans(), min_size=R * K, max_size=R * K))).reshape(R, K)
    rates = st.sampled_from([0.0, 0.01, 0.02, 0.04, 0.1, 0.3, 1.0])
    pctr = np.array(draw(st.lists(rates, min_size=R * K, max_size=R * K)), dtype=np.float32).reshape(R, K)
    config = AuctionConfig(
        slots=draw(st.integers(1, 5)),
        reserve=draw(st.sampled_from([0.0, 0.01, 0.04, 0.5, 100.0])),
        pricing=draw(st.sampled_from(["gsp", "first"])),
    )
    return np.where(pads, PAD, ads).astype(np.int32), np.where(pads, np.float32(0), pctr), bid, config


@given(rooms())
def test_equals_brute_force(room):
    slates, expected = auction(*room), brute_force(*room)
    assert slates.ad.tolist() == expected["ad"]
    assert slates.place.tolist() == expected["place"]
    for name in ("bid", "score", "price"):
        assert_allclose(getattr(slates, name), expected[name], rtol=1e-12, err_msg=name)


@given(rooms())
def test_invariants(room):
    ads, pctr, _, config = room
    slates = auction(*room)
    shown = slates.ad != PAD
    assert (slates.price <= slates.bid).all()
    assert (slates.price[shown] > 0).all() or config.reserve == 0
    assert (slates.score[shown] >= config.reserve).all()
    assert (np.diff(slates.score, axis=1) <= 0).all()
    # No gap: an empty slot is never above a filled one.
    assert (shown[:, :-1] >= shown[:, 1:]).all()
    for row in slates.ad:
        row = row[row != PAD]
        assert np.unique(row).size == row.size
    rows = np.arange(len(ads))[:, None]
    assert (ads[rows, slates.place][shown] == slates.ad[shown]).all()
    # What a click brings covers the reserve: price x pctr >= reserve.
    assert (slates.price[shown] * pctr[rows, slates.place][shown] >= config.reserve * (1 - 1e-9)).all()


def one(pctr, bid, **config) -> Slates:
    ads = np.arange(len(bid), dtype=np.int32)[None, :]
    return auction(ads, np.array([pctr], dtype=np.float32), np.array(bid), AuctionConfig(**config))


def test_a_case_by_hand():
    slates = one([0.1, 0.2, 0.05], [4.0, 1.0, 2.0], slots=2, reserve=0.01)
    assert slates.ad.tolist() == [[0, 1]]
    assert_allclose(slates.score, [[0.4, 0.2]], rtol=1e-6)
    assert_allclose(slates.price, [[2.0, 0.5]], rtol=1e-6)


def test_the_reserve_is_the_last_price():
    slates = one([0.1], [4.0], slots=2, reserve=0.02)
    assert slates.ad.tolist() == [[0, PAD]]
    assert_allclose(slates.price, [[0.2, 0.0]], rtol=1e-6)


def test_nobody_reaches_the_reserve():
    slates = one([0.1, 0.2], [1.0, 1.0], slots=2, reserve=5.0)
    assert (slates.ad == PAD).all()
    assert slates.price.sum() == slates.score.sum() == slates.bid.sum() == 0


def test_an_ad_that_cannot_be_clicked_never_wins_even_without_a_reserve():
    assert one([0.0, 0.1], [5.0, 1.0], slots=2, reserve=0.0).ad.tolist() == [[1, PAD]]


def test_ties_go_to_the_earlier_candidate():
    slates = one([0.1, 0.2, 0.2, 0.1], [2.0, 1.0, 1.0, 2.0], slots=2, reserve=0.0)
    assert slates.ad.tolist() == [[0, 1]]
    assert_allclose(slates.price, slates.bid, rtol=1e-6)


def test_the_winner_keeps_her_slot_at_her_price_and_loses_it_below():
    """What makes it GSP: bidding the price ties with the next one, bidding less loses the slot."""
    rng = np.random.default_rng(0)
    pctr, bid = rng.uniform(0.05, 0.3, 8).astype(np.float32), rng.lognormal(0, 0.7, 8)
    slates = one(pctr, bid, slots=3, reserve=0.0)
    for slot in range(3):
        ad, price = slates.ad[0, slot], slates.price[0, slot]
        for factor, kept in ((1.001, True), (0.999, False)):
            other = bid.copy()
            other[ad] = price * factor
            assert (one(pctr, other, slots=3, reserve=0.0).ad[0, slot] == ad) is np.bool_(kept)


def test_own_bid_never_changes_own_price_while_the_order_stays():
    before = one([0.1, 0.1], [4.0, 2.0], slots=1, reserve=0.0)
    after = one([0.1, 0.1], [9.0, 2.0], slots=1, reserve=0.0)
    assert before.price == after.price


def test_requests_do_not_touch_each_other():
    rng = np.random.default_rng(1)
    ads = np.stack([rng.permutation(30)[:10] for _ in range(50)]).astype(np.int32)
    pctr, bid = rng.uniform(0, 0.2, ads.shape).astype(np.float32), rng.lognormal(0, 0.7, 30)
    whole = auction(ads, pctr, bid, AuctionConfig())
    for r in (0, 17, 49):
        alone = auction(ads[r : r + 1], pctr[r : r + 1], bid, AuctionConfig())
        assert np.array_equal(alone.ad[0], whole.ad[r])
        assert np.array_equal(alone.price[0], whole.price[r])


def test_no_request_no_slate():
    assert auction(np.empty((0, 5), np.int32), np.empty((0, 5), np.float32), np.ones(3), AuctionConfig()).ad.shape == (
        0,
        4,
    )


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"reserve": -1}, {"pricing": "third"}, {"slot": 3}])
def test_wrong_rules_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuctionConfig(**wrong)
