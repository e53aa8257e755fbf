"""``seqtower``: a transformer over the behaviour history as user tower. No paper's model: a plain one of its kind.

The sequence is [USER], a memory and the history, oldest first; attention (Vaswani et al., 2017, arXiv 1706.03762)
without order but for a learned vector of each place, counted from the latest item:

    [USER]   = Linear([profile; context; dense])      memory = place + Linear([c_u; s_u])
    item     = Linear([item; category]) + place
    x <- x + MHA(LN(x))      x <- x + FFN(LN(x))      u = n(Linear(LN([USER])))

The item tower is ``dssm``'s, and so are the losses and the optimiser.

- A behaviour may enter if it happened before ``t - W``, W the label wait. The history knows days, not seconds: a day's
  holds what happened before the day began, and its maker keeps the wait (``simulator.records.History``).
- The memory holds the extra vectors of whoever fills the slot. It is there in the plain arm too, as its place alone:
  a token that only one of two arms had would take attention from the others, and the arms would not start equal.
- Pads are masked as keys; [USER] and the memory never are, so that an empty history is no NaN.
- Of the last block [USER] alone is wanted: it has one query.
- Mechanisms that replace linear layers get those of the FFN, never one of the attention or one that makes tokens.

Letters: B rows, L history length, T = L + 2 tokens, D width of a token, e embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.towers.dssm import DssmTower
from baselines.training.assembly import assembled, hands_over, side_widths, single_vector
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.dropout import dropped
from baselines.training.extras import Extras
from baselines.training.features import FieldEmbedding, Fields, SideInput, looked_up, widened
from baselines.training.retriever import TowerRetriever
from baselines.training.score import Cosine
from baselines.training.two_tower import Tower, TwoTower, linear_flops, with_extras
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class SeqTowerConfig(TowerConfig):
    """Hyper-parameters of ``seqtower``.

    Attributes:
        hidden: of the item tower.
        dropout: of both towers while training.
        token: D.
        heads: of the attention; they share D.
        blocks: of the user tower.
        length: of the history at most, the latest items.
    """

    dropout: float = 0.1
    token: int = 64
    heads: int = 4
    blocks: int = 2
    length: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.token % self.heads:
            raise ValueError(f"heads == {self.heads}, must divide token == {self.token}")
        for name in ("blocks", "length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} == {getattr(self, name)}, must be at least 1")


class Attention(nn.Module):
    """Multi-head attention of the first tokens to all known ones.

    Args:
        width: D.
        heads: they share D.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, known: Tensor, asked: int) -> Tensor:
        """[B, T, D] and bool [B, T] -> [B, asked, D]."""
        keys, values = self.key_value(x).chunk(2, dim=2)
        apart = (self.query(x[:, :asked]), keys, values)
        q, k, v = (y.reshape(*y.shape[:2], self.heads, -1).transpose(1, 2) for y in apart)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=known[:, None, None, :])
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def flops(self, tokens: int, asked: int) -> int:
        """FLOP of a sequence of so many tokens."""
        width = self.out.in_features
        return asked * (4 * width**2 + 4 * tokens * width) + tokens * 4 * width**2


class Block(nn.Module):
    """A pre-norm transformer block.

    Args:
        width: D; the FFN is 4 D wide inside.
        heads: of the attention.
        dropout, seed: of what the two parts add.
    """

    def __init__(self, width: int, heads: int, dropout: float, seed: int) -> None:
        super().__init__()
        self.before_attention, self.before_ffn = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.drops = nn.ModuleList(dropped(dropout, seed, part) for part in ("attention", "ffn"))

    def forward(self, x: Tensor, known: Tensor, asked: int) -> Tensor:
        """[B, T, D] and bool [B, T] -> the first ``asked`` tokens [B, asked, D]."""
        x = x[:, :asked] + self.drops[0](self.attention(self.before_attention(x), known, asked))
        out: Tensor = x + self.drops[1](self.ffn(self.before_ffn(x)))
        return out

    def flops(self, tokens: int, asked: int) -> int:
        """FLOP of a sequence of so many tokens."""
        return self.attention.flops(tokens, asked) + asked * linear_flops(self.ffn)


class Encoder(nn.Module):
    """From the concatenated input to [USER] as the last block leaves it.

    Args:
        profile: width of what [USER] is made of.
        item: width of what a token of the history is made of.
        length: L.
        config: hyper-parameters.
        seed: of the dropout.
    """

    def __init__(self, profile: int, item: int, length: int, config: SeqTowerConfig, seed: int) -> None:
        super().__init__()
        self.profile = nn.Linear(profile, config.token)
        self.item = nn.Linear(item, config.token)
        self.memory: nn.Linear | None = None
        self.places = nn.Parameter(torch.randn(1 + length, config.token) * 0.05)
        self.blocks = nn.ModuleList(
            Block(config.token, config.heads, config.dropout, subseed(seed, f"block {i}")) for i in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.token)
        self.out = nn.Linear(config.token, config.width)

    def widen(self, extra: int) -> None:
        """Let the memory read extra inputs, which start at zero weight."""
        if extra and self.memory is None:
            self.memory = nn.Linear(extra, self.out.in_features)
            for start in self.memory.parameters():
                nn.init.zeros_(start)
        elif self.memory is not None:
            self.memory = widened(self.memory, extra)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """u before it is brought to unit length [B, d].

        Args:
            x: [B, profile + L x item + extras].
            known: bool [B, L], what is no pad.
        """
        profile, length = self.profile.in_features, self.places.shape[0] - 1
        items = x[:, profile : profile + length * self.item.in_features].reshape(len(x), length, -1)
        extras = x[:, profile + length * self.item.in_features :]
        memory = self.places[0].expand(x.shape[0], -1)
        memory = memory if self.memory is None else memory + self.memory(extras)
        first = torch.stack([self.profile(x[:, :profile]), memory], dim=1)
        tokens = torch.cat([first, self.item(items) + self.places[1:]], dim=1)
        known = torch.cat([known.new_ones(x.shape[0], 2), known], dim=1)
        for block, asked in self.steps():
            tokens = block(tokens, known, asked)
        out: Tensor = self.out(self.norm(tokens[:, 0]))
        return out

    def steps(self) -> list[tuple[Block, int]]:
        """The blocks, and how many tokens each is asked for: all, but of the last [USER] alone."""
        blocks = cast(list[Block], list(self.blocks))
        asked = [self.places.shape[0] + 1] * (len(blocks) - 1) + [1]
        return list(zip(blocks, asked, strict=True))

    def plain(self) -> tuple[nn.Module, ...]:
        """All linear layers but the FFNs'."""
        own = [self.profile, self.item, self.out] + ([] if self.memory is None else [self.memory])
        of_blocks = [
            part for block, _ in self.steps() for part in block.attention.modules() if isinstance(part, nn.Linear)
        ]
        return (*own, *of_blocks)

    def flops(self) -> int:
        """FLOP of one user."""
        length = self.places.shape[0] - 1
        makers = [self.profile, self.out] + ([] if self.memory is None else [self.memory])
        ends = sum(linear_flops(x) for x in makers) + length * linear_flops(self.item)
        return ends + sum(block.flops(length + 2, asked) for block, asked in self.steps())


class SeqTower(Tower):
    """The user tower.

    Args:
        embedding: the field table, shared by both towers.
        profile: width of the profile's, the context's and the dense input.
        length: L.
        config: hyper-parameters.
        seed: of the dropout.
    """

    def __init__(self, embedding: FieldEmbedding, profile: int, length: int, config: SeqTowerConfig, seed: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.length = length
        self.layers: Encoder = Encoder(profile, 2 * config.embedding, length, config, seed)

    @property
    def left_out(self) -> tuple[nn.Module, ...]:
        """All linear layers but the FFNs'."""
        return self.layers.plain()

    def widen(self, extra: int) -> None:
        """Let the memory read extra inputs, which start at zero weight."""
        self.layers.widen(extra)

    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Unit vectors [B, d]."""
        assert x.bags is not None
        table = self.embedding.table if rows is None else rows
        bags = x.bags[:, :, -self.length :]
        items = looked_up(table, bags).transpose(1, 2).flatten(1)
        inputs = torch.cat([looked_up(table, x.codes).flatten(1), x.dense, items], dim=1)
        out = self.layers(with_extras(inputs, extras), bags[:, 0] != 0)
        return functional.normalize(out, dim=1, eps=1e-8)


@hands_over(single_vector)
@takes(SeqTowerConfig)
def seqtower(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``seqtower``. ``params`` are SeqTowerConfig's."""
    config = SeqTowerConfig(**params)
    user_in, item_in = side_widths(catalog, config)
    length = min(config.length, catalog.history.items.shape[2])

    def build(embedding: FieldEmbedding, fields: Fields) -> TwoTower:
        # The pooled history is not among the inputs: less than `dssm` reads.
        profile = user_in - fields.pooled * config.embedding
        seeds = [subseed(seed, f"{x} tower dropout") for x in ("user", "item")]
        user = SeqTower(embedding, profile, length, config, seeds[0])
        item = DssmTower(embedding, item_in, config.hidden, config.width, config.dropout, seeds[1])
        return TwoTower(user, item, Cosine(config.width), gain=config.gain, base_ctr=catalog.base_ctr)

    return assembled(catalog, seed, config, build, extras, auxiliary)
