"""Facet lists with a certificate: what is certain is what the exact scan finds (docs/testing.md 9)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.late import facet_mips
from baselines.late.facet_mips import FacetMips, union
from baselines.late.scan import ExactScan, Query


def small_integers(draws, *shape):
    """Vectors whose products and sums are exact in float32, with many ties."""
    return torch.from_numpy(draws.integers(-2, 3, size=shape).astype(np.float32))


@st.composite
def questions(draw):
    draws = np.random.default_rng(draw(st.integers(0, 2**32)))
    R, H, N, J, p = (draw(st.integers(1, top)) for top in (4, 3, 60, 3, 4))
    users, items = small_integers(draws, R, H, p), small_integers(draws, N, J, p)
    weights = torch.from_numpy(draws.integers(0, 3, size=(R, H)).astype(np.float32))
    real = torch.from_numpy(draws.random((N, J)) < draw(st.sampled_from([0.6, 1.0])))
    bid = draws.integers(-4, 5, size=N).astype(np.float32)
    bid[draws.random(N) > draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))] = -np.inf
    query = Query(users, weights, float(draw(st.integers(1, 3))), torch.from_numpy(bid))
    return query, items, None if bool(real.all()) else real, draw(st.integers(1, 12))


@settings(max_examples=80, deadline=None)
@given(questions(), st.sampled_from([1, 4, 32]), st.sampled_from([1, 4]))
def test_with_a_certificate_it_is_the_exact_scan(asked, least, give_up):
    query, items, real, k = asked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facet_mips, "LEAST_DEPTH", least)
        patch.setattr(facet_mips, "GIVE_UP", give_up)
        found, truth = FacetMips(items, real).search(query, k), ExactScan(items, real).search(query, k)
    assert found.certain.all()
    n = truth.item.shape[1]
    np.testing.assert_array_equal(found.item, truth.item)
    real_ones = truth.item >= 0
    assert torch.equal(found.similarity[:, :n][real_ones], truth.similarity[real_ones])
    assert (found.scored <= len(items)).all()


@pytest.fixture(scope="module")
def market():
    """1,500 items in clusters of directions, 12 users."""
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(20, 8, generator=draws)

    def facets(n, h):
        drawn = centres[torch.randint(20, (n, h), generator=draws)] + 0.3 * torch.randn(n, h, 8, generator=draws)
        return torch.nn.functional.normalize(drawn, dim=2)

    users, items = facets(12, 4), facets(1500, 3)
    log_bid = 0.2 * torch.randn(1500, generator=draws)
    log_bid[torch.rand(1500, generator=draws) < 0.2] = -torch.inf
    return Query(users, torch.ones(12, 4), 2.5, log_bid), items


def test_where_lists_agree_a_certificate_costs_less_than_all_items():
    """Users whose facets want the same: the best of one list are in the others."""
    draws = torch.Generator().manual_seed(0)
    centres = torch.randn(12, 1, 8, generator=draws)
    users, items = (
        torch.nn.functional.normalize(
            centres[torch.arange(n) % 12] + 0.2 * torch.randn(n, h, 8, generator=draws), dim=2
        )
        for n, h in ((12, 4), (1500, 3))
    )
    query = Query(users, torch.ones(12, 4), 2.5, 0.2 * torch.randn(1500, generator=draws))
    found, truth = FacetMips(items).search(query, 10), ExactScan(items).search(query, 10)
    assert found.certain.all()
    assert torch.equal(found.item, truth.item)
    assert float(found.scored.float().mean()) < 0.25 * 1500


def test_where_lists_disagree_all_items_are_scanned(market):
    query, items = market
    found, truth = FacetMips(items, over=2).search(query, 10), ExactScan(items).search(query, 10)
    assert found.certain.all()
    assert torch.equal(found.item, truth.item)
    assert (found.scored == 1500).any()


@pytest.mark.parametrize("sharp", [0.0, 1.0, 8.0, 200.0])
def test_gates_keep_the_certificate_exact(market, sharp):
    """Weights of a softmax, from all alike to one facet alone (the others 0, some of them below float32's least)."""
    query, items = market
    gates = torch.softmax(sharp * torch.randn(12, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    query = query._replace(weights=4 * gates)
    index = FacetMips(items, over=2)
    found, truth = index.search(query, 10), ExactScan(items).search(query, 10)
    assert found.certain.all()
    assert torch.equal(found.item, truth.item)
    # Facets as long as their weights are the same question.
    scaled = query._replace(users=query.users * query.weights[..., None], weights=torch.ones(12, 4))
    assert torch.equal(index.search(scaled, 10).item, truth.item)


def test_a_negative_weight_is_refused(market):
    query, items = market
    with pytest.raises(ValueError, match=r"weights == -0.5, must not be negative"):
        FacetMips(items).search(query._replace(weights=torch.full((12, 4), -0.5)), 10)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_over_an_approximate_index_nothing_is_certain(market, kind):
    query, items = market
    found, truth = FacetMips(items, kind=kind, over=8).search(query, 10), ExactScan(items).search(query, 10)
    assert not found.certain.any()
    same = np.mean([np.isin(t, f).mean() for t, f in zip(truth.item, found.item, strict=True)])
    assert same > 0.8


def test_one_index_is_asked_for_longer_lists_or_more_cells(market):
    query, items = market
    truth = ExactScan(items).search(query, 10).item
    index = FacetMips(items, kind="ivf", over=4, probed=64)
    recall, scored = [], []
    for over, probed in ((None, None), (None, 1), (16, 1)):
        found = index.reaching(over, probed).search(query, 10)
        recall.append(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found.item, strict=True)]))
        scored.append(int(found.scored.sum()))
    assert recall == sorted(recall)
    assert scored == sorted(scored)
    assert len(set(scored)) == 3
    assert index.held() > items.nbytes + 4 * items.nelement()


def test_bids_that_change_are_sorted_again(market):
    query, items = market
    index = FacetMips(items)
    for shift in (0, 7):
        asked = query._replace(log_bid=query.log_bid.roll(shift))
        assert torch.equal(index.search(asked, 10).item, ExactScan(items).search(asked, 10).item)


def test_a_rich_ad_that_no_facet_likes_is_found():
    """Money is a list of its own: the bound of the other lists alone would let this one pass."""
    users = torch.tensor([[[1.0, 0.0]]])
    items = torch.tensor([[[1.0, 0.0]]]).repeat(400, 1, 1)
    items[399] = torch.tensor([[-1.0, 0.0]])
    log_bid = torch.zeros(400)
    log_bid[399] = 10.0
    found = FacetMips(items).search(Query(users, torch.ones(1, 1), 1.0, log_bid), 3)
    assert found.item.tolist() == [[399, 0, 1]]
    assert found.certain.all()


def test_a_union_names_each_item_once_and_the_richest_that_is_left():
    by_bid = np.array([7, 2, 5, 9])  # of 10 items
    place = np.full(10, -1)
    place[by_bid] = np.arange(4)
    lists = np.array([[5, 5, -1], [2, 9, 5], [-1, -1, -1]])
    listed, unlisted = union(lists, by_bid, place, depth=1)
    assert [sorted(set(row) - {-1}) for row in listed.tolist()] == [[5, 7], [2, 5, 7, 9], [7]]
    assert unlisted.tolist() == [1, 4, 1]
