"""The loss of a pair to whose owner a cosine will do."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class CosineLoss(nn.Module):
    """Binary cross-entropy of ``logit = softplus(rho) cos(u, v) + bias``, both learned.

    A cosine with a fixed gain of 1 could move the odds by exp(2) at most.
    """

    def __init__(self, *, gain: float = 10.0, base_rate: float = 0.1) -> None:
        super().__init__()
        if not gain > 0:
            raise ValueError(f"gain == {gain}, must be above 0")
        if not 0 < base_rate < 1:
            raise ValueError(f"base_rate == {base_rate}, must be in (0, 1)")
        self.rho = nn.Parameter(torch.tensor(gain + math.log(-math.expm1(-gain))))
        self.bias = nn.Parameter(torch.tensor(math.log(base_rate / (1 - base_rate))))

    def logits(self, u: Tensor, v: Tensor) -> Tensor:
        """[B, d] and [B, d] -> [B]."""
        if u.dim() != 2 or u.shape != v.shape:
            raise ValueError(f"u.shape == {tuple(u.shape)}, must be [B, d] as v's, {tuple(v.shape)}; or give a loss")
        return functional.softplus(self.rho) * functional.cosine_similarity(u, v, dim=1, eps=1e-8) + self.bias

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """Mean over the batch."""
        return functional.binary_cross_entropy_with_logits(self.logits(u, v), labels)
