"""The ``bst`` ranker: Behavior Sequence Transformer, Chen et al., DLP-KDD 2019 (arXiv 1905.06874).

The candidate is appended to the history and one transformer block runs over the sequence:

    x = [ad emb; category emb; position emb]        S = LN(x + Drop(MHA(x, x, x)))        F = LN(S + Drop(FFN(S)))
    FFN = Linear-LeakyReLU-Linear, inner width D

Departures: F is read at the candidate's place, not over the whole sequence. With one block that place's F needs its own
query only, so the history's keys and values are made once per request and the candidate's query, key and value once
per sync. The rest of the history reaches the MLP as its mean, which ``dnn`` has. Positions are learned places counted
from the candidate, since the history has an order and no times. 4 heads instead of 8; the MLP (ReLU), dropout and h_uv
are those of ``dnn``. Pads are masked as keys, the candidate never is: an empty history is no NaN.

Letters as in ``network``, and L history length, D = 3 e width of a token, N requests or rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from baselines.rankers.din import history
from baselines.rankers.dnn import Dnn
from baselines.rankers.network import Asked, Cost, RankerConfig, Rows, Shares, linear_flops
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Fields, SideInput, looked_up
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class BstConfig(RankerConfig):
    """Hyper-parameters of ``bst``.

    Attributes:
        heads: of the attention; they share the token's width 3 e.
    """

    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or 3 * self.embedding % self.heads:
            width = 3 * self.embedding
            raise ValueError(f"heads == {self.heads}, must divide the token's width, 3 x embedding == {width}")


class Candidate(NamedTuple):
    """The candidate's place of the sequence, D wide each: its token and its projections."""

    token: Tensor
    q: Tensor
    k: Tensor
    v: Tensor


class Bst(Dnn):
    """``dnn``'s network with the block's output at the candidate [B, D] among the pair's inputs."""

    pairs_at_once = 1024

    def __init__(self, catalog: Catalog, fields: Fields, config: BstConfig, user_dense: int, ad_dense: int) -> None:
        width = 3 * config.embedding
        super().__init__(catalog, fields, config, user_dense, ad_dense, attended=width)
        self.heads = config.heads
        self.length = catalog.history.items.shape[2]
        self.item_fields = fields.item_fields
        self.positions = nn.Parameter(torch.randn(self.length + 1, config.embedding) * 0.05)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.after_attention = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.after_ffn = nn.LayerNorm(width)

    @property
    def dropped(self) -> tuple[int, ...]:
        """The MLP's, then the two of the block."""
        width = self.out.in_features
        return (*super().dropped, width, width)

    def candidate(self, items: Tensor) -> Candidate:
        """The last place of the sequence, of ads by their embeddings [n, 2 e]."""
        token = torch.cat([items, self.positions[-1].expand(items.shape[0], -1)], dim=1)
        return Candidate(token, *self.project(token).chunk(3, dim=1))

    def past(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [N, L, D] of the history by its items' embeddings [N, L, 2 e]."""
        tokens = torch.cat([items, self.positions[:-1].expand(items.shape[0], -1, -1)], dim=2)
        width = tokens.shape[2]
        projected = nn.functional.linear(tokens, self.project.weight[width:], self.project.bias[width:])
        keys, values = projected.chunk(2, dim=2)
        return keys, values

    def attend(self, at: Candidate, keys: Tensor, values: Tensor, known: Tensor) -> Tensor:
        """Attention of the candidates over the history and themselves, before the output projection.

        Args:
            at: of K candidates of each of N sequences, [N, K, D] each.
            keys: [N, L, D].
            values: [N, L, D].
            known: bool [N, L], what is no pad.

        Returns:
            [N, K, D].
        """
        (N, K, D), heads = at.q.shape, self.heads
        q, own_k, own_v = (x.view(N, K, heads, -1).transpose(1, 2) for x in (at.q, at.k, at.v))
        past_k, past_v = (x.view(N, -1, heads, D // heads).transpose(1, 2) for x in (keys, values))
        q = q * (D // heads) ** -0.5
        past = (q @ past_k.mT).masked_fill(~known[:, None, None, :], -torch.inf)
        own = (q * own_k).sum(dim=3, keepdim=True)
        w = torch.cat([past, own], dim=3).softmax(dim=3)
        mixed = w[..., :-1] @ past_v + w[..., -1:] * own_v
        return mixed.transpose(1, 2).reshape(N, K, D)

    def block(self, token: Tensor, attended: Tensor, keep: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """F [n, D] of candidates from their tokens and what they attended to, [n, D] each."""
        mixed = self.out(attended)
        s = self.after_attention(token + (mixed if keep is None else mixed * keep[0]))
        mixed = self.outer(nn.functional.leaky_relu(self.inner(s)))
        f: Tensor = self.after_ffn(s + (mixed if keep is None else mixed * keep[1]))
        return f

    def pair_of_rows(self, rows: Rows) -> Tensor:
        """``dnn``'s pair and the block's output."""
        at = self.candidate(looked_up(rows.table, rows.ad.codes[:, self.item_fields]).flatten(1))
        items, known = history(rows.table, rows.user)
        keys, values = (x.index_select(0, rows.request) for x in self.past(items))
        alone = Candidate(*(x[:, None, :] for x in at))
        attended = self.attend(alone, keys, values, known.index_select(0, rows.request))[:, 0]
        keep = (rows.keep[-2], rows.keep[-1]) if rows.keep else None
        return torch.cat([super().pair_of_rows(rows), self.block(at.token, attended, keep)], dim=1)

    def pair_of_asked(self, asked: Asked, shares: Shares) -> Tensor:
        """``dnn``'s pair and the block's output."""
        at = Candidate(*(share[asked.ads] for share in shares[1:5]))
        items, known = history(self.embedding.table, asked.user)
        attended = self.attend(at, *self.past(items), known)
        of_block = self.block(at.token.flatten(0, 1), attended.flatten(0, 1))
        return torch.cat([super().pair_of_asked(asked, shares), of_block], dim=1)

    def publish(self, ad: SideInput) -> Shares:
        """The ads' share of layer one, their tokens, queries, keys and values [A, D], their rows of the table."""
        of_ad, codes = super().publish(ad)
        at = self.candidate(looked_up(self.embedding.table, ad.codes[:, self.item_fields]).flatten(1))
        return of_ad, *at, codes

    def cost(self) -> Cost:
        """``dnn``'s, the history's keys and values, and per candidate the attention over L places and the block."""
        base, width = super().cost(), self.out.in_features
        block = sum(linear_flops(x) for x in (self.out, self.inner, self.outer))
        return Cost(
            base.request_flops + self.length * 4 * width**2,
            base.candidate_flops + self.length * 4 * width + block,
        )


@takes(BstConfig)
def bst(catalog: Catalog, seed: int, **params: Any) -> OnlineRanker:
    """Entry point ``bst``. ``params`` are BstConfig's."""
    return OnlineRanker(catalog, seed, replace(BstConfig(), **params), Bst)
