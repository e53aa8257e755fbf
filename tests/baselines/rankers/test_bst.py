"""The block against torch's own transformer layer over the whole sequence; the mask; the width of the heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from baselines.rankers.bst import Bst, bst

N, K, E = 3, 4, 4
D = 3 * E


@pytest.fixture(scope="module")
def net(world) -> Bst:
    model = bst(world.catalog, 3, embedding=E, hidden=(16, 8), heads=2).model
    assert isinstance(model, Bst)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for norm in (model.after_attention, model.after_ffn):
            nn.init.normal_(norm.weight)
        for bias in (model.project.bias, model.out.bias, model.positions):
            nn.init.normal_(bias)
    return model


@pytest.fixture(scope="module")
def whole(net) -> nn.TransformerEncoderLayer:
    """The same weights in torch's layer: post-norm, LeakyReLU, no dropout."""
    layer = nn.TransformerEncoderLayer(
        D, 2, dim_feedforward=D, dropout=0.0, activation=nn.functional.leaky_relu, batch_first=True
    )
    pairs = {
        "self_attn.in_proj_": net.project,
        "self_attn.out_proj.": net.out,
        "linear1.": net.inner,
        "linear2.": net.outer,
        "norm1.": net.after_attention,
        "norm2.": net.after_ffn,
    }
    layer.load_state_dict(
        {prefix + part: getattr(m, part) for prefix, m in pairs.items() for part in ("weight", "bias")}
    )
    return layer


@pytest.fixture
def sequences(net) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Candidates' items [N, K, 2 e], histories' items [N, L, 2 e], and which of them are no pads: none, some, all."""
    draws = torch.Generator().manual_seed(1)
    known = torch.arange(net.length) >= torch.tensor([net.length, net.length - 3, 0])[:, None]
    items = torch.randn(N, net.length, 2 * E, generator=draws)
    return torch.randn(N, K, 2 * E, generator=draws), items, known


@torch.no_grad()
def through(net: Bst, candidates: torch.Tensor, items: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    at = net.candidate(candidates.flatten(0, 1))
    attended = net.attend(type(at)(*(x.view(N, K, -1) for x in at)), *net.past(items), known)
    return net.block(at.token, attended.flatten(0, 1)).view(N, K, -1)


def test_the_candidates_place_of_torchs_layer(net, whole, sequences):
    candidates, items, known = sequences
    found = through(net, candidates, items, known)
    masked = torch.cat([~known, torch.zeros(N, 1, dtype=torch.bool)], dim=1)
    for k in range(K):
        sequence = torch.cat([items, candidates[:, k : k + 1]], dim=1)
        tokens = torch.cat([sequence, net.positions.expand(N, -1, -1)], dim=2)
        with torch.no_grad():
            wanted = whole(tokens, src_key_padding_mask=masked)[:, -1]
        assert_close(found[:, k], wanted, rtol=1e-4, atol=1e-5)


def test_what_stands_at_a_pad_does_not_matter(net, sequences):
    candidates, items, known = sequences
    other = torch.where(known[..., None], items, torch.full_like(items, 30.0))
    assert_close(through(net, candidates, other, known), through(net, candidates, items, known), rtol=0, atol=0)


def test_without_a_history_the_candidate_attends_to_itself(net, sequences):
    candidates, items, known = sequences
    at = net.candidate(candidates.flatten(0, 1))
    wanted = net.block(at.token, at.v).view(N, K, -1)[0]
    found = through(net, candidates, items, known)[0]
    assert torch.isfinite(found).all()
    assert_close(found, wanted.detach())


def test_the_order_of_the_behaviours_matters(net, sequences):
    candidates, items, known = sequences
    found = through(net, candidates, items, known)
    turned = through(net, candidates, items.flip(1), known)
    assert (found[2] - turned[2]).abs().max() > 1e-3


@pytest.mark.parametrize("heads", [0, 5])
def test_heads_must_share_the_token(world, heads):
    with pytest.raises(ValueError, match=rf"^heads == {heads}, must divide the token's width, 3 x embedding == 12$"):
        bst(world.catalog, 3, embedding=4, heads=heads)
