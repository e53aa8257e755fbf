"""CAS, the cycle-adaptive structure (arXiv 2604.19269): a linear layer re-weighs its own input and runs again.

    z   = W0 x + b0
    e   = sigma(G z + bg)      in (0, 1)
    x~  = 2 x * e              weights of mean 1: nothing collapses
    out = W0 x~ + b0           the same W0, b0

Ours, where the paper says nothing: G = 0 and bg = 0 at the start, so that ``out == W0 x + b0`` exactly (over a widened
layer up to rounding: its [x; r] is one product); gradient flows through both passes; activation and dropout act once,
on ``out``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cs3.widened import WidenedLinear, rename_old_keys


class CASLinear(nn.Module):
    """A linear layer with cycles; its parameters are those of the wrapped layer, plus the gate.

    Attributes:
        base: the wrapped layer. A ``WidenedLinear`` is taken as one layer on [x; r]: the gate weighs r too.
        gate_weight: G, [joint input width, out_features], zero at the start (drawn from no generator).
        gate_bias: bg, [joint input width], zero at the start.
        cycles: how often the input is re-weighed.
    """

    def __init__(self, base: nn.Linear | WidenedLinear, *, cycles: int = 1) -> None:
        super().__init__()
        if type(base) not in (nn.Linear, WidenedLinear):
            raise ValueError(f"base == {type(base).__name__}, must be exactly nn.Linear or WidenedLinear")
        if cycles < 1:
            raise ValueError(f"cycles == {cycles}, must be at least 1")
        width = base.joint_features if isinstance(base, WidenedLinear) else base.in_features
        self.base = base
        self.cycles = cycles
        self.gate_weight = nn.Parameter(base.weight.new_zeros(width, base.out_features))
        self.gate_bias = nn.Parameter(base.weight.new_zeros(width))

    @property
    def weight(self) -> Tensor:
        """W0, [out_features, in_features]."""
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        """b0, [out_features]."""
        return self.base.bias

    @property
    def in_features(self) -> int:
        """Width of x."""
        return self.base.in_features

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return self.base.out_features

    @property
    def flops(self) -> int:
        """Floating-point operations of one row: the layer once, and again after each gate."""
        return 2 * self.gate_weight.numel() * (1 + 2 * self.cycles)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ..., in_features] -> [B, ..., out_features]."""
        base, weight, bias = self.base, self.base.weight, self.base.bias
        if isinstance(base, WidenedLinear):
            x, weight = base.join(x), base.joint_weight()
        out = functional.linear(x, weight, bias)
        for _ in range(self.cycles):
            gate = torch.sigmoid(functional.linear(out, self.gate_weight, self.gate_bias))
            # The product is not kept for backward, so doubling it in place saves a copy.
            out = functional.linear((x * gate).mul_(2.0), weight, bias)
        return out

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"cycles={self.cycles}"

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        rename_old_keys(state_dict, prefix, {"gate_weight": self.gate_weight, "gate_bias": self.gate_bias})
        super()._load_from_state_dict(state_dict, prefix, *args)


def linears(module: nn.Module) -> list[nn.Linear | WidenedLinear]:
    """The layers that CAS may wrap, each once, in order of registration.

    Layers of exactly ``nn.Linear`` (or ``WidenedLinear``); nothing inside ``nn.MultiheadAttention``, whose projection's
    weight is read without calling it, and nothing already wrapped.
    """
    found: dict[int, nn.Linear | WidenedLinear] = {}

    def walk(parent: nn.Module) -> None:
        if isinstance(parent, WidenedLinear) or (isinstance(parent, nn.Linear) and type(parent) is nn.Linear):
            found.setdefault(id(parent), parent)
        elif not isinstance(parent, CASLinear | nn.MultiheadAttention):
            for child in parent.children():
                walk(child)

    walk(module)
    return list(found.values())


def replace_modules(module: nn.Module, replacements: dict[nn.Module, nn.Module]) -> None:
    """Puts each replacement wherever its key is registered below ``module``, so that shared layers stay shared."""
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in replacements and replacements[child] is not parent:
                parent._modules[name] = replacements[child]


def disable_fast_path(module: nn.Module) -> None:
    """Makes transformer encoder layers below ``module`` call their linear layers in eval too.

    Their fused kernel reads ``linear1.weight`` instead and would pass by whatever replaced the layer.
    """
    for part in module.modules():
        if isinstance(part, nn.TransformerEncoderLayer):
            part.activation_relu_or_gelu = 0
        elif isinstance(part, nn.TransformerEncoder):
            part.enable_nested_tensor = False
            part.use_nested_tensor = False


def wrap_linears(
    module: nn.Module,
    *,
    skip_input: bool,
    cycles: int = 1,
    input_layer: nn.Module | None = None,
    leave_out: Collection[nn.Module] = (),
) -> int:
    """Wraps the linear layers of a tower in place. Make the optimiser afterwards: the gates are new parameters.

    Args:
        module: the tower; not itself a linear layer, which could not be replaced in place.
        skip_input: leave the input layer as it is (the paper's online placement).
        cycles: cycles of each layer.
        input_layer: the input layer; the first registered linear layer if None.
        leave_out: layers that stay as they are.

    Returns:
        Number of layers wrapped.
    """
    targets = linears(module)
    if any(layer is module for layer in targets):
        raise ValueError(f"module == {type(module).__name__}, must hold linear layers, not be one: use CASLinear")
    if skip_input and targets:
        first = targets[0] if input_layer is None else input_layer
        targets = [layer for layer in targets if layer is not first]
    targets = [layer for layer in targets if layer not in leave_out]
    replace_modules(module, {layer: CASLinear(layer, cycles=cycles) for layer in targets})
    if targets:
        disable_fast_path(module)
    return len(targets)
