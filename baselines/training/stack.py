"""A plain multi-layer perceptron as one node of the graph: ``nn.Sequential`` in fewer passes over memory.

    h_0 = [x; constant]     z_i = h_i W_i^T + b_i     h_{i+1} = max(z_i, 0)

Rows pass through all layers a few at a time, so that what one layer writes is in the cache when the next one reads it.
The way back does the same; only the gradients of the weights are sums over all rows. Inputs that
nobody learns (dense features, vectors of somebody else's memory) get no gradient, and the product that would make it is
not made. A kernel may add the terms of a product of fewer rows in another order: the numbers are those of
``nn.Sequential`` up to rounding. The same call gives the same bits on one machine.

Letters: B rows, w inputs with a gradient, c without.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from baselines.training.rectifier import Rectifier

ROWS = 256
"""Rows that pass through the layers together, at least: 256 KiB of 256 columns, an eighth of a core's second cache."""


class Stack(nn.Sequential):
    """``nn.Sequential`` whose leading linear layers and rectifiers are one node of the graph while training.

    What follows them (dropout, a layer that somebody replaced) is called as it is. So is a layer that has hooks.
    """

    def forward(self, x: Tensor, constant: Tensor | None = None) -> Tensor:
        """[B, w], and [B, c] more inputs to the right of it -> [B, width of the last layer].

        The product that would make a gradient is saved for ``constant``, unless that wants one.
        """
        if constant is not None and constant.requires_grad:
            x, constant = torch.cat([x, constant], dim=1), None
        layers = list(self)
        plain = list(takewhile(_plain, layers)) if torch.is_grad_enabled() and x.dim() == 2 else []
        linears, between = plain[::2], plain[1::2]
        alternate = all(isinstance(a, nn.Linear) for a in linears) and all(isinstance(b, Rectifier) for b in between)
        if not plain or not alternate:
            return _in_turn(layers, x if constant is None else torch.cat([x, constant], dim=1))
        parameters = [p for layer in linears for p in (layer.weight, layer.bias)]
        rectified = len(between) == len(linears)
        out: Tensor = _Layers.apply(x, constant, rectified, *parameters)  # type: ignore[no-untyped-call]
        return _in_turn(layers[len(plain) :], out)


def _in_turn(layers: list[nn.Module], x: Tensor) -> Tensor:
    """One layer after the other."""
    for layer in layers:
        x = layer(x)
    return x


def _plain(layer: nn.Module) -> bool:
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks:
        return False
    return type(layer) is Rectifier or (type(layer) is nn.Linear and layer.bias is not None)


def _parts(rows: int) -> list[slice]:
    """Equal parts of about ``ROWS`` or more: a product of one row goes another way, to another rounding."""
    size = -(-rows // max(rows // ROWS, 1))
    return [slice(first, first + size) for first in range(0, rows, max(size, 1))]


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, constant: Tensor | None, rectified: bool, *parameters: Tensor) -> Tensor:
        weights, biases = parameters[::2], parameters[1::2]
        B, last = len(x), len(weights) - 1
        inputs = x if constant is None else torch.cat([x, constant], dim=1)
        after = [inputs.new_empty(B, len(weight)) for weight in weights]
        for rows in _parts(B):
            h = inputs[rows]
            for i, (weight, bias, z) in enumerate(zip(weights, biases, after, strict=True)):
                h = torch.mm(h, weight.t(), out=z[rows]).add_(bias)
                if i < last or rectified:
                    torch.relu_(h)
        ctx.save_for_backward(inputs, *after, *weights)
        ctx.width, ctx.rectified = x.shape[1], rectified
        return after[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        L = len(saved) // 2
        befores, out, weights = saved[:L], saved[L], saved[L + 1 :]
        # Gradients of what each layer wrote, before its rectifier.
        last = torch.ops.aten.threshold_backward(grad, out, 0) if ctx.rectified else grad
        grads = [torch.empty_like(before) for before in befores[1:]] + [last]
        first = weights[0][:, : ctx.width]
        of_input = last.new_empty(len(last), ctx.width) if ctx.needs_input_grad[0] else None
        for rows in _parts(len(last)):
            for i in range(L - 1, 0, -1):
                g = torch.mm(grads[i][rows], weights[i], out=grads[i - 1][rows])
                torch.ops.aten.threshold_backward.grad_input(g, befores[i][rows], 0, grad_input=g)
            if of_input is not None:
                torch.mm(grads[0][rows], first, out=of_input[rows])
        learned: list[Tensor] = []
        for before, g in zip(befores, grads, strict=True):
            learned += [g.t().mm(before), g.sum(0)]
        return of_input, None, None, *learned
