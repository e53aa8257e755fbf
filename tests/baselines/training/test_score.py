"""Scores of vectors and of facets: by the formula, in blocks, and what is handed over in their place."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from baselines.training.score import Cosine, MaxSim, handed_width


def facets(n, h, p, seed):
    draws = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(n, h, p, generator=draws), dim=2)


def by_loop(u, v):
    """1/H_u sum_i max_j <u_i, v_j> of one user and one ad, facet by facet."""
    return sum(max(float(a @ b) for b in v) for a in u) / len(u)


def test_maxsim_is_the_mean_of_the_best_matches():
    u, v, score = facets(5, 3, 4, 0), facets(7, 2, 4, 1), MaxSim(3, 2, 4)
    expected = torch.tensor([[by_loop(a, b) for b in v] for a in u])
    torch.testing.assert_close(score.of_all(u, v), expected)
    torch.testing.assert_close(score.of_rows(u, v[:5]), expected.diagonal())
    places = torch.tensor([[0, 6, 6], [1, 0, 2], [3, 3, 3], [5, 4, 0], [2, 2, 1]])
    torch.testing.assert_close(score.of_some(u, v[places]), expected.gather(1, places))


def test_the_cosine_is_the_inner_product():
    u, v, score = facets(4, 1, 6, 0)[:, 0], facets(5, 1, 6, 1)[:, 0], Cosine(6)
    expected = torch.tensor([[float(a @ b) for b in v] for a in u])
    torch.testing.assert_close(score.of_all(u, v), expected)
    torch.testing.assert_close(score.of_rows(u, v[:4]), expected.diagonal())
    torch.testing.assert_close(score.of_some(u, v.expand(4, 5, 6)), expected)


@pytest.mark.parametrize("cells", [1, 30, 90, 10**6])
def test_a_scan_is_the_same_in_any_blocks_and_no_block_is_larger(cells, monkeypatch):
    u, v, score = facets(5, 3, 4, 0), facets(17, 2, 4, 1), MaxSim(3, 2, 4, cells=cells)
    seen, block = [], MaxSim._block

    def watched(self, u, v):
        seen.append(len(v))
        return block(self, u, v)

    monkeypatch.setattr(MaxSim, "_block", watched)
    torch.testing.assert_close(
        score.of_all(u, v),
        MaxSim(3, 2, 4).of_rows(u[:, None].expand(5, 17, 3, 4).flatten(0, 1), v.repeat(5, 1, 1)).view(5, 17),
    )
    assert sum(seen) == 17
    assert all(n == 1 or n * 5 * 3 <= cells for n in seen)


def test_the_best_match_alone_gets_the_gradient():
    u, v = facets(1, 1, 3, 0).requires_grad_(), torch.eye(3)[None].requires_grad_()
    for scored in (MaxSim(1, 3, 3).of_rows, MaxSim(1, 3, 3).of_all):
        v.grad = None
        scored(u, v).sum().backward()
        best = int(u[0, 0].argmax())
        assert v.grad[0].any(dim=1).tolist() == [j == best for j in range(3)]


def test_facets_are_handed_over_flat_while_they_are_few():
    few, many = MaxSim(6, 4, 16, handed=2), MaxSim(9, 9, 16)
    assert (few.user_width, few.item_width, many.user_width) == (32, 64, 16)
    u, v = facets(3, 6, 16, 0), facets(3, 9, 16, 1)
    assert torch.equal(few.user_vector(u), u[:, 4:].flatten(1))
    assert torch.equal(many.item_vector(v), v.mean(dim=1))
    assert [handed_width(h, p) for h, p in ((8, 16), (4, 32), (9, 16), (5, 32))] == [128, 128, 16, 32]
