"""ReLU between linear layers that also works in place on the way back: no second matrix of the batch is written."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Rectifier(nn.Module):
    """``max(x, 0)`` in place of x, with the values and gradients of ``nn.ReLU``.

    What reads it must give it a gradient of its own, as a linear layer or a product does and as ``+`` does not: it is
    overwritten. What it reads must not need its output for backward; a linear layer does not.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[..., h] -> [..., h]."""
        if torch.is_grad_enabled() and x.requires_grad:
            out: Tensor = _Rectify.apply(x)  # type: ignore[no-untyped-call]
            return out
        return torch.relu_(x)


class _Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        torch.relu_(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        if grad.is_contiguous():
            return torch.ops.aten.threshold_backward.grad_input(grad, out, 0, grad_input=grad)  # type: ignore[no-any-return]
        return torch.ops.aten.threshold_backward(grad, out, 0)  # type: ignore[no-any-return]
