"""The two ways by which the extra vectors r = [c; s] enter a tower that takes features only.

``InputInjection`` lays r in the slot that a widened layer inside the tower reads. ``OutputAdapter`` is the fallback
for a black box: ``u = n(f(x) + A2 ReLU(A1 [f(x); r]))`` with A2 = 0 at the start. It works on anything and is weaker.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cs3.widened import Slot


class InputInjection(nn.Module):
    """A tower whose widened layer, if it has one, reads r from a slot that is full only during the call.

    Attributes:
        tower: ``tower(feats) -> [B, d]`` or ``[B, facets, p]``.
        slot: the slot that the widened layer reads.
    """

    def __init__(self, tower: nn.Module, slot: Slot) -> None:
        super().__init__()
        self.tower = tower
        self.slot = slot

    def forward(self, feats: Any, extras: Tensor) -> Tensor:
        """Features and r [B, width] -> the tower's output."""
        self.slot.value = extras
        try:
            out: Tensor = self.tower(feats)
            return out
        finally:
            self.slot.value = None


class OutputAdapter(nn.Module):
    """A tower as it is, and a correction of its output by r.

    At the start the output is the tower's own, brought to unit length.

    Attributes:
        tower: ``tower(feats) -> [B, d]`` or ``[B, facets, p]``.
        hidden: A1, [inner, d + width].
        correction: A2, [d, inner], zero at the start.
    """

    def __init__(self, tower: nn.Module, *, width: int, extras: int, inner: int = 64, seed: int = 0) -> None:
        """Draws A1 from a generator of its own.

        Args:
            tower: the tower.
            width: d, last dimension of its output.
            extras: width of r.
            inner: width of the correction's hidden layer.
            seed: of A1.
        """
        super().__init__()
        self.tower = tower
        bound = (width + extras) ** -0.5
        drawn = torch.rand(inner, width + extras, generator=torch.Generator().manual_seed(seed))
        self.hidden = nn.Parameter(bound * (2.0 * drawn - 1.0))
        self.correction = nn.Parameter(torch.zeros(width, inner))

    def forward(self, feats: Any, extras: Tensor) -> Tensor:
        """Features and r [B, width of r] -> unit vectors of the tower's shape."""
        out: Tensor = self.tower(feats)
        expected = (out.shape[0], self.hidden.shape[1] - out.shape[-1])
        if extras.shape != expected:
            raise ValueError(
                f"extras.shape == {tuple(extras.shape)}, must be {expected} for an output {tuple(out.shape)}"
            )
        r = extras.to(out).reshape(extras.shape[0], *[1] * (out.dim() - 2), -1).expand(*out.shape[:-1], -1)
        inner = functional.linear(torch.cat([out, r], dim=-1), self.hidden).relu()
        return functional.normalize(out + functional.linear(inner, self.correction), dim=-1, eps=1e-8)
