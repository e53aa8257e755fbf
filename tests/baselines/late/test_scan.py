"""MaxSim and its exact scan: the formula, pads, blocks, ties; the same from every door."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.late import scan as late_scan
from baselines.late.scan import ExactScan, FacetMajor, Query, max_sim, rescored, scan
from baselines.search.top import top_by_id
from baselines.training.score import MaxSim


def facets(*shape, seed=0):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


def by_loops(users, items, weights, real):
    """The definition."""
    out = torch.full((len(users), len(items)), -torch.inf)
    for r, (Q, w) in enumerate(zip(users, weights, strict=True)):
        for n, (P, there) in enumerate(zip(items, real, strict=True)):
            if there.any():
                out[r, n] = sum(float(w[i]) * max(float(q @ p) for p in P[there]) for i, q in enumerate(Q))
    return out


@pytest.fixture
def padded():
    """3 users of 5 facets, 11 items of up to 4; a user with padded facets, an item with one facet, one with none."""
    users, items = facets(3, 5, 8), facets(11, 4, 8, seed=1)
    weights = torch.rand(3, 5, generator=torch.Generator().manual_seed(2))
    weights[1, 2:] = 0.0
    real = torch.rand(11, 4, generator=torch.Generator().manual_seed(3)) < 0.7
    real[4], real[7] = torch.tensor([False, False, True, False]), False
    return users, items, weights, real


@pytest.mark.parametrize("narrow", [0, 100])
@pytest.mark.parametrize(("block", "together"), [(2, 1), (5, 2), (11, 3), (2048, 16)])
def test_the_scan_is_the_definition_pads_and_all(padded, monkeypatch, block, together, narrow):
    for name, value in (("BLOCK", block), ("USERS", together), ("NARROW", narrow), ("SCORES", 3 * block)):
        monkeypatch.setattr(late_scan, name, value)
    users, items, weights, real = padded
    wanted = by_loops(users, items, weights, real)
    found = scan(users, FacetMajor.of(items, real), weights)
    torch.testing.assert_close(found, wanted)
    pairs = max_sim(users[:, None], items, weights[:, None], real)
    torch.testing.assert_close(pairs, wanted)
    assert (found[:, 7] == -torch.inf).all()
    assert found[:, [4]].isfinite().all()


def test_what_stands_in_a_pad_changes_nothing(padded):
    users, items, weights, real = padded
    loud = torch.where(real[..., None], items, torch.tensor(1e6))
    louder = users.clone()
    louder[1, 2:] = 1e3
    assert torch.equal(
        scan(louder, FacetMajor.of(loud, real), weights), scan(users, FacetMajor.of(items, real), weights)
    )


def test_the_sum_is_over_the_users_facets():
    users, items = facets(2, 3, 4), facets(2, 6, 4, seed=1)
    there, back = max_sim(users, items), max_sim(items, users)
    assert (there - back).abs().min() > 0.1


def test_tables_scans_and_pairs_agree():
    users, items = facets(9, 8, 32), facets(5000, 4, 32, seed=1)
    whole = torch.einsum("rip,njp->rinj", users, items).amax(dim=3).sum(dim=1)
    torch.testing.assert_close(scan(users, FacetMajor.of(items)), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(MaxSim(8, 4, 32).of_all(users, items), whole / 8, rtol=0, atol=1e-5)


def test_an_exact_search_ranks_by_logit_plus_log_bid_ties_by_id(padded):
    users, _, weights, _ = padded
    items = facets(40, 4, 8, seed=5)
    items[20:] = items[:20]  # each item twice
    log_bid = torch.randn(20, generator=torch.Generator().manual_seed(6)).repeat(2)
    log_bid[3] = log_bid[30] = -torch.inf
    found = ExactScan(items).search(Query(users, weights, 4.0, log_bid), 12)
    score = 4.0 * max_sim(users[:, None], items, weights[:, None]).double() + log_bid
    wanted = np.argsort(-(score.numpy().round(5)), axis=1, kind="stable")[:, :12]
    np.testing.assert_array_equal(found.item, wanted)
    assert found.certain.all()


def test_with_too_few_items_the_rest_are_pads(padded):
    users, items, weights, real = padded
    log_bid = torch.full((11,), -torch.inf)
    log_bid[[2, 7, 9]] = 0.5  # item 7 has no facet
    found = ExactScan(items, real).search(Query(users, weights, 1.0, log_bid), 6)
    assert [sorted(row) for row in found.item.tolist()] == [[-1, -1, -1, -1, 2, 9]] * 3
    assert (found.item[:, 2:] == -1).all()


@pytest.mark.parametrize("pairs", [1, 30, 1 << 13])
def test_listed_items_are_scored_by_all_their_facets(padded, monkeypatch, pairs):
    monkeypatch.setattr(late_scan, "PAIRS", pairs)
    users, items, weights, real = padded
    query = Query(users, weights, 2.0, torch.zeros(11))
    listed = torch.tensor([[0, 1, 2, 5], [3, 4, -1, -1], [-1, 6, 7, 10]])
    money, item, similarity = rescored(query, items, real, listed, 3)
    wanted = by_loops(users, items, weights, real)
    for r, row in enumerate(listed.tolist()):
        ids = sorted((n for n in row if n >= 0 and n != 7), key=lambda n, r=r: -float(wanted[r, n]))[:3]
        assert [n for n in item[r].tolist() if n >= 0] == ids
        torch.testing.assert_close(similarity[r, : len(ids)], wanted[r, ids])
        torch.testing.assert_close(money[r, : len(ids)], 2.0 * wanted[r, ids])


def test_no_users_find_nothing():
    found = ExactScan(facets(5, 2, 4)).search(Query(facets(0, 3, 4), torch.ones(0, 3), 1.0, torch.zeros(5)), 2)
    assert found.item.shape == (0, 2)


def test_equal_scores_come_in_the_order_of_their_ids():
    score = torch.tensor([[1.0, 3.0, 2.0, 3.0, 2.0, 2.0, -torch.inf], [0.0] * 7])
    best, ids = top_by_id(score, 4)
    assert ids.tolist() == [[1, 3, 2, 4], [0, 1, 2, 3]]
    assert best.tolist() == [[3.0, 3.0, 2.0, 2.0], [0.0] * 4]
    many = torch.randint(4, (50, 300), generator=torch.Generator().manual_seed(1)).float()
    wanted = np.argsort(-many.numpy(), axis=1, kind="stable")[:, :37]
    np.testing.assert_array_equal(top_by_id(many, 37)[1], wanted)
