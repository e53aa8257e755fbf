"""The plug-in door: two towers that know nothing of CS3 go in, a pair that trains and serves with it comes out.

    pair = attach(user_tower, item_tower, CS3Config(cas=True, cts=True, cms=True), users=..., items=..., ...)
    loss = pair.train_step(batch)               # read, forward, step (`learn`), write c (`observe`)
    pair.observe_ranker(users, items, h, now)   # write s
    pair.publish(now)                           # weights, c and s, all at once
    vectors = pair.encode_user(keys, feats)     # by published state only

A tower is any ``nn.Module`` with ``tower(feats) -> [B, d]`` (or ``[B, facets, p]``); feats is whatever it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cs3.adapter import InputInjection, OutputAdapter
from cs3.cas import replace_modules
from cs3.cts import cts_vector
from cs3.dry_run import dry_run, named_linear
from cs3.extras import CS3Config, CS3Extras
from cs3.loss import CosineLoss
from cs3.pair import Batch, CS3Pair, MakeOptimizer, Step
from cs3.stores import Stores
from cs3.towers import Loss
from cs3.widened import Slot, WidenedLinear

__all__ = ["Batch", "CS3Pair", "CosineLoss", "Step", "attach"]

INJECTIONS = ("auto", "input", "output")


def attach(
    user_tower: nn.Module,
    item_tower: nn.Module,
    config: CS3Config,
    *,
    users: int,
    items: int,
    user_feats: Any,
    item_feats: Any,
    hidden: int = 0,
    user_layer: str | None = None,
    item_layer: str | None = None,
    injection: str = "auto",
    loss: Loss | None = None,
    optimizer: MakeOptimizer | None = None,
    stores: Stores | None = None,
) -> CS3Pair:
    """Puts CS3 on two towers. The towers are changed in place; their old checkpoints still load.

    Args:
        user_tower: ``user_tower(feats) -> [B, d]`` or ``[B, facets, p]``, rows first.
        item_tower: likewise.
        config: which mechanisms, and how.
        users: number of users; keys are in [0, users).
        items: number of items.
        user_feats: a few users' features for the dry run, which finds the layers and widths.
        item_feats: a few items' features.
        hidden: width of the ranker's hidden vector, needed for CMS.
        user_layer: name of the linear layer through which r enters; the first one executed if None.
        item_layer: likewise.
        injection: "input", through that layer; "output", behind the tower; "auto", the first where it is possible.
            Towers that share their input layer need "output".
        loss: ``loss(u, v, labels)``; ``CosineLoss()`` if None. Its parameters are trained if it is a module.
        optimizer: makes the optimiser from parameters; Adam at 1e-3 if None.
        stores: where serving reads the vectors that were published, a file or a server, e.g. ``MappedStores(folder)``;
            the pair's own memory if None.

    Raises:
        ValueError: for towers, settings or stores that do not fit.
    """
    if injection not in INJECTIONS:
        raise ValueError(f"injection == '{injection}', must be one of {', '.join(INJECTIONS)}")
    if config.cms and hidden < 1:
        raise ValueError(f"hidden == {hidden}, must be the width of the ranker's hidden vector for cms")
    user, item = (
        _survey("user", user_tower, user_feats, user_layer),
        _survey("item", item_tower, item_feats, item_layer),
    )
    extras = CS3Extras(
        config,
        users=users,
        items=items,
        width=cts_vector(user.out).shape[1],
        hidden=hidden,
        item_vector_width=cts_vector(item.out).shape[1],
        stores=stores,
    )
    ways = _way(user, item, extras.user_width, injection), _way(item, user, extras.item_width, injection)
    inputs = _entrance(user, extras.user_width, ways[0]), _entrance(item, extras.item_width, ways[1])
    # Two towers may be methods of one module: what only the other one executes is none of this one's layers.
    leave_out = _only(item, user, inputs[1]), _only(user, item, inputs[0])
    extras.wrap(user.holder, item.holder, input_layers=inputs, leave_out=leave_out)
    return CS3Pair(
        _tower(user, extras.user_width, ways[0], seed=0),
        _tower(item, extras.item_width, ways[1], seed=1),
        extras,
        loss=CosineLoss() if loss is None else loss,
        optimizer=partial(torch.optim.Adam, lr=1e-3) if optimizer is None else optimizer,
        injections=ways,
    )


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A tower in its holder, the layer through which r may enter (None if there is none) and a sample of its output."""

    name: str
    holder: InputInjection
    layer: nn.Module | None
    layer_name: str
    executed: set[nn.Module]
    out: Tensor


def _survey(side: str, tower: nn.Module, feats: Any, layer_name: str | None) -> _Side:
    entrance, executed, out = dry_run(tower, feats)
    layer = entrance if layer_name is None else named_linear(tower, layer_name)
    if layer_name is not None and layer not in executed:
        raise ValueError(f"{side}_layer == '{layer_name}', must be a layer that the {side} tower executes")
    names = {module: name for name, module in tower.named_modules()}
    name = "" if layer is None else names[layer]
    holder = InputInjection(tower, Slot())
    return _Side(name=side, holder=holder, layer=layer, layer_name=name, executed=set(executed), out=out)


def _only(side: _Side, other: _Side, entrance: nn.Module | None) -> set[nn.Module]:
    """The layers that one tower executes and the other does not; ``entrance`` stands where its input layer did."""
    own = side.executed - other.executed
    return own | {entrance} if entrance is not None and side.layer in own else own


def _way(side: _Side, other: _Side, width: int, injection: str) -> str:
    """How r enters a tower: "none", "input:<layer>" or "output"."""
    if width == 0:
        return "none"
    # One layer cannot take the r of two towers.
    possible = side.layer is not None and side.layer not in other.executed
    if injection == "input" and not possible:
        raise ValueError(
            f"injection == 'input', must be 'output': the {side.name} tower has no linear layer of its own"
        )
    return f"input:{side.layer_name}" if possible and injection != "output" else "output"


def _entrance(side: _Side, width: int, way: str) -> nn.Module | None:
    """The input layer, widened in place if r enters there."""
    if not way.startswith("input:"):
        return side.layer
    assert isinstance(side.layer, nn.Linear)
    wide = WidenedLinear(side.layer, width, side.holder.slot)
    replace_modules(side.holder, {side.layer: wide})
    return wide


def _tower(side: _Side, width: int, way: str, seed: int) -> InputInjection | OutputAdapter:
    if way != "output":
        return side.holder
    return OutputAdapter(side.holder.tower, width=side.out.shape[-1], extras=width, seed=seed)
