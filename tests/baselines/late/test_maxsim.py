"""The late-interaction retriever: one score from every way to candidates, facets that stay apart, CS3 on top."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from baselines.late.facet_mips import FacetMips
from baselines.late.maxsim import MaxSimConfig, facet_shares, likeness, maxsim
from baselines.late.scan import Query
from baselines.search.finder import recall_against_exact
from reports.studies.arms import make_retriever, parse
from simulator.marketplace import learn_from_log
from simulator.records import DAY, Offers
from simulator.testing import check_retriever
from tests.baselines.conftest import SMALL, extras_of

FACETS = {"user_facets": 3, "item_facets": 2, "facet": 8}
K = 12


def made(world, arm="maxsim", **params):
    return make_retriever(parse(arm), world.catalog, 3, SMALL | FACETS | params, {})


@pytest.fixture(scope="module")
def state(world, log, market_config):
    towers = made(world)
    learn_from_log(log, towers, market_config.cascade, 0)
    return towers.snapshot()


@pytest.fixture
def offers(world):
    A = world.catalog.ads.rows
    return Offers(eligible=np.arange(A) % 4 != 0, bid=np.exp(0.5 * np.random.default_rng(0).normal(size=A)))


@pytest.mark.parametrize(
    "way", [{"candidates": "scan"}, {"candidates": "facets"}, {"candidates": "muvera", "over": 5}], ids=str
)
def test_every_way_serves_what_the_exact_scan_finds(world, requests, offers, state, way):
    towers = made(world, **way)
    towers.restore(state)
    found, exact = towers.retrieve(requests, offers, K), towers.exact(requests, offers, K)
    assert_array_equal(found.ad, exact.ad)
    np.testing.assert_allclose(found.logit, exact.logit, atol=1e-5)
    assert len(np.unique(found.ad, axis=0)) > 1
    assert (recall_against_exact(towers, requests, offers, K) == 1).all()
    # In the order of money by its own score of the same ads.
    money = towers.score(requests, found.ad) + offers.log_bid()[found.ad]
    assert (np.diff(money, axis=1) <= 1e-5).all()


@pytest.fixture(scope="module")
def gated(world, log, market_config):
    towers = made(world, gates=True, lr=3e-3)
    learn_from_log(log, towers, market_config.cascade, 0)
    return towers.snapshot()


def test_gates_are_weights_that_sum_to_the_number_of_facets(world, requests, gated):
    towers = made(world, gates=True)
    torch.testing.assert_close(towers.encode_users(requests), made(world).encode_users(requests))  # all start at 1
    towers.restore(gated)
    lengths = towers.encode_users(requests).norm(dim=2)
    torch.testing.assert_close(lengths.sum(dim=1), torch.full((len(requests),), 3.0))
    assert float(lengths.std(dim=1).mean()) > 0.01, "they have learned"


@pytest.mark.parametrize("way", ["scan", "facets", "muvera"])
def test_gates_go_with_every_way(world, requests, offers, gated, way):
    towers = made(world, gates=True, candidates=way, over=5)
    towers.restore(gated)
    assert_array_equal(towers.retrieve(requests, offers, K).ad, towers.exact(requests, offers, K).ad)
    if way == "facets":
        u, log_bid = towers.encode_users(requests), torch.from_numpy(offers.log_bid())
        query = Query(u, torch.full(u.shape[:2], 1 / 3), float(towers.serving.gain()), log_bid)
        assert FacetMips(towers.items()).search(query, K).certain.all()


def test_few_encodings_lose_some(world, requests, offers, state):
    towers = made(world, candidates="muvera", fde=(1, 1, 2), over=1)
    towers.restore(state)
    recall = recall_against_exact(towers, requests, offers, K)
    assert 0.1 < recall.mean() < 0.95


def test_pads_where_too_few_may_compete(world, requests, state):
    for way in ("scan", "facets", "muvera"):
        towers = made(world, candidates=way)
        towers.restore(state)
        some = Offers(eligible=np.arange(world.catalog.ads.rows) < 4, bid=np.ones(world.catalog.ads.rows))
        found = towers.retrieve(requests, some, 6)
        assert_array_equal(np.sort(found.ad[:, :4], axis=1), np.tile(np.arange(4), (len(requests), 1)))
        assert (found.ad[:, 4:] == -1).all()
        assert_array_equal(np.isnan(found.logit), found.ad == -1)
        none = replace(some, eligible=np.zeros_like(some.eligible))
        assert (towers.retrieve(requests, none, 6).ad == -1).all()


def test_a_publication_makes_a_new_index(world, log, requests, offers, state):
    towers = made(world)
    towers.restore(state)
    before = towers.retrieve(requests, offers, K)
    towers.update(log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)])
    assert_array_equal(towers.retrieve(requests, offers, K).logit, before.logit)
    towers.sync(DAY + 7200)
    after = towers.retrieve(requests, offers, K)
    assert (after.logit != before.logit).any()
    np.testing.assert_allclose(after.logit, towers.score(requests, after.ad), atol=1e-5)


def test_likeness_by_hand():
    facets = torch.tensor([[[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]])
    assert float(likeness(facets)[0]) == pytest.approx(2 * (0.6**2 + 0.8**2 + 0.0))


def test_the_diversity_term_keeps_facets_apart(world, log, market_config, requests):
    apart = {}
    for weight in (0.0, 1.0):
        towers = made(world, diversity=weight)
        learn_from_log(log, towers, market_config.cascade, 0)
        apart[weight] = float(likeness(towers.items()).mean())
    assert apart[1.0] < 0.8 * apart[0.0]


def test_the_histogram_of_winners(world, requests, state):
    users, items = torch.eye(3)[None, :2], torch.eye(3)[[1, 0, 2]][None, None]
    assert facet_shares(users, items).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    towers = made(world)
    towers.restore(state)
    u, v = towers.encode_users(requests), towers.items()
    shares = facet_shares(u, v.expand(len(u), *v.shape))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
    assert (shares.sum(dim=0) > 0).all(), "no facet is dead"


def test_starts_equal_with_and_without_cs3(world, requests):
    ads = np.tile(np.arange(world.catalog.ads.rows, dtype=np.int32), (len(requests), 1))
    assert_array_equal(made(world, "maxsim+cs3").score(requests, ads), made(world).score(requests, ads))


def test_cs3_remembers_facets_of_the_other_side(world, log, market_config):
    towers = made(world, "maxsim+cts")
    learn_from_log(log, towers, market_config.cascade, 0)
    # c_u holds averages of ads' facets (2 x 8) flattened, c_v of users' (3 x 8).
    assert (extras_of(towers).user_width, extras_of(towers).item_width) == (16, 24)
    assert extras_of(towers).published_items().any()


@pytest.mark.parametrize("way", [{}, {"candidates": "facets"}, {"candidates": "muvera"}], ids=str)
def test_keeps_the_contract(way):
    checks = check_retriever(
        lambda catalog, seed: maxsim(catalog, seed, **(SMALL | FACETS | way)), name=f"maxsim {way}"
    )
    assert [check.detail for check in checks if not check.passed] == []


def test_refusals(world):
    with pytest.raises(ValueError, match="candidates == 'plaid', must be one of scan, facets, muvera"):
        made(world, candidates="plaid")
    with pytest.raises(ValueError, match="search == 'hnsw', must be left to `candidates`"):
        made(world, search="hnsw")
    with pytest.raises(ValueError, match="item_facets == 0, must be at least 1"):
        MaxSimConfig(item_facets=0)
