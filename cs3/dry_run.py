"""What a stranger's tower does: one call without a trace, and its linear layers by name."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cs3.cas import disable_fast_path, linears


class DryRun(NamedTuple):
    """What one call of a tower showed.

    Attributes:
        entrance: the first plain linear layer executed whose inputs have a row for each row of the output, None
            if there was none.
        executed: all linear layers executed, in order.
        out: the output.
    """

    entrance: nn.Module | None
    executed: list[nn.Module]
    out: Tensor


def dry_run(tower: nn.Module, feats: Any) -> DryRun:
    """Runs a tower once, without trace in its state or the global generator."""
    rows: dict[nn.Module, set[int]] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        rows.setdefault(layer, set()).add(inputs[0].shape[0] if inputs else -1)

    handles = [module.register_forward_pre_hook(note) for module in tower.modules() if isinstance(module, nn.Linear)]
    training = [module for module in tower.modules() if module.training]
    # The fused kernel of a transformer layer would run its linear layers without calling them.
    disable_fast_path(tower)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            out = tower.eval()(feats)
    finally:
        for handle in handles:
            handle.remove()
        for module in training:
            module.training = True
    if not isinstance(out, Tensor):
        raise ValueError(f"tower output == {type(out).__name__}, must be a Tensor: wrap the tower in one that gives it")
    wrappable: set[nn.Module] = set(linears(tower))
    fits = (layer for layer, seen in rows.items() if layer in wrappable and seen == {out.shape[0]})
    return DryRun(next(fits, None), list(rows), out)


def named_linear(tower: nn.Module, name: str) -> nn.Module:
    """The plain linear layer registered as ``name`` in a tower.

    Raises:
        ValueError: when there is none; says the nearest name.
    """
    wrappable = linears(tower)
    names: dict[str, nn.Module] = {n: m for n, m in tower.named_modules() if any(m is known for known in wrappable)}
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"layer == '{name}', must be a plain nn.Linear of the tower{hint}")
    return names[name]
