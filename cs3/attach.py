"""The plug-in door: two towers that know nothing of CS3 go in, a pair that trains and serves with it comes out.

    pair = attach(user_tower, item_tower, CS3Config(cas=True, cts=True, cms=True), users=..., items=..., ...)
    loss = pair.train_step(batch)               # read, forward, step (`learn`), write c (`observe`)
    pair.observe_ranker(users, items, h, now)   # write s
    pair.publish(now)                           # weights, c and s, all at once
    vectors = pair.encode_user(keys, feats)     # by published state only

A tower is any ``nn.Module`` with ``tower(feats) -> [B, d]`` (or ``[B, facets, p]``); feats is whatever it takes.
"""

from __future__ import annotations

import copy
import difflib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cs3.adapter import InputInjection, OutputAdapter
from cs3.cas import disable_fast_path, linears, replace_modules
from cs3.cms import CascadeVectors
from cs3.extras import CS3Config, CS3Extras
from cs3.stores import Stores
from cs3.towers import Loss, Towers, check_finite, check_weights, running_statistics_kept
from cs3.widened import Slot, WidenedLinear

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
INJECTIONS = ("auto", "input", "output")
FACETS_WIDTH = 128


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One micro-batch of labelled impressions, in event order.

    Attributes:
        users, items: integers [B], the keys.
        user_feats, item_feats: what the towers take.
        labels: [B] of 0 and 1.
        as_of: int64 [B], when each impression was served; None will do when ``read_as_of`` is "latest".
        now: time of training, seconds; the labels were known by then.
    """

    users: Tensor
    items: Tensor
    user_feats: Any
    item_feats: Any
    labels: Tensor
    as_of: Tensor | None
    now: int


class Step(NamedTuple):
    """What one training step gave.

    Attributes:
        loss: mean over the batch.
        u: the user tower's outputs of the forward before the step, [B, d] or [B, facets, p], detached.
        v: the item tower's, likewise.
    """

    loss: float
    u: Tensor
    v: Tensor


class CosineLoss(nn.Module):
    """Binary cross-entropy of ``logit = softplus(rho) cos(u, v) + bias``, both learned.

    A cosine with a fixed gain of 1 could move the odds by exp(2) at most.
    """

    def __init__(self, *, gain: float = 10.0, base_rate: float = 0.1) -> None:
        super().__init__()
        if not gain > 0:
            raise ValueError(f"gain == {gain}, must be above 0")
        if not 0 < base_rate < 1:
            raise ValueError(f"base_rate == {base_rate}, must be in (0, 1)")
        self.rho = nn.Parameter(torch.tensor(gain + math.log(-math.expm1(-gain))))
        self.bias = nn.Parameter(torch.tensor(math.log(base_rate / (1 - base_rate))))

    def logits(self, u: Tensor, v: Tensor) -> Tensor:
        """[B, d] and [B, d] -> [B]."""
        if u.dim() != 2 or u.shape != v.shape:
            raise ValueError(f"u.shape == {tuple(u.shape)}, must be [B, d] as v's, {tuple(v.shape)}; or give a loss")
        return functional.softplus(self.rho) * functional.cosine_similarity(u, v, dim=1, eps=1e-8) + self.bias

    def forward(self, u: Tensor, v: Tensor, labels: Tensor) -> Tensor:
        """Mean over the batch."""
        return functional.binary_cross_entropy_with_logits(self.logits(u, v), labels)


def cts_vector(out: Tensor) -> Tensor:
    """What CTS stores of a tower's output -> [B, width].

    A vector is itself; facets [B, facets, p] are laid side by side up to a width of 128, else averaged.
    """
    if out.dim() == 2:
        return out
    if out.dim() != 3:
        raise ValueError(f"tower output == {tuple(out.shape)}, must be [B, d] or [B, facets, p]")
    return out.flatten(1) if out.shape[1] * out.shape[2] <= FACETS_WIDTH else out.mean(dim=1)


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


class CS3Pair:
    """Two towers with CS3: trains online, publishes, serves what was published.

    The vector tables stay out of ``state_dict``: they belong in the checkpoint beside the stream position, and
    ``snapshot`` holds both.

    Attributes:
        user_tower: ``user_tower(feats, r)`` with the live weights.
        item_tower: likewise.
        loss: what training minimises.
        optimizer: made after the surgery.
        extras: the state of the mechanisms.
        injections: how r enters each tower: "input:<layer>", "output" or "none".
        clock: time of the last training step, the position in the stream; -1 before the first.
    """

    def __init__(
        self,
        user_tower: InputInjection | OutputAdapter,
        item_tower: InputInjection | OutputAdapter,
        extras: CS3Extras,
        *,
        loss: Loss,
        optimizer: MakeOptimizer,
        injections: tuple[str, str],
    ) -> None:
        self.user_tower = user_tower
        self.item_tower = item_tower
        self.extras = extras
        self.loss = loss
        self.injections = injections
        self.clock = -1
        self._live = Towers(user_tower, item_tower, loss)
        self._learner: nn.Module = self._live
        self._serving = copy.deepcopy(self._live).eval().requires_grad_(False)
        self.optimizer = optimizer(self._live.parameters())

    def train_step(self, batch: Batch) -> float:
        """Learns from one micro-batch: read, forward, step, then write c. Returns the loss.

        Raises:
            ValueError: for a batch that does not fit; nothing is learned or written then. Under ``parallel``, always: a
                rank that writes its own rows only would part from the others.
        """
        if self._learner is not self._live:
            raise ValueError("train_step == own rows only, must be learn and observe under parallel")
        step = self.learn(batch)
        self.observe(batch.users, batch.items, batch.labels, step.u, step.v, batch.now)
        return step.loss

    def learn(self, batch: Batch) -> Step:
        """The first half of ``train_step``: reads, forward, step; writes nothing into the tables.

        Raises:
            ValueError: for a batch that does not fit; nothing is learned then.
        """
        rows = (batch.users.numel(),)
        for name, part in (("users", batch.users), ("items", batch.items), ("labels", batch.labels)):
            if part.shape != rows:
                raise ValueError(f"{name}.shape == {tuple(part.shape)}, must be {rows}, one for each row")
        for name, feats in (("user_feats", batch.user_feats), ("item_feats", batch.item_feats)):
            check_finite(name, feats)
        check_finite("labels", batch.labels)
        reads = self.extras.read(batch.users, batch.items, batch.as_of)
        self._live.train()
        with running_statistics_kept(self._live):
            loss, u, v = self._learner(batch.user_feats, batch.item_feats, *reads, batch.labels)
            for name, out in (("u", u), ("v", v)):
                if out.shape[0] != rows[0]:
                    raise ValueError(f"{name}.shape == {tuple(out.shape)}, must have {rows[0]} rows, one for each key")
                check_finite(name, out)
            check_finite("loss", loss)
            u, v = u.detach(), v.detach()
            if self.extras.cross is not None:
                self.extras.cross.check(batch.users, batch.items, batch.labels, cts_vector(u), cts_vector(v))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.clock = batch.now
        return Step(float(loss.detach()), u, v)

    def observe(self, users: Tensor, items: Tensor, labels: Tensor, u: Tensor, v: Tensor, now: int) -> None:
        """The second half of ``train_step``: writes c; does nothing without CTS.

        Args:
            users: integers [n], in event order.
            items: integers [n].
            labels: [n] of 0 and 1.
            u: the user tower's outputs for these rows, as ``learn`` gave them: from before the step.
            v: the item tower's.
            now: time of the write, seconds.

        Raises:
            ValueError: for rows that do not fit; nothing is written then.
        """
        if self.extras.cross is not None:
            self.extras.cross.write(users, items, labels, cts_vector(u), cts_vector(v), now)

    def observe_ranker(self, users: Tensor, items: Tensor, hidden: Tensor, now: int) -> None:
        """Writes s: the ranker's hidden vectors [n, hidden] of labelled impressions, from before it trained on them.

        Call it after ``train_step`` on the same impressions; the ranker's stream may also sample its own.
        """
        self.extras.observe_ranker(users, items, hidden, now)

    def adopt_ranker(self, version: str | int, warmed: CascadeVectors | None = None) -> None:
        """Declares the ranker's version; a new one empties s, whose space is gone, or goes on from ``warmed``."""
        self.extras.adopt_ranker(version, warmed)

    def publish(self, now: int) -> None:
        """Makes weights, c and s visible to serving, all at once. Rebuild the item index right after."""
        self.extras.publish(now)
        self._serving.load_state_dict(self._live.state_dict())

    @torch.no_grad()
    def encode_user(self, keys: Tensor, feats: Any) -> Tensor:
        """Users [B] and their features -> the user tower's output, by published state."""
        out: Tensor = self._serving.user(feats, self.extras.published_users(keys))
        return out

    @torch.no_grad()
    def encode_item(self, keys: Tensor, feats: Any) -> Tensor:
        """Items [B] and their features -> the item tower's output, by published state."""
        out: Tensor = self._serving.item(feats, self.extras.published_items(keys))
        return out

    def serving_user(self) -> nn.Module:
        """A copy of the published user tower: ``tower(feats, r [B, user_width])``, for ``torch.export`` or shipping.

        r is what ``extras.published_users(keys)`` gives. A later ``publish`` does not reach the copy.
        """
        return copy.deepcopy(self._serving.user)

    def serving_item(self) -> nn.Module:
        """A copy of the published item tower; r is what ``extras.published_items(keys)`` gives."""
        return copy.deepcopy(self._serving.item)

    def compile(self, **options: Any) -> None:
        """Compiles the training forward and both serving towers in place; ``options`` are those of ``torch.compile``.

        Publishing still reaches the compiled towers.
        """
        for module in (self._live, self._serving.user, self._serving.item):
            module.compile(**options)

    def parallel(self, wrap: Callable[[nn.Module], nn.Module]) -> None:
        """Wraps the training forward, both towers and the loss in one: ``pair.parallel(DistributedDataParallel)``.

        Each rank then calls ``learn`` on its shard and ``observe`` on the rows of all ranks; see ``gather_rows``.
        """
        self._learner = wrap(self._live)

    def to(self, *args: Any, **kwargs: Any) -> CS3Pair:
        """Moves towers, loss and optimiser state as ``nn.Module.to`` would; call it before ``parallel``.

        The vector tables stay in CPU memory as float32: what is read moves with each call to where the tower is.
        """
        before = list(self._live.parameters())
        self._live.to(*args, **kwargs)
        self._serving.to(*args, **kwargs)
        # Between some devices a parameter cannot be changed in place, and a new one takes its name.
        moved: dict[Tensor, Tensor] = dict(zip(before, self._live.parameters(), strict=True))
        for group in self.optimizer.param_groups:
            group["params"] = [moved.get(parameter, parameter) for parameter in group["params"]]
        self.optimizer.state = defaultdict(dict, {moved.get(p, p): part for p, part in self.optimizer.state.items()})
        # Loading brings each state to the device and type of its parameter.
        self.optimizer.load_state_dict(self.optimizer.state_dict())
        return self

    def snapshot(self) -> dict[str, object]:
        """All state, copied; the global generator (dropout) is its owner's to save."""
        return {
            "live": copy.deepcopy(self._live.state_dict()),
            "serving": copy.deepcopy(self._serving.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "extras": self.extras.snapshot(),
            "clock": self.clock,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Continues, bit-equal, from what ``snapshot`` gave.

        Raises:
            ValueError: for the state of another pair; nothing changes then.
        """
        wanted = {"live", "serving", "optimizer", "extras", "clock"}
        if set(state) != wanted:
            raise ValueError(f"state == {sorted(state)}, must hold {sorted(wanted)}")
        for name, module in (("live", self._live), ("serving", self._serving)):
            check_weights(name, cast(dict[str, Tensor], state[name]), module)
        before = self.snapshot()
        try:
            self._load(state)
        except Exception:
            self._load(before)
            raise

    def _load(self, state: dict[str, object]) -> None:
        self._live.load_state_dict(cast(dict[str, Any], state["live"]))
        self._serving.load_state_dict(cast(dict[str, Any], state["serving"]))
        self.optimizer.load_state_dict(copy.deepcopy(cast(dict[str, Any], state["optimizer"])))
        self.extras.restore(cast(dict[str, object], state["extras"]))
        self.clock = cast(int, state["clock"])


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
