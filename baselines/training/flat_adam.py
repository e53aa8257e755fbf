"""Adam (Kingma & Ba, arXiv 1412.6980) on all dense weights of a model as one vector.

Adam works element by element, so one vector learns exactly what a list of small tensors would, at the cost of one call.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class FlatAdam:
    """Makes the parameters and their gradients views of two vectors and steps on the vectors.

    Args:
        params: float32 parameters, each with a gradient in every step; their data move, their values stay.
        lr: step size.
    """

    def __init__(self, params: Iterable[nn.Parameter], *, lr: float) -> None:
        members = list(params)
        sizes = [p.numel() for p in members]
        vector = torch.cat([p.detach().reshape(-1) for p in members])
        self._gradient = vector.grad = torch.zeros_like(vector)
        pieces = zip(members, torch.split(vector, sizes), torch.split(self._gradient, sizes), strict=True)
        for member, values, gradient in pieces:
            member.data = values.view(member.shape)
            member.grad = gradient.view(member.shape)
        self._adam = torch.optim.Adam([vector], lr=lr, fused=True)

    def zero_grad(self) -> None:
        """Forget the last batch's gradients; ``backward`` adds to what is there."""
        self._gradient.zero_()

    def step(self) -> None:
        """One update by the gradients."""
        self._adam.step()

    def snapshot(self) -> dict[str, Any]:
        """A copy of the moments; the weights are the model's."""
        return copy.deepcopy(self._adam.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self._adam.load_state_dict(copy.deepcopy(state))
