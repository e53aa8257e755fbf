"""The widened input layer: a stranger's first linear layer that also reads the extra vectors r = [c; s].

``y = W0 x + b0 + P r`` equals a linear layer of weight [W0 | P] on the concatenation [x; r]. P starts at zero, so that
the tower computes at step 0 exactly what it computed before. r comes through a slot that the wrapper fills around each
call, because the tower between the wrapper and the layer knows nothing of it.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Slot(threading.local):
    """Where a wrapper lays r [B, width] for the layers below it: one per tower, one value per thread.

    Copies and pickles start empty; layers that shared a slot share the copy's.
    """

    value: Tensor | None = None

    def __reduce__(self) -> tuple[type[Slot], tuple[()]]:
        return Slot, ()


def rename_old_keys(state: dict[str, Any], prefix: str, fresh: dict[str, Tensor]) -> None:
    """Lets a checkpoint from before the surgery load into a wrapper around a linear layer called ``base``.

    Args:
        state: state dict being loaded, changed in place.
        prefix: prefix of the wrapper's keys.
        fresh: the wrapper's own parameters by name, taken as zeros where the checkpoint has none.
    """
    if prefix + "weight" not in state:
        return
    for name in ("weight", "bias"):
        if prefix + name in state:
            state[f"{prefix}base.{name}"] = state.pop(prefix + name)
    for name, parameter in fresh.items():
        state.setdefault(prefix + name, torch.zeros_like(parameter))


class WidenedLinear(nn.Module):
    """A linear layer that reads r from a slot besides its input.

    Attributes:
        base: the wrapped layer, its parameters shared.
        extra_weight: P, [out_features, width], zero at the start.
        slot: where r is found.
    """

    def __init__(self, base: nn.Linear, width: int, slot: Slot) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width == {width}, must be at least 1")
        self.base = base
        self.slot = slot
        self.extra_weight = nn.Parameter(base.weight.new_zeros(base.out_features, width))

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
        """Width of x, without r."""
        return self.base.in_features

    @property
    def out_features(self) -> int:
        """Width of y."""
        return self.base.out_features

    @property
    def joint_features(self) -> int:
        """Width of [x; r]."""
        return self.base.in_features + self.extra_weight.shape[1]

    @property
    def flops(self) -> int:
        """Floating-point operations of one row."""
        return 2 * self.joint_features * self.out_features

    def joint_weight(self) -> Tensor:
        """[W0 | P], [out_features, joint_features]."""
        return torch.cat([self.base.weight, self.extra_weight], dim=1)

    def extras_for(self, x: Tensor) -> Tensor:
        """The r that belongs to x [B, ..., in_features], as [B, 1, ..., width].

        Raises:
            ValueError: when the slot is empty or r has not one row per row of x.
        """
        r = self.slot.value
        if r is None:
            raise ValueError("extras == None, must be laid in the slot: call the pair, not the bare tower")
        rows, width = x.shape[0], self.extra_weight.shape[1]
        if r.shape != (rows, width):
            raise ValueError(
                f"extras.shape == {tuple(r.shape)}, must be ({rows}, {width}) for an input {tuple(x.shape)}"
            )
        return r.to(x).reshape(rows, *[1] * (x.dim() - 2), width)

    def join(self, x: Tensor) -> Tensor:
        """[x; r] for x [B, ..., in_features], r broadcast over positions."""
        r = self.extras_for(x)
        return torch.cat([x, r.expand(*x.shape[:-1], -1)], dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ..., in_features] -> [B, ..., out_features]."""
        return functional.linear(x, self.base.weight, self.base.bias) + functional.linear(
            self.extras_for(x), self.extra_weight
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        rename_old_keys(state_dict, prefix, {"extra_weight": self.extra_weight})
        super()._load_from_state_dict(state_dict, prefix, *args)
