"""A tower's layers as arrays, ready for any runtime.

A layer is linear, may re-weigh its own input before it runs, and may end in a ReLU. Who replaced a linear layer by one
that re-weighs its input is known here by shape alone (``Gated``):

    z = W x + b        y = x        so many cycles:  y <- 2 x sigma(G z + g), z <- W y + b        out = z

Since ``G z + g = (G W) y + (G b + g)``, z itself is never needed before the end: one product with ``G W`` takes the
place of two, one of which would wait for the other. What a layer that re-weighs costs more is one product of
[inputs, inputs] per cycle instead of two of [inputs, outputs].
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from simulator.records import Floats

PROBE = torch.linspace(-3.0, 3.0, 25).unsqueeze(0)
"""What a layer without weights makes of these says what it is."""


@runtime_checkable
class Gated(Protocol):
    """A linear layer that re-weighs its own input.

    Attributes:
        weight: W, [outputs, inputs].
        bias: b, [outputs], or None.
        gate_weight: G, [inputs, outputs].
        gate_bias: g, [inputs].
        cycles: how often it does.
    """

    weight: Tensor
    bias: Tensor | None
    gate_weight: Tensor
    gate_bias: Tensor
    cycles: int


class Gate(NamedTuple):
    """``sigma(M y + m)`` by what an input is multiplied.

    Attributes:
        weight: M transposed, float32 [inputs, inputs].
        bias: m, float32 [inputs].
        cycles: how often.
    """

    weight: Floats
    bias: Floats
    cycles: int


class Layer(NamedTuple):
    """A linear layer and what goes before and after it.

    Attributes:
        weight: W transposed, float32 [inputs, outputs].
        bias: float32 [outputs].
        gate: of the input, which is doubled then; None for none.
        relu: whether negative outputs are set to zero.
    """

    weight: Floats
    bias: Floats
    gate: Gate | None
    relu: bool

    @property
    def numbers(self) -> int:
        """Weights that a forward reads."""
        gate = 0 if self.gate is None else self.gate.weight.size + self.gate.bias.size
        return self.weight.size + self.bias.size + gate

    @property
    def flops(self) -> int:
        """Of one row, 2 x multiply-adds of the products as they are run."""
        gate = 0 if self.gate is None else self.gate.cycles * self.gate.weight.size
        return 2 * (self.weight.size + gate)


def layers_of(stack: Iterable[nn.Module]) -> list[Layer]:
    """The layers of a stack of linear layers, gated or not, ReLUs and what does nothing while serving (dropout).

    Raises:
        ValueError: for any other layer.
    """
    layers: list[Layer] = []
    for module in stack:
        if type(module) is nn.Linear or isinstance(module, Gated):
            layers.append(_layer(module))
        elif layers and _makes(module, PROBE.clamp(min=0.0)):
            layers[-1] = layers[-1]._replace(relu=True)
        elif not _makes(module, PROBE):
            raise ValueError(f"layer == {type(module).__name__}, must be linear, gated, a ReLU or a dropout")
    return layers


@torch.no_grad()
def _makes(module: nn.Module, wanted: Tensor) -> bool:
    """Whether a layer without weights makes ``wanted`` of the probe."""
    return not list(module.parameters()) and torch.equal(module(PROBE.clone()), wanted)


def _layer(module: nn.Linear | Gated) -> Layer:
    # In double: what is folded here is rounded once.
    W = module.weight.detach().double().numpy()
    b = np.zeros(len(W)) if module.bias is None else module.bias.detach().double().numpy()
    gate = None
    if isinstance(module, Gated):
        G, g = (part.detach().double().numpy() for part in (module.gate_weight, module.gate_bias))
        if G.shape != W.T.shape:
            raise ValueError(f"gate_weight.shape == {G.shape}, must be {W.T.shape}, one weight for each of the layer's")
        gate = Gate(_laid((G @ W).T), _laid(G @ b + g), module.cycles)
    return Layer(_laid(W.T), _laid(b), gate, relu=False)


def _laid(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Floats:
    return np.ascontiguousarray(array, dtype=np.float32)
