"""The activation unit against its formula, behaviour by behaviour; no softmax; pads weigh nothing."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from baselines.rankers.din import Din, din

L, E, K = 5, 8, 3


@pytest.fixture(scope="module")
def net(world) -> Din:
    model = din(world.catalog, 3, embedding=E // 2, hidden=(16, 8), unit=6).model
    assert isinstance(model, Din)
    return model


@pytest.fixture
def asked() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Candidates [2, K, E], behaviours [2, L, E], and which of them are no pads."""
    draws = torch.Generator().manual_seed(1)
    q, keys = torch.randn(2, K, E, generator=draws), torch.randn(2, L, E, generator=draws)
    return q, keys, torch.tensor([[False, False, True, True, True], [True] * 5])


def attended(net: Din, q: torch.Tensor, keys: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net.attend(net.of_candidates(q), q, net.of_behaviours(keys), keys, known)


def literally(net: Din, q: torch.Tensor, keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights [n] and weighted sum [E] of one candidate [E] over behaviours [n, E]."""
    w = torch.stack([net.weigh(net.activation(net.unit(torch.cat([q, k, q - k, q * k]))))[0] for k in keys])
    return w, (w[:, None] * keys).sum(dim=0)


def test_every_candidate_against_the_formula(net, asked):
    q, keys, known = asked
    found = attended(net, q, keys, known)
    for r in range(2):
        for k in range(K):
            with torch.no_grad():
                _, wanted = literally(net, q[r, k], keys[r, known[r]])
            assert_close(found[r, k], wanted)


def test_what_stands_at_a_pad_does_not_matter(net, asked):
    q, keys, known = asked
    other = torch.where(known[..., None], keys, torch.full_like(keys, 1e3))
    assert_close(attended(net, q, other, known), attended(net, q, keys, known), rtol=0, atol=0)


def test_an_empty_history_is_attended_as_nothing(net, asked):
    q, keys, known = asked
    assert not attended(net, q, keys, torch.zeros_like(known)).any()


def test_the_order_of_the_behaviours_does_not_matter(net, asked):
    q, keys, known = asked
    order = torch.tensor([3, 0, 4, 2, 1])
    assert_close(attended(net, q, keys[:, order], known[:, order]), attended(net, q, keys, known))


def test_weights_are_no_shares(net, asked):
    """Without softmax the same behaviour twice counts twice: intensity of interest is kept."""
    q, keys, _ = asked
    with torch.no_grad():
        w, _ = literally(net, q[0, 0], keys[0])
    assert abs(float(w.sum()) - 1.0) > 0.1
    once = attended(net, q, keys[:, :1], torch.ones(2, 1, dtype=torch.bool))
    twice = attended(net, q, keys[:, :1].expand(-1, 2, -1), torch.ones(2, 2, dtype=torch.bool))
    assert_close(twice, 2 * once)
