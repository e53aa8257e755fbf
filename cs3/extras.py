"""The mechanisms as a tower trainer takes them: a config that says which are on, and an object that holds their state.

A trainer calls, for each micro-batch in event order: ``read``, its own forward, backward and step, then ``observe``
with what the forward gave; at each sync ``publish``; at serving ``published_users`` and ``published_items``. Nothing
that ``read`` gives can have seen a write of the same batch.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn

from cs3.cas import CASLinear, wrap_linears
from cs3.cms import CascadeVectors
from cs3.cts import CrossVectors
from cs3.published import PublishedTables
from cs3.store import DAY, TwoTables
from cs3.stores import Stores

MECHANISMS = ("cas", "cts", "cms")
CHOICES = {
    "cas_towers": ("user", "item", "both"),
    "read_as_of": ("serve", "latest"),
    "cms_serving": ("synced", "live"),
}


@dataclass(frozen=True, kw_only=True)
class CS3Config:
    """Which mechanisms are on, and how.

    Attributes:
        cas: re-weigh and rerun linear layers.
        cts: averages of the other tower's outputs on positives.
        cms: averages of the ranker's hidden vectors.
        alpha: decay of the cross vectors, in [0, 1).
        beta: decay of the cascade vectors, in [0, 1).
        beta_item: decay of the items' cascade vectors; beta if None.
        cas_towers: which towers CAS wraps, "user", "item" or "both".
        cas_skip_input: leave the input layer out of CAS.
        cycles: cycles of each wrapped layer.
        read_as_of: what training reads: "serve", the version that was published when the impression was served, or
            "latest", the live state, fresher than serving will be.
        cms_serving: "synced", serving reads s_u as of the last publish, or "live", as of the last write.
        cms_norm: LayerNorm the ranker's hidden vectors before they are written.
        bias_correct: read averages divided by ``1 - decay^n``, with ``log1p(n)`` beside them.
        horizon: seconds back for which versions are kept; more than the age of the oldest label.
    """

    cas: bool = False
    cts: bool = False
    cms: bool = False
    alpha: float = 0.8
    beta: float = 0.8
    beta_item: float | None = None
    cas_towers: str = "user"
    cas_skip_input: bool = True
    cycles: int = 1
    read_as_of: str = "serve"
    cms_serving: str = "synced"
    cms_norm: bool = False
    bias_correct: bool = False
    horizon: int = DAY

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "beta_item"):
            decay = getattr(self, name)
            if decay is not None and not 0.0 <= decay < 1.0:
                raise ValueError(f"{name} == {decay}, must be in [0, 1)")
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} == '{value}', must be one of {', '.join(known)}")
        if self.cycles < 1:
            raise ValueError(f"cycles == {self.cycles}, must be at least 1")
        if self.horizon < 0:
            raise ValueError(f"horizon == {self.horizon}, must be at least 0")


def _configured(mechanisms: Sequence[str], params: dict[str, Any]) -> CS3Config:
    known = [field.name for field in fields(CS3Config)]
    for name in params:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ValueError(f"parameter == '{name}', must be one of {', '.join(known)}{hint}")
    return CS3Config(**{**dict.fromkeys(mechanisms, True), **params})


def cs3(**params: Any) -> CS3Config:
    """All three mechanisms; ``params`` are fields of ``CS3Config`` (``cts=False`` leaves one out)."""
    return _configured(MECHANISMS, params)


def cas(**params: Any) -> CS3Config:
    """CAS alone."""
    return _configured(["cas"], params)


def cts(**params: Any) -> CS3Config:
    """CTS alone."""
    return _configured(["cts"], params)


def cms(**params: Any) -> CS3Config:
    """CMS alone."""
    return _configured(["cms"], params)


def merge(configs: Sequence[CS3Config]) -> CS3Config:
    """The union of configs: a mechanism is on if one turns it on, a setting is what one set it to.

    Raises:
        ValueError: for no config at all, or two that set one thing to different values.
    """
    if not configs:
        raise ValueError("configs == [], must hold at least one")
    merged: dict[str, Any] = {name: any(getattr(c, name) for c in configs) for name in MECHANISMS}
    for field in fields(CS3Config):
        if field.name not in MECHANISMS:
            chosen = {getattr(c, field.name) for c in configs} - {field.default}
            if len(chosen) > 1:
                raise ValueError(f"{field.name} == {' and '.join(map(repr, chosen))}, must be one value")
            merged[field.name] = chosen.pop() if chosen else field.default
    return CS3Config(**merged)


class CS3Extras:
    """The state of the mechanisms that are on, and the surgery on the towers.

    Attributes:
        config: what is on.
        cross: c_u and c_v, None without CTS.
        cascade: s_u and s_v, None without CMS.
        user_width: width of what the user tower reads, [c_u; s_u]; 0 with CAS alone.
        item_width: width of what the item tower reads, [c_v; s_v].
    """

    def __init__(
        self,
        config: CS3Config,
        *,
        users: int,
        items: int,
        width: int,
        hidden: int,
        item_vector_width: int | None = None,
        stores: Stores | None = None,
    ) -> None:
        """Makes empty state.

        Args:
            config: what is on.
            users: number of users.
            items: number of items.
            width: width of the user tower's output u.
            hidden: width of the ranker's hidden vector; anything without CMS.
            item_vector_width: width of the item tower's output v; ``width`` if None.
            stores: where serving reads what was published; the tables' own memory if None. What another process left
                there is served until the first ``publish``.

        Raises:
            ValueError: when a store is of another version or width.
        """
        self.config = config
        self._users, self._items = users, items
        horizon = config.horizon if config.read_as_of == "serve" else 0
        self.cross: CrossVectors | None = None
        self.cascade: CascadeVectors | None = None
        if config.cts:
            self.cross = CrossVectors(
                users=users,
                items=items,
                user_width=width,
                item_width=width if item_vector_width is None else item_vector_width,
                alpha=config.alpha,
                horizon=horizon,
                bias_correct=config.bias_correct,
            )
        if config.cms:
            self.cascade = CascadeVectors(
                users=users,
                items=items,
                width=hidden,
                beta=config.beta,
                beta_item=config.beta_item,
                horizon=horizon,
                bias_correct=config.bias_correct,
                norm=config.cms_norm,
                live=config.cms_serving == "live",
            )
        self.user_width = sum(part.users.read_width for part in self._parts)
        self.item_width = sum(part.items.read_width for part in self._parts)
        self._published = None if stores is None else PublishedTables(stores, self.cross, self.cascade)

    @property
    def _parts(self) -> list[TwoTables]:
        return [part for part in (self.cross, self.cascade) if part is not None]

    def wrap(
        self,
        user_tower: nn.Module,
        item_tower: nn.Module,
        *,
        input_layers: tuple[nn.Module | None, nn.Module | None] = (None, None),
        leave_out: tuple[Collection[nn.Module], Collection[nn.Module]] = ((), ()),
    ) -> None:
        """CAS surgery in place, before the optimiser is made; draws from no generator.

        Args:
            user_tower: changed if ``cas_towers`` says so.
            item_tower: likewise.
            input_layers: the layers that ``cas_skip_input`` leaves out; the first registered linear layer where None.
            leave_out: layers of each tower that CAS never wraps.

        Raises:
            ValueError: when a tower that CAS is to wrap has no layer for it.
        """
        if not self.config.cas:
            return
        skip, cycles = self.config.cas_skip_input, self.config.cycles
        towers = (user_tower, item_tower)
        for side, tower, first, others in zip(("user", "item"), towers, input_layers, leave_out, strict=True):
            if self.config.cas_towers not in (side, "both"):
                continue
            wrapped = wrap_linears(tower, skip_input=skip, cycles=cycles, input_layer=first, leave_out=others)
            # A tower that shares its layers with the other one finds them wrapped.
            if wrapped == 0 and not any(isinstance(part, CASLinear) for part in tower.modules()):
                name = type(tower).__name__
                raise ValueError(f"{side}_tower == {name}, must have a linear layer that CAS may wrap")

    def read(self, users: Tensor, items: Tensor, as_of: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the towers read in training.

        Args:
            users: integers [n].
            items: integers [n].
            as_of: int64 [n], when each impression was served; used when ``read_as_of`` is "serve".

        Returns:
            float32 [n, user_width] and [n, item_width], detached copies.
        """
        return self.read_users(users, as_of), self.read_items(items, as_of)

    def read_users(self, users: Tensor, as_of: Tensor | None) -> Tensor:
        """The user tower's half of ``read``, for a trainer that encodes each user of a batch once."""
        at = self._version(as_of)
        return _joined([part.users.read(users, at) for part in self._parts], users.numel())

    def read_items(self, items: Tensor, as_of: Tensor | None) -> Tensor:
        """The item tower's half of ``read``."""
        at = self._version(as_of)
        return _joined([part.items.read(items, at) for part in self._parts], items.numel())

    def published_users(self, users: Tensor | None = None) -> Tensor:
        """What the user tower reads at serving, of users [n] or all -> float32 [n, user_width]."""
        rows = self._users if users is None else users.numel()
        return _joined([part.users.published(users) for part in self._parts], rows)

    def published_items(self, items: Tensor | None = None) -> Tensor:
        """What the item tower reads when the index is built, of items [n] or all -> float32 [n, item_width]."""
        rows = self._items if items is None else items.numel()
        return _joined([part.items.published(items) for part in self._parts], rows)

    def observe(
        self, users: Tensor, items: Tensor, labels: Tensor, u: Tensor, v: Tensor, hidden: Tensor | None, now: int
    ) -> None:
        """Writes a batch, after the step that it trained.

        Args:
            users: integers [n], event order.
            items: integers [n].
            labels: [n] of 0 and 1.
            u: [n, width], user vectors of the forward before the step.
            v: [n, width], item vectors likewise.
            hidden: [n, hidden], the ranker's hidden vectors from before it trained on the batch; None without CMS.
            now: time of the write, seconds.

        Raises:
            ValueError: for rows that do not fit; nothing is written then.
        """
        if self.cascade is not None:
            cascade, vectors = self._given(hidden)
            cascade.check(users, items, vectors)
        if self.cross is not None:
            self.cross.write(users, items, labels, u, v, now)
        if self.cascade is not None:
            self.observe_ranker(users, items, hidden, now)

    def observe_ranker(self, users: Tensor, items: Tensor, hidden: Tensor | None, now: int) -> None:
        """Writes the ranker's hidden vectors only, where its training stream is not the towers'."""
        cascade, vectors = self._given(hidden)
        cascade.write(users, items, vectors, now)

    def adopt_ranker(self, version: str | int, warmed: CascadeVectors | None = None) -> None:
        """Declares the ranker's version; a new one empties the cascade vectors, whose space is gone.

        Args:
            version: the ranker's tag.
            warmed: see ``CascadeVectors.adopt``.
        """
        if self.cascade is not None:
            self.cascade.adopt(version, warmed)
            if self._published is not None:
                self._published.adopt()

    def publish(self, now: int) -> None:
        """Makes the live state the published one from ``now`` on."""
        for part in self._parts:
            part.check_time(now)
        for part in self._parts:
            part.publish(now)
        if self._published is not None:
            self._published.switch()

    def snapshot(self) -> dict[str, object]:
        """A copy of the whole state, for ``restore``; belongs in the checkpoint beside the stream position."""
        return {name: part.snapshot() for name, part in self._named_parts()}

    def restore(self, state: dict[str, object]) -> None:
        """Continues from what ``snapshot`` gave.

        Raises:
            ValueError: when it is of other mechanisms or another shape; nothing changes then.
        """
        parts = dict(self._named_parts())
        if set(state) != set(parts):
            raise ValueError(f"state == {sorted(state)}, must hold {sorted(parts)}")
        for name, part in parts.items():
            part.check_state(cast(dict[str, object], state[name]))
        if self._published is not None:
            cascade = cast(dict[str, object], state.get("cascade", {}))
            self._published.serve(cascade.get("published_ranker"))
        for name, part in parts.items():
            part.restore(cast(dict[str, object], state[name]))
        if self._published is not None:
            self._published.adopt()

    def _given(self, hidden: Tensor | None) -> tuple[CascadeVectors, Tensor]:
        if self.cascade is None or hidden is None:
            state = "off" if self.cascade is None else "on"
            raise ValueError(f"hidden == {'given' if hidden is not None else None}, must fit cms, which is {state}")
        return self.cascade, hidden

    def _version(self, as_of: Tensor | None) -> Tensor | None:
        if self.config.read_as_of != "serve":
            return None
        if as_of is None:
            raise ValueError("as_of == None, must be int64 [n] when read_as_of == 'serve'")
        return as_of

    def _named_parts(self) -> list[tuple[str, TwoTables]]:
        named: list[tuple[str, TwoTables | None]] = [("cross", self.cross), ("cascade", self.cascade)]
        return [(name, part) for name, part in named if part is not None]


def _joined(parts: list[Tensor], rows: int) -> Tensor:
    return torch.cat(parts, dim=1) if parts else torch.zeros(rows, 0)
