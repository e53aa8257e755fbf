"""Single-vector retrievers served by FAISS: legal, fresh, nearly exact; and nothing changes for the exact ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from baselines.search import money_index
from baselines.search.finder import ScanFinder, VectorFinder, recall_against_exact
from baselines.towers.dssm import dssm
from reports.studies.arms import make_retriever, parse
from simulator.marketplace import learn_from_log
from simulator.records import DAY, Candidates, Offers, take
from simulator.testing import check_retriever
from tests.baselines.conftest import SMALL

K = 5


def offers_of(world, seed=0):
    A, draws = world.catalog.ads.rows, np.random.default_rng(seed)
    return Offers(eligible=draws.random(A) < 0.8, bid=np.exp(0.5 * draws.normal(size=A)))


@pytest.fixture(scope="module", params=["hnsw", "ivf"])
def towers(request, world, log, market_config):
    made = make_retriever(parse("dssm+cs3"), world.catalog, 3, SMALL | {"search": request.param}, {})
    learn_from_log(log, made, market_config.cascade, 0)
    return made


def test_what_is_served_is_legal_ranked_and_nearly_exact(monkeypatch, world, requests, towers):
    monkeypatch.setattr(money_index, "FEW", 0)  # the world is so small that all its ads would be listed
    offers = offers_of(world)
    found = towers.retrieve(requests, offers, K)
    assert found.ad.shape == (len(requests), K)
    assert offers.eligible[found.ad].all()
    money = towers.score(requests, found.ad) + offers.log_bid()[found.ad]
    assert (np.diff(money, axis=1) <= 1e-5).all()
    np.testing.assert_allclose(found.logit, towers.score(requests, found.ad), atol=1e-5)
    assert recall_against_exact(towers, requests, offers, K).mean() > 0.9
    finder = towers.published.finder
    assert finder.index.builds == 1


def test_a_publication_makes_a_new_index(world, log, requests, towers):
    offers = offers_of(world)
    state = towers.snapshot()
    before = towers.retrieve(requests, offers, K)
    towers.update(log[(log.ready_at > DAY) & (log.ready_at <= DAY + 7200)])
    assert_array_equal(towers.retrieve(requests, offers, K).logit, before.logit)
    towers.sync(DAY + 7200)
    after = towers.retrieve(requests, offers, K)
    assert (after.logit != before.logit).any()
    np.testing.assert_allclose(after.logit, towers.score(requests, after.ad), atol=1e-5)
    towers.restore(state)
    assert_array_equal(towers.retrieve(requests, offers, K).logit, before.logit)


def test_a_short_list_is_made_up_for_exactly(monkeypatch):
    draws = torch.Generator().manual_seed(0)
    u, v = (torch.nn.functional.normalize(torch.randn(n, 6, generator=draws), dim=1) for n in (4, 50))
    log_bid = torch.randn(50, generator=draws)
    finder = VectorFinder("hnsw", v, 5.0)
    short = np.full((4, 3), -1, dtype=np.int64)
    short[0] = [3, 4, 5]
    monkeypatch.setattr(finder.index, "listed", lambda *_: short)
    ad, score = finder.find(u, log_bid, 3)
    money = 5.0 * u @ v.T + log_bid
    assert sorted(ad[0].tolist()) == [3, 4, 5]
    assert_array_equal(ad[1:], money.argsort(dim=1, descending=True)[1:, :3])
    torch.testing.assert_close(score, (u @ v.T).gather(1, ad))


@pytest.mark.parametrize("search", ["hnsw", "ivf"])
def test_keeps_the_contract(search):
    checks = check_retriever(
        lambda catalog, seed: dssm(catalog, seed, **(SMALL | {"search": search})), name=f"dssm {search}"
    )
    assert [check.detail for check in checks if not check.passed] == []


def test_recall_counts_each_request_by_its_own_ads(requests):
    class Fixed:
        def retrieve(self, requests, offers, k):
            ad = np.array([[0, 1, 2], [5, 0, -1], [-1, -1, -1]], dtype=np.int32)
            return Candidates(ad=ad, logit=ad.astype(np.float32), explored=ad > 9)

        def exact(self, requests, offers, k):
            ad = np.array([[0, 5, 1], [0, 2, -1], [-1, -1, -1]], dtype=np.int32)
            return Candidates(ad=ad, logit=ad.astype(np.float32), explored=ad > 9)

    offers = Offers(eligible=np.ones(6, dtype=bool), bid=np.ones(6))
    recall = recall_against_exact(Fixed(), take(requests, slice(0, 3)), offers, 3)
    np.testing.assert_allclose(recall, [2 / 3, 1 / 2, np.nan])


def test_an_unknown_search_is_refused(world):
    with pytest.raises(ValueError, match="search == 'annoy', must be one of exact, hnsw, ivf"):
        dssm(world.catalog, 3, search="annoy")


def brute_force(users, items, log_bid, gain, k):
    """Money of all ads in double precision [R, A], and the best ``k`` of each request, ties by the lower ad."""
    money = gain * (users.double() @ items.double().T) + log_bid.double()
    return money, money.sort(dim=1, descending=True, stable=True).indices[:, :k]


@given(
    seed=st.integers(0, 2**31 - 1),
    requests=st.integers(1, 40),
    ads=st.integers(1, 6000),
    k=st.integers(1, 80),
    closed=st.sampled_from([0.0, 0.5, 0.99, 1.0]),
    copies=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_the_scan_finds_what_brute_force_finds_up_to_rounding(seed, requests, ads, k, closed, copies):
    """Where the two differ, the ads that one has and the other has not are worth the same to six digits."""
    draws, gain = torch.Generator().manual_seed(seed), 10.0
    items = torch.nn.functional.normalize(torch.randn(ads, 64, generator=draws), dim=1)
    if copies:  # ads that are equal to the last bit
        items = items[torch.randint(max(ads // 8, 1), (ads,), generator=draws)]
    users = torch.nn.functional.normalize(torch.randn(requests, 64, generator=draws), dim=1)
    log_bid = torch.randn(ads, generator=draws) * (0.0 if copies else 1.0)
    log_bid[torch.rand(ads, generator=draws) < closed] = -torch.inf
    found, score = ScanFinder(items, gain).find(users, log_bid, k)
    money, best = brute_force(users, items, log_bid, gain, k)
    there, legal = found >= 0, money.gather(1, best).isfinite()
    assert torch.equal(there, legal)
    mine = money.gather(1, found.clamp(min=0)).masked_fill(~there, -torch.inf)
    torch.testing.assert_close(mine, money.gather(1, best), rtol=0, atol=1e-5)
    torch.testing.assert_close(gain * score[there] + log_bid[found[there]], mine[there].float(), rtol=0, atol=1e-5)
    assert all(len(set(row[row >= 0].tolist())) == int((row >= 0).sum()) for row in found)
    distinct = (money.gather(1, best).diff(dim=1).abs() > 1e-5).all(dim=1) & legal.all(dim=1)
    if k < ads:
        after = money.scatter(1, best, -torch.inf).amax(dim=1)
        distinct &= money.gather(1, best)[:, -1] - after > 1e-5
    assert torch.equal(found[distinct], best[distinct])
