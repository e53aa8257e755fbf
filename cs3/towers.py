"""Two towers and their loss as one module: one training forward, which can be compiled or distributed as a whole.

One module, because towers may share layers: two wrappers of ``DistributedDataParallel`` would average the gradient of a
shared layer twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``loss(u, v, labels [B] float) -> scalar``."""


class Towers(nn.Module):
    """One training forward.

    Attributes:
        user: ``user(feats, r) -> u``.
        item: ``item(feats, r) -> v``.
        loss: trained too if it is a module.
    """

    def __init__(self, user: nn.Module, item: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.user = user
        self.item = item
        self.loss = loss

    def forward(
        self, user_feats: Any, item_feats: Any, read_users: Tensor, read_items: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features, r of each side and labels [B] -> the loss, u and v."""
        u, v = self.user(user_feats, read_users), self.item(item_feats, read_items)
        return self.loss(u, v, labels.to(u)), u, v


def check_finite(name: str, value: Any) -> None:
    """Looks for NaN and infinity in a tensor, or in the tensors of a dictionary, list or tuple.

    Raises:
        ValueError: when there is one; says in which tensor.
    """
    if isinstance(value, Tensor):
        # A finite sum proves finite values at a fraction of the cost; a sum may overflow where the values do not.
        if value.is_floating_point() and not bool(value.sum().isfinite()) and not bool(value.isfinite().all()):
            wrong = int((~value.isfinite()).sum())
            raise ValueError(f"{name} == {wrong} of {value.numel()} not finite, must all be finite")
    elif isinstance(value, dict):
        for key, part in value.items():
            check_finite(f"{name}[{key!r}]", part)
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            check_finite(f"{name}[{place}]", part)


def check_weights(name: str, state: dict[str, Tensor], module: nn.Module) -> None:
    """Compares names and shapes of a state dict with what the module has.

    Raises:
        ValueError: at the first difference.
    """
    wanted = {key: tuple(part.shape) for key, part in module.state_dict().items() if isinstance(part, Tensor)}
    found = {key: tuple(part.shape) for key, part in state.items() if isinstance(part, Tensor)}
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise ValueError(f"{name}['{key}'] == {found.get(key)}, must be {wanted.get(key)}")


@contextmanager
def running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Puts the running statistics of batch norms back if the body fails: a refused batch leaves no trace in them."""
    parts = [part for part in module.modules() if isinstance(part, _NormBase)]
    kept = [(buffer, buffer.clone()) for part in parts for buffer in part.buffers()]
    try:
        yield
    except Exception:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
        raise
