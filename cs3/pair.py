"""Two towers with CS3: one training step, what is published, what is served, what a checkpoint holds."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from cs3.adapter import InputInjection, OutputAdapter
from cs3.cms import CascadeVectors
from cs3.cts import cts_vector
from cs3.extras import CS3Extras
from cs3.towers import Loss, Towers, check_finite, check_weights, running_statistics_kept

MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


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
