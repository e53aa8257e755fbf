"""Unit vectors: ``torch.nn.functional.normalize``, forth and back, in fewer passes over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST = 1e-8
"""Vectors that are shorter are divided by this."""


def unit(x: Tensor) -> Tensor:
    """Rows of x [B, d] over their lengths -> [B, d]."""
    out: Tensor = _Unit.apply(x)  # type: ignore[no-untyped-call]
    return out


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        divisor = length.clamp_min(LEAST)
        y: Tensor = x / divisor
        ctx.save_for_backward(y, length, divisor)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        y, length, divisor = ctx.saved_tensors
        # d(x / n) = g / n - y (g . y / n), and nothing of the second where the length is not what divides.
        of_length = (y / divisor).mul_(grad).sum(dim=1, keepdim=True).neg_()
        of_length = torch.where(length >= LEAST, of_length, 0.0)
        out: Tensor = (y * of_length).add_(grad / divisor)
        return out
