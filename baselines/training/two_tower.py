"""Two towers and the head over them, as a backbone hands them to the trainer, and what it needs to build them.

Letters: B rows, Q distinct requests. A tower returns [n, ...] for n inputs: one vector or facets each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from baselines.training.features import SideInput, widened
from baselines.training.score import Score
from simulator.records import MOST_SLOTS, Impressions


class Tower(nn.Module, ABC):
    """One side of a two-tower model.

    Attributes:
        layers: called with the tower's concatenated input [B, w], which ends with the extras.
        left_out: layers that a mechanism which replaces linear layers has to leave as they are.
    """

    layers: nn.Module

    @property
    def left_out(self) -> tuple[nn.Module, ...]:
        """None, unless a tower says otherwise."""
        return ()

    @abstractmethod
    def widen(self, extra: int) -> None:
        """Make room for so many extra inputs, which start at zero weight; 0 changes nothing."""

    @abstractmethod
    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Unit vectors [B, d] or facets [B, H, p] of inputs [B]; ``rows`` as in :class:`FieldEmbedding`."""


class Forward(NamedTuple):
    """The forward of one micro-batch: what the towers read and what they returned.

    Attributes:
        rows: the batch, [B].
        label: float32 [B].
        user: inputs of the batch's requests [Q]; their codes number rows of ``table``.
        item: inputs of the batch's ads, the drawn ones among them.
        table: [n, e], the gathered rows of the embedding table, with gradient.
        user_row, item_row: int64 [B], places of the rows' request in ``user`` and of their ad in ``item``.
        u, v: [B, ...], what the towers returned for each row, with gradient.
    """

    rows: Impressions
    label: Tensor
    user: SideInput
    item: SideInput
    table: Tensor
    user_row: Tensor
    item_row: Tensor
    u: Tensor
    v: Tensor


class TwoTower(nn.Module):
    """A pair of towers and the head ``logit = softplus(rho) score(u, v) + bias (+ slot bias while training)``.

    Args:
        user, item: the towers.
        score: of what they return.
        gain, base_ctr: start of the head.
    """

    def __init__(self, user: Tower, item: Tower, score: Score, *, gain: float, base_ctr: float) -> None:
        super().__init__()
        self.user = user
        self.item = item
        self.score = score
        self.rho = nn.Parameter(torch.tensor(float(np.log(np.expm1(gain)))))
        self.bias = nn.Parameter(torch.tensor(float(np.log(base_ctr / (1 - base_ctr)))))
        # Position bias is the head's, not the towers': slot 0 is served.
        self.slot = nn.Parameter(torch.zeros(MOST_SLOTS))

    def gain(self) -> Tensor:
        """g > 0, scalar."""
        return nn.functional.softplus(self.rho)

    def logit(self, similarity: Tensor, slot: npt.NDArray[np.integer]) -> Tensor:
        """Logits [B] of rows of this similarity [B] that were shown in these slots [B]."""
        at = torch.from_numpy(slot.astype(np.int64))
        # Slot 0 is the reference: its bias is the head's.
        return self.gain() * similarity + self.bias + self.slot[at] * (at > 0)

    def own_loss(self, batch: Forward) -> Tensor | None:
        """A further loss of the backbone's paper, to be minimised as it is; None for none."""
        return None


class Cost(NamedTuple):
    """What serving costs: bytes per item in the index, FLOP per request of the user tower and of the flat scan."""

    item_bytes: int
    user_flops: int
    scan_flops: int


def with_extras(inputs: Tensor, extras: Tensor | None) -> Tensor:
    """A tower's input [B, w] with the extra vectors [B, x], if any, at its end."""
    return inputs if extras is None or not extras.shape[1] else torch.cat([inputs, extras], dim=1)


def widen_first(layers: nn.Sequential, extra: int) -> None:
    """Widen the first layer, which is linear, in place."""
    first = layers[0]
    assert isinstance(first, nn.Linear)
    layers[0] = widened(first, extra)


def linear_flops(module: nn.Module) -> int:
    """FLOP of the linear layers of one forward pass at batch 1; a layer that declares ``flops`` speaks for itself."""
    own = getattr(module, "flops", None)
    if own is not None:
        return int(own() if callable(own) else own)
    if isinstance(module, nn.Linear):
        return 2 * module.in_features * module.out_features
    return sum(linear_flops(child) for child in module.children())
