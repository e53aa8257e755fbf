"""Exact top K, keyed exploration, the legality check and the reference retrievers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from simulator.records import PAD, Candidates, Offers, Requests
from simulator.retrieval import (
    OracleRetriever,
    PopularityRetriever,
    RandomRetriever,
    candidates_from,
    check_legal,
    explore,
    top_k,
)
from tests.simulator.test_log import rows

R, A = 300, 200


@pytest.fixture(scope="module")
def requests() -> Requests:
    i = np.arange(R)
    return Requests(
        id=i.astype(np.int64) + 1000,
        user=(i % 50).astype(np.int32),
        time=(i * 60).astype(np.int64),
        context=np.zeros((R, 2), dtype=np.int32),
        arm=np.zeros(R, dtype=np.int8),
    )


@pytest.fixture(scope="module")
def offers() -> Offers:
    rng = np.random.default_rng(0)
    return Offers(eligible=rng.random(A) < 0.6, bid=rng.lognormal(0, 0.7, A))


def no_opinion(ads: np.ndarray) -> np.ndarray:
    return np.zeros(ads.shape, dtype=np.float32)


def test_top_k_equals_a_full_sort():
    score = np.random.default_rng(1).normal(size=(50, 80))
    for k in (1, 10, 79, 80, 200):
        expected = np.argsort(-score, axis=1, kind="stable")[:, :k]
        assert np.array_equal(top_k(score, k), expected)


def test_candidates_hold_no_ad_that_may_not_compete(offers):
    logit = np.random.default_rng(2).normal(size=(20, A)).astype(np.float32)
    found = candidates_from(logit + offers.log_bid(), logit, A)
    n = int(offers.eligible.sum())
    assert (np.sort(found.ad[:, :n], axis=1) == np.flatnonzero(offers.eligible)).all()
    assert (found.ad[:, n:] == PAD).all()
    assert np.isnan(found.logit[:, n:]).all()
    money = np.take_along_axis(logit + offers.log_bid(), found.ad[:, :n].astype(np.int64), axis=1)
    assert (np.diff(money, axis=1) <= 0).all()
    assert np.array_equal(found.logit[:, :n], np.take_along_axis(logit, found.ad[:, :n].astype(np.int64), axis=1))


class TestExplore:
    def found(self, requests, offers, k=20) -> Candidates:
        logit = np.random.default_rng(3).normal(size=(R, A)).astype(np.float32)
        return candidates_from(logit + offers.log_bid(), logit, k)

    def test_keeps_the_best_and_hands_out_the_last_places(self, requests, offers):
        before = self.found(requests, offers)
        after = explore(1, requests, before, offers, 0.2, no_opinion)
        assert np.array_equal(after.ad[:, :16], before.ad[:, :16])
        assert not after.explored[:, :16].any()
        assert np.array_equal(after.explored[:, 16:], after.ad[:, 16:] != PAD)
        assert after.explored[:, 16:].mean() > 0.7
        check_legal(after, offers, requests, 20)

    def test_the_same_draw_for_every_arm(self, requests, offers):
        a = explore(1, requests, self.found(requests, offers), offers, 0.2, no_opinion)
        nothing = Candidates(
            ad=np.full((R, 20), PAD, np.int32),
            logit=np.full((R, 20), np.nan, np.float32),
            explored=np.zeros((R, 20), bool),
        )
        b = explore(1, requests, nothing, offers, 0.2, no_opinion)
        both = (a.ad[:, 16:] != PAD) & (b.ad[:, 16:] != PAD)
        assert both.mean() > 0.7
        assert np.array_equal(a.ad[:, 16:][both], b.ad[:, 16:][both])

    def test_draws_are_uniform_over_the_eligible(self, requests, offers):
        empty = Candidates(
            ad=np.full((R, 20), PAD, np.int32),
            logit=np.full((R, 20), np.nan, np.float32),
            explored=np.zeros((R, 20), bool),
        )
        drawn = explore(1, requests, empty, offers, 1.0 - 1e-9, no_opinion).ad
        counts = np.bincount(drawn[drawn != PAD], minlength=A)
        assert not counts[~offers.eligible].any()
        expected = counts.sum() / offers.eligible.sum()
        assert np.abs(counts[offers.eligible] - expected).max() < 5 * np.sqrt(expected)

    def test_off_and_nobody_eligible(self, requests, offers):
        before = self.found(requests, offers)
        assert explore(1, requests, before, offers, 0.0, no_opinion) is before
        nobody = Offers(eligible=np.zeros(A, dtype=bool), bid=offers.bid)
        assert explore(1, requests, before, nobody, 0.5, no_opinion) is before


class TestLegality:
    def candidates(self, ad) -> Candidates:
        ad = np.asarray(ad, dtype=np.int32)
        return Candidates(ad=ad, logit=np.zeros(ad.shape, np.float32), explored=np.zeros(ad.shape, bool))

    @pytest.mark.parametrize(
        ("ad", "message"),
        [
            ([[0, 1, 2]], r"ad == 2 in request 1000, must be eligible"),
            ([[0, 1, 0]], r"ad == 0 twice in request 1000, must be once"),
            ([[0, 1, 4]], r"ad == 0\.\.4, must be -1\.\.3"),
            ([[0, -2, 1]], r"ad == -2\.\.1, must be -1\.\.3"),
            ([[0, 1, 3, -1]], r"ad.shape == \(1, 4\), must be \(1, <= 3\)"),
            ([[0], [1]], r"ad.shape == \(2, 1\), must be \(1, <= 3\)"),
        ],
    )
    def test_breaches_are_named(self, requests, ad, message):
        offers = Offers(eligible=np.array([True, True, False, True]), bid=np.ones(4))
        with pytest.raises(ValueError, match=f"^candidates.{message}"):
            check_legal(self.candidates(ad), offers, requests_of_one(requests), 3)

    def test_pads_may_repeat(self, requests):
        offers = Offers(eligible=np.array([True, True, False, True]), bid=np.ones(4))
        check_legal(self.candidates([[3, PAD, PAD]]), offers, requests_of_one(requests), 3)


def requests_of_one(requests: Requests) -> Requests:
    return Requests(
        id=requests.id[:1],
        user=requests.user[:1],
        time=requests.time[:1],
        context=requests.context[:1],
        arm=requests.arm[:1],
    )


class TestReferences:
    def test_random_is_legal_keyed_and_even(self, world, requests, offers):
        retriever = RandomRetriever(world.catalog, 1)
        found = retriever.retrieve(requests, offers, 20)
        check_legal(found, offers, requests, 20)
        assert (found.ad != PAD).all()
        half = retriever.retrieve(
            Requests(
                id=requests.id[::2],
                user=requests.user[::2],
                time=requests.time[::2],
                context=requests.context[::2],
                arm=requests.arm[::2],
            ),
            offers,
            20,
        )
        assert np.array_equal(half.ad, found.ad[::2])
        counts = np.bincount(found.ad.ravel(), minlength=A)[offers.eligible]
        assert np.abs(counts - counts.mean()).max() < 6 * np.sqrt(counts.mean())

    def test_random_with_fewer_ads_than_places(self, world, requests):
        few = Offers(eligible=np.arange(A) < 3, bid=np.ones(A))
        found = RandomRetriever(world.catalog, 1).retrieve(requests, few, 20)
        check_legal(found, few, requests, 20)
        assert (np.sort(found.ad, axis=1)[:, -3:] == [0, 1, 2]).all()
        nobody = Offers(eligible=np.zeros(A, dtype=bool), bid=np.ones(A))
        assert (RandomRetriever(world.catalog, 1).retrieve(requests, nobody, 20).ad == PAD).all()

    def test_oracle_orders_by_true_money(self, rich_world, requests, offers):
        truth = rich_world.truth
        found = OracleRetriever(truth.everything).retrieve(requests, offers, 10)
        money = np.where(offers.eligible, offers.bid / (1 + np.exp(-truth.everything(requests).astype(float))), -np.inf)
        chosen = np.take_along_axis(money, found.ad.astype(np.int64), axis=1)
        assert_allclose(chosen, -np.sort(-money, axis=1)[:, :10], rtol=1e-5)

    def test_popularity_learns_only_what_it_published(self, world, requests, offers):
        retriever = PopularityRetriever(world.catalog, 1)
        before = retriever.score(requests, np.array([[3, 4]]))
        clicked = rows(500, ad=3, label=True)
        retriever.update(clicked)
        assert np.array_equal(retriever.score(requests, np.array([[3, 4]])), before)
        retriever.sync(0)
        after = retriever.score(requests, np.array([[3, 4]]))
        assert after[0, 0] > before[0, 0] + 1
        assert after[0, 1] == before[0, 1]

    @pytest.mark.parametrize("params", [{}, {"temperature": 0.5}, {"temperature": 0.5, "pool": 40}])
    def test_popularity_is_legal_and_keyed(self, world, requests, offers, params):
        found = PopularityRetriever(world.catalog, 1, **params).retrieve(requests, offers, 20)
        again = PopularityRetriever(world.catalog, 1, **params).retrieve(requests, offers, 20)
        check_legal(found, offers, requests, 20)
        assert np.array_equal(found.ad, again.ad)
        assert (found.ad != PAD).all()
