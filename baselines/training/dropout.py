"""Dropout (Srivastava et al., JMLR 2014) whose masks are a function of (seed, step, place), not of a global generator.

A stream that is restored draws the masks that it would have drawn, and no other model's draws move them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from simulator.keyed_random import subseed


class KeyedDropout(nn.Module):
    """Inverted dropout while training, nothing while serving.

    Args:
        p: probability to drop a unit, in [0, 1); 16 random bits decide on each.
        seed: of this layer; layers of one model have different ones.

    Attributes:
        step: the trainer sets it to the number of its step before each forward.
    """

    def __init__(self, p: float, seed: int) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"dropout == {p}, must be in [0, 1)")
        self.p = p
        self.seed = seed
        self.step = 0

    def forward(self, x: Tensor) -> Tensor:
        """[B, h] -> [B, h]."""
        if not self.training:
            return x
        dropped = round(self.p * (1 << 16))
        scale = np.float32((1 << 16) / ((1 << 16) - dropped))
        bits = np.random.default_rng([self.seed, self.step]).integers(0, 1 << 16, tuple(x.shape), dtype=np.uint16)
        return x * torch.from_numpy((bits >= dropped) * scale)


def dropped(p: float, seed: int, name: str) -> nn.Module:
    """Dropout with the masks of the layer ``name`` of a model of ``seed``; the identity without any."""
    return KeyedDropout(p, subseed(seed, f"dropout {name}")) if p else nn.Identity()
