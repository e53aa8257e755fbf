"""The auction against a slow, obvious one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.auction import AuctionConfig, auction
from simulator.feedback import examine_p
from simulator.records import PAD, Slates

DECAY = 0.7


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
            if config.pricing == "vcg":
                e = [*(DECAY**t for t in range(config.slots)), 0.0]
                others = [-entries[t][0] if t < len(entries) else 0.0 for t in range(config.slots + 1)]
                harm = [(e[t - 1] - e[t]) * max(others[t], config.reserve) for t in range(i + 1, config.slots + 1)]
                least = sum(harm) / e[i] / p
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
        pricing=draw(st.sampled_from(["gsp", "first", "vcg"])),
    )
    return np.where(pads, PAD, ads).astype(np.int32), np.where(pads, np.float32(0), pctr), bid, config


def run(ads, pctr, bid, config: AuctionConfig) -> Slates:
    return auction(ads, pctr, bid, config, examine_p(config.slots, DECAY))


@given(rooms())
def test_equals_brute_force(room):
    slates, expected = run(*room), brute_force(*room)
    assert slates.ad.tolist() == expected["ad"]
    assert slates.place.tolist() == expected["place"]
    for name in ("bid", "score", "price"):
        # float32 powers of the decay move a price of VCG by 1e-7.
        assert_allclose(getattr(slates, name), expected[name], rtol=1e-6, err_msg=name)


@given(rooms())
def test_invariants(room):
    ads, pctr, _, config = room
    slates = run(*room)
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
    return run(ads, np.array([pctr], dtype=np.float32), np.array(bid, dtype=float), AuctionConfig(**config))


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


def clarke(bid: list[float], pctr: list[float], slots: int, reserve: float) -> tuple[list[int], list[float]]:
    """VCG by trying every allocation: who gets each slot (-1: the site keeps it), and each ad's payment per click.

    The site is a bidder that takes the reserve for every slot that it keeps.
    """
    e = [DECAY**s for s in range(slots)]
    worth = np.array(bid) * np.array(pctr, dtype=np.float32).astype(float)

    def best(players: list[int]) -> tuple[float, tuple[int, ...]]:
        options = set(permutations([*players, *[-1] * slots], slots))
        return max((sum(e[s] * (worth[a] if a >= 0 else reserve) for s, a in enumerate(o)), o) for o in options)

    everyone = list(range(len(bid)))
    total, chosen = best(everyone)
    price = [0.0] * len(bid)
    for s, a in enumerate(chosen):
        if a >= 0:
            without = best([b for b in everyone if b != a])[0]
            price[a] = (without - (total - e[s] * worth[a])) / (e[s] * float(np.float32(pctr[a])))
    return list(chosen), price


@st.composite
def rivals(draw, most=4):
    """A request of few ads without ties."""
    n = draw(st.integers(1, most))
    bid = [round(draw(st.floats(0.2, 5.0)), 3) + 1e-4 * i for i in range(n)]
    pctr = [round(draw(st.floats(0.02, 0.4)), 4) + 1e-5 * i for i in range(n)]
    return bid, pctr, draw(st.integers(1, 3)), draw(st.sampled_from([0.0, 0.05, 0.3]))


@given(rivals())
def test_vcg_is_the_clarke_pivot_over_all_allocations(rivals):
    bid, pctr, slots, reserve = rivals
    slates = one(pctr, bid, slots=slots, reserve=reserve, pricing="vcg")
    chosen, price = clarke(bid, pctr, slots, reserve)
    assert slates.ad[0].tolist() == chosen
    assert_allclose(slates.price[0], [price[a] if a >= 0 else 0.0 for a in chosen], rtol=1e-5, atol=1e-9)


def utility(slates: Slates, ad: int, value: float, pctr: float) -> float:
    """Expected gain of an advertiser whose click is worth ``value``."""
    shown = np.flatnonzero(slates.ad[0] == ad)
    return float(sum(DECAY**s * pctr * (value - slates.price[0, s]) for s in shown))


@given(rivals(most=5), st.lists(st.floats(0.05, 12.0), min_size=1, max_size=6))
def test_vcg_is_truthful_and_pays_no_one_to_lie(rivals, lies):
    bid, pctr, slots, reserve = rivals
    rules = {"slots": slots, "reserve": reserve, "pricing": "vcg"}
    honest = utility(one(pctr, bid, **rules), 0, bid[0], pctr[0])
    assert honest >= 0
    for lie in lies:
        assert utility(one(pctr, [lie, *bid[1:]], **rules), 0, bid[0], pctr[0]) <= honest + 1e-6


def test_gsp_and_first_price_are_not_truthful():
    """The textbook case: the best slot is hardly better, so it pays to shade the bid and take the second."""
    for pricing in ("gsp", "first"):
        rules = {"slots": 2, "reserve": 0.0, "pricing": pricing}
        honest = utility(one([0.1, 0.1, 0.1], [10.0, 9.5, 1.0], **rules), 0, 10.0, 0.1)
        shaded = utility(one([0.1, 0.1, 0.1], [9.0, 9.5, 1.0], **rules), 0, 10.0, 0.1)
        assert shaded > honest


@given(rooms())
def test_vcg_never_charges_more_than_gsp_nor_gsp_more_than_first_price(room):
    ads, pctr, bid, config = room
    vcg, gsp, first = (run(ads, pctr, bid, config.model_copy(update={"pricing": p})) for p in ("vcg", "gsp", "first"))
    assert np.array_equal(vcg.ad, gsp.ad)
    assert np.array_equal(gsp.ad, first.ad)
    assert (vcg.price <= gsp.price * (1 + 1e-6)).all()
    assert (gsp.price <= first.price).all()


@given(rooms(), st.integers(0, 11), st.sampled_from([1.5, 3.0, 100.0]))
def test_a_higher_bid_never_loses_a_slot(room, ad, factor):
    """Monotone, the condition of Myerson (1981): with more money an ad moves up or stays."""
    ads, pctr, bid, config = room
    more = bid.copy()
    more[ad] *= factor
    before, after = run(ads, pctr, bid, config), run(ads, pctr, more, config)
    for old, new in zip(before.ad, after.ad, strict=True):
        if ad in old:
            assert ad in new
            assert new.tolist().index(ad) <= old.tolist().index(ad)


@given(rooms(), st.sampled_from([0.02, 0.2, 2.0]))
def test_a_higher_reserve_sells_no_more_and_no_cheaper(room, reserve):
    ads, pctr, bid, config = room
    low = run(ads, pctr, bid, config.model_copy(update={"reserve": 0.0}))
    high = run(ads, pctr, bid, config.model_copy(update={"reserve": reserve}))
    sold = high.ad != PAD
    assert (high.ad[sold] == low.ad[sold]).all()
    assert (high.price[sold] >= low.price[sold] - 1e-12).all()


@pytest.mark.parametrize("examine", [None, [1.0], [0.5, 0.8], [1.0, 0.0]])
def test_vcg_asks_for_positions_that_make_sense(examine):
    given_p = None if examine is None else np.array(examine, dtype=np.float32)
    rules = AuctionConfig(slots=2, pricing="vcg")
    with pytest.raises(ValueError, match=r"^examine == .*, must be 2 positive probabilities that do not rise$"):
        auction(np.array([[0, 1]], np.int32), np.full((1, 2), 0.1, np.float32), np.ones(2), rules, given_p)
