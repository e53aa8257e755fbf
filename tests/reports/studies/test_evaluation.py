"""Measures against the truth: the oracle scores 1, money only shrinks along the funnel, K is interpolated."""

from __future__ import annotations

import numpy as np
import pytest

from reports.studies.arms import make_ranker, make_retriever, parse
from reports.studies.market.evaluation import (
    best_money,
    equal_revenue_k,
    evaluate,
    expected_money,
    index_recall,
    k_grid,
    orders,
    per_thousand,
    ranked_in_blocks,
    read_panel,
    references,
    sample,
)
from simulator.feedback import examine_p
from simulator.ranking import OracleRanker
from simulator.records import DAY, PAD
from simulator.retrieval import OracleRetriever, PopularityRetriever, RandomRetriever
from simulator.world import build, eligible_at
from tests.reports.studies.tiny import PlainRanker, tiny

S = tiny()
SMALL = {"embedding": 4, "hidden": (8,)}


@pytest.fixture(scope="module")
def world():
    return build(S.world, 3, S.all_days)


def truth_of(world, sign=1.0):
    pairs = world.truth.pairs
    return OracleRanker(lambda requests, ads: sign * np.asarray(pairs(requests.user[:, None], ads, requests.time)))


def untaught(world):
    return orders(S, world, make_ranker(parse("dssm"), world.catalog, 3, {}))


@pytest.fixture(scope="module")
def drawn(world):
    return sample(world, 0, 50, "panel")


class TestSample:
    def test_it_looks_at_the_day_after(self, world, drawn):
        assert len(drawn.requests) == 50
        assert (drawn.requests.time // DAY == 1).all()
        assert np.array_equal(drawn.offers.eligible, eligible_at(world.demand, DAY))
        assert np.array_equal(drawn.offers.bid, world.demand.bid)

    def test_its_truth_is_the_world_s(self, world, drawn):
        ads = np.tile(np.arange(S.world.ads, dtype=np.int32), (50, 1))
        logit = world.truth.pairs(drawn.requests.user[:, None], ads, drawn.requests.time).astype(float)
        np.testing.assert_allclose(drawn.true_ctr, 1 / (1 + np.exp(-logit)), rtol=1e-4)
        np.testing.assert_allclose(drawn.value, drawn.true_ctr * world.demand.bid, rtol=1e-12)

    def test_purposes_and_days_are_different_draws(self, world, drawn):
        assert np.array_equal(drawn.requests.user, sample(world, 0, 50, "panel").requests.user)
        assert not np.array_equal(drawn.requests.user, sample(world, 0, 50, "evaluation").requests.user)
        assert not np.array_equal(drawn.requests.user, sample(world, 1, 50, "panel").requests.user)


class TestPanel:
    def test_the_oracle_recalls_everything_and_no_one_predicts_better(self, world, drawn):
        oracle = read_panel(OracleRetriever(world.truth.everything), drawn, 8, world)
        popular = read_panel(PopularityRetriever(world.catalog, 3), drawn, 8, world)
        assert oracle.recall == 1
        assert popular.recall < 1
        assert 0 < oracle.logloss < popular.logloss

    def test_no_probabilities_no_log_loss(self, world, drawn):
        chance = read_panel(RandomRetriever(world.catalog, 3), drawn, 8, world)
        assert 0 < chance.recall < 0.5
        assert np.isnan(chance.logloss)


class TestMoney:
    def test_by_hand(self, world, drawn):
        """The value of a slate ordered by the truth, summed slot by slot."""
        ads = np.tile(np.arange(8, dtype=np.int32), (50, 1))
        pctr = drawn.true_ctr[:, :8]
        value, revenue = expected_money(S, drawn, ads, pctr)
        seen = examine_p(S.auction.slots, S.feedback.examine_decay)
        money = -np.sort(-pctr * drawn.offers.bid[:8], axis=1)[:, : S.auction.slots]
        np.testing.assert_allclose(value, (money * seen).sum(axis=1), rtol=1e-5)
        assert (revenue <= value + 1e-12).all()
        assert (revenue > 0).all()

    def test_pads_earn_nothing(self, drawn):
        nothing = np.full((50, 8), PAD, dtype=np.int32)
        value, revenue = expected_money(S, drawn, nothing, np.zeros((50, 8), dtype=np.float32))
        assert (value == 0).all()
        assert (revenue == 0).all()
        assert (best_money(S, drawn, nothing) == 0).all()

    def test_all_ads_are_the_best_choice(self, drawn):
        ads = np.tile(np.arange(S.world.ads, dtype=np.int32), (50, 1))
        legal = np.where(drawn.offers.eligible, ads, PAD).astype(np.int32)
        np.testing.assert_allclose(best_money(S, drawn, legal), best_money(S, drawn, None))
        assert (best_money(S, drawn, legal[:, :5]) <= best_money(S, drawn, None) + 1e-12).all()

    def test_blocks_change_nothing(self, world, drawn):
        ads = np.tile(np.arange(S.world.ads, dtype=np.int32), (50, 1))
        ranker = truth_of(world)
        assert np.array_equal(
            ranked_in_blocks(ranker, drawn.requests, ads, rows=90), ranked_in_blocks(ranker, drawn.requests, ads)
        )


class TestFinal:
    @pytest.mark.parametrize("make", [PopularityRetriever, RandomRetriever])
    @pytest.mark.parametrize("knows", [True, False])
    def test_money_only_shrinks_along_the_funnel(self, world, make, knows):
        ranker = truth_of(world) if knows else PlainRanker(world.catalog, 3)
        found = evaluate(S, world, make(world.catalog, 3), ranker, untaught(world))
        funnel = found["funnel"]
        oracle, retrieved, ranked, sold = (funnel[stage] for stage in ("oracle", "retrieved", "ranked", "sold"))
        assert oracle > retrieved
        assert sold < ranked
        if knows:
            assert ranked == pytest.approx(retrieved)
        else:
            assert ranked < retrieved
        assert 0 < found["recall"] < 1
        assert found["recall"] < found["captured"] < 1
        K = S.cascade.candidates
        assert found["k_sweep"]["revenue"][found["k_sweep"]["k"].index(K)] == pytest.approx(sold)

    def test_the_oracle_loses_nothing(self, world):
        found = evaluate(S, world, OracleRetriever(world.truth.everything), truth_of(world), untaught(world))
        assert found["recall"] == found["captured"] == 1
        assert found["funnel"]["oracle"] == pytest.approx(found["funnel"]["retrieved"])
        assert found["funnel"]["retrieved"] == pytest.approx(found["funnel"]["ranked"])

    def test_a_retriever_that_is_the_evaluation_ranker_agrees_with_it(self, world):
        oracle = OracleRetriever(world.truth.everything)
        found = evaluate(S, world, oracle, PlainRanker(world.catalog, 3), orders(S, world, truth_of(world)))
        assert found["agreement"] == pytest.approx(1)
        assert found["tau"] == pytest.approx(1, abs=1e-3)

    def test_tau_is_of_each_ad_once_and_knows_its_sign(self, world):
        oracle, asked = OracleRetriever(world.truth.everything), orders(S, world, truth_of(world))
        for row, pctr in zip(asked.ads, asked.pctr, strict=True):
            assert np.unique(row).size == np.isfinite(pctr).sum() < row.size
        assert orders(S, world, truth_of(world, -1.0)).tau(oracle) == pytest.approx(-1, abs=1e-3)
        assert np.isnan(asked.tau(RandomRetriever(world.catalog, 3)))

    def test_the_references_are_in_order(self, world):
        rows = references(
            S,
            world,
            truth_of(world),
            {
                "oracle": OracleRetriever(world.truth.everything),
                "random": RandomRetriever(world.catalog, 3),
            },
        )
        assert rows["oracle"]["revenue_per_1000"] > rows["random"]["revenue_per_1000"] > 0
        assert rows["oracle"]["recall"] == 1


class TestIndex:
    def test_recall_of_an_index_is_the_mean_over_requests_that_have_ads(self, drawn):
        class Indexed:
            def recall_against_exact(self, requests, offers, k):
                assert (requests, offers, k) == (drawn.requests, drawn.offers, 8)
                return np.array([1.0, 0.5, np.nan], dtype=np.float32)

        assert index_recall(Indexed(), drawn, 8) == {"index_recall": 0.75}

    @pytest.mark.parametrize(("spelling", "served"), [("dssm", False), ("maxsim", False), ("dssm[search=ivf]", True)])
    def test_only_who_serves_from_an_index_has_one(self, world, drawn, spelling, served):
        found = index_recall(make_retriever(parse(spelling), world.catalog, 3, SMALL, {}), drawn, 8)
        assert list(found) == ["index_recall"] * served
        assert all(0.5 < share <= 1 for share in found.values())
        assert index_recall(RandomRetriever(world.catalog, 3), drawn, 8) == {}


class TestK:
    def test_the_grid_is_around_k_and_inside_the_catalogue(self):
        assert k_grid(30, 1000) == [8, 10, 15, 20, 25, 30, 40, 60]
        assert k_grid(30, 40)[-1] == 40
        assert k_grid(4, 40)[0] == 4

    @pytest.mark.parametrize(
        ("target", "k"), [(5.0, 10.0), (10.0, 10.0), (15.0, 15.0), (20.0, 20.0), (27.5, 35.0), (30.0, 40.0)]
    )
    def test_equal_revenue(self, target, k):
        assert equal_revenue_k([10, 20, 40], [10, 20, 30], target) == pytest.approx(k)

    def test_never_reached(self):
        assert np.isnan(equal_revenue_k([10, 20, 40], [10, 20, 30], 30.1))

    def test_a_dip_does_not_hide_the_first_crossing(self):
        assert equal_revenue_k([10, 20, 40], [10, 22, 21], 16) == pytest.approx(15)


def test_per_thousand():
    assert per_thousand(np.array([0.1, 0.3])) == pytest.approx(200)
