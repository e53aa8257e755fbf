"""What the online trainer asks of a ranker's network, and the top that all of them share.

Every ranker ends ``body -> Linear(-> dh) -> ReLU =: h -> Linear(dh -> 1)``: the rule for h_uv (docs/formulas.md 10).
h is taken after the activation, with dropout off when it is logged.

Letters: Q requests of a batch, B rows, R requests served, K ads each, A ads, e embedding width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from baselines.rankers.crosses import Crosses
from baselines.training.features import FieldEmbedding, Fields, SideInput
from baselines.training.ranges import check_training
from simulator.records import MOST_SLOTS, Catalog

Shares = tuple[Tensor, ...]
"""What a network keeps of each ad from one sync to the next, [A, ...] each; the ads' table rows come last."""


@dataclass(frozen=True, kw_only=True)
class RankerConfig:
    """Hyper-parameters of a ranker.

    Attributes:
        embedding: e; hidden: widths, the last one is dh, the width of h_uv.
        batch: rows of a micro-batch at most; dropout: while training.
        lr, table_lr, l2: as for the towers.
        horizon: seconds for which the counters' versions are kept, at least label wait + tick + sync.
    """

    embedding: int = 16
    hidden: tuple[int, ...] = (256, 128, 64)
    batch: int = 512
    dropout: float = 0.1
    lr: float = 1e-3
    table_lr: float = 3e-2
    l2: float = 1e-5
    horizon: int = 14_400

    def __post_init__(self) -> None:
        check_training(self)


class Rows(NamedTuple):
    """A training batch. Codes number rows of the gathered tables.

    Attributes:
        user: of the Q requests.
        ad: of the B rows.
        codes: int64 [B, 2], hashed crosses.
        dense: float32 [B, 6], dense crosses.
        request: int64 [B], each row's place among the requests.
        slot: int64 [B].
        table, crosses: float32 [n, e], gathered rows of the fields' and of the crosses' table.
        keep: dropout masks float32 [B, width], one per width of ``Network.dropped``; none if there is no dropout.
    """

    user: SideInput
    ad: SideInput
    codes: Tensor
    dense: Tensor
    request: Tensor
    slot: Tensor
    table: Tensor
    crosses: Tensor
    keep: Sequence[Tensor]


class Asked(NamedTuple):
    """Ads to score.

    Attributes:
        user: of the R requests.
        ads: int64 [R, K], places in the shares.
        codes: int64 [R * K, 2], hashed crosses.
        dense: float32 [R * K, 6], dense crosses.
    """

    user: SideInput
    ads: Tensor
    codes: Tensor
    dense: Tensor


class Cost(NamedTuple):
    """FLOP (2 x multiply-adds) of the matrix products of serving, once per request and once per candidate.

    What depends on the ad alone is paid at the sync and is not in it; neither is work element by element.
    """

    request_flops: int
    candidate_flops: int


class Top(nn.Module):
    """From layer one's output to the logit: ``ReLU (Linear ReLU)* =: h -> Linear``, and the slots' share of layer one.

    Args:
        hidden: widths from layer one's output to h.
    """

    def __init__(self, hidden: Sequence[int]) -> None:
        super().__init__()
        self.slot = nn.Parameter(torch.zeros(MOST_SLOTS, hidden[0]))
        self.body = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(hidden))
        self.head = nn.Linear(hidden[-1], 1)

    def at_slot(self, slot: Tensor) -> Tensor:
        """The slots' [B] share of layer one [B, h]; slot 0, the one that is served, is the reference: it stays zero."""
        return nn.functional.embedding(slot, self.slot, padding_idx=0)

    def forward(self, z: Tensor, keep: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
        """Logit [B] and h [B, dh] from layer one's output [B, h].

        Args:
            z: before the activation; may be overwritten.
            keep: dropout masks of the layers before the last, scaled; none while serving.
        """
        for i, linear in enumerate(self.body):
            x = torch.relu_(z)
            z = linear(x * keep[i] if keep else x)
        h = torch.relu_(z)
        return self.head(h)[:, 0], h

    def flops(self) -> int:
        """FLOP of a row."""
        return sum(linear_flops(linear) for linear in (*self.body, self.head))


class Network(nn.Module, ABC):
    """A ranker's network: two tables, a body of its own, and a ``top``.

    Args:
        catalog: what may be known.
        fields: layout of the fields' table.
        config: hyper-parameters.
        user_dense, ad_dense: widths of the dense features, counters included.
    """

    top: Top
    pairs_at_once: int = 1 << 62
    """Pairs that are scored at a time while serving."""

    def __init__(self, catalog: Catalog, fields: Fields, config: RankerConfig, user_dense: int, ad_dense: int) -> None:
        super().__init__()
        e = config.embedding
        self.embedding = FieldEmbedding(fields.rows, e)
        self.crosses = FieldEmbedding(Crosses.rows(catalog), e)
        self.user_in = e * (fields.user_fields + fields.pooled) + user_dense
        """Width of what ``embedding`` returns of a user's side."""
        self.ad_in = e * fields.ad_fields + ad_dense
        """Width of what ``embedding`` returns of an ad's side."""
        self.ad_id = list(catalog.ads.codes).index("ad")
        self.user_id = list(catalog.users.codes).index("user")

    @property
    @abstractmethod
    def dropped(self) -> tuple[int, ...]:
        """Widths of the dropout masks of a step."""

    @abstractmethod
    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Logit [B] and h [B, dh] of a training batch."""

    @abstractmethod
    def publish(self, ad: SideInput) -> Shares:
        """What depends on the ads [A] alone, once per sync."""

    @abstractmethod
    def score(self, asked: Asked, shares: Shares) -> tuple[Tensor, Tensor]:
        """Logit [R * K] at slot 0 and h [R * K, dh]."""

    def serve(self, asked: Asked, shares: Shares) -> tuple[Tensor, Tensor]:
        """:meth:`score` of some requests at a time: what the layers leave on the way stays in the cache."""
        R, K = asked.ads.shape
        requests = max(1, self.pairs_at_once // max(K, 1))
        if requests >= R:
            return self.score(asked, shares)
        logits, hidden = zip(*(self.score(part, shares) for part in blocks(asked, requests)), strict=True)
        return torch.cat(logits), torch.cat(hidden)

    @abstractmethod
    def cost(self) -> Cost:
        """What serving costs."""


def blocks(asked: Asked, requests: int) -> Iterator[Asked]:
    """Consecutive parts of so many requests each."""
    R, K = asked.ads.shape
    for first in range(0, R, requests):
        these = slice(first, first + requests)
        pairs = slice(first * K, (first + requests) * K)
        side = asked.user
        bags = None if side.bags is None else side.bags[these]
        user = SideInput(side.codes[these], bags, side.dense[these])
        yield Asked(user, asked.ads[these], asked.codes[pairs], asked.dense[pairs])


def linear_flops(linear: nn.Module) -> int:
    """FLOP of one row through a Linear."""
    assert isinstance(linear, nn.Linear)
    return 2 * linear.in_features * linear.out_features
