"""Moving averages by key: the one place where CS3's memory is written.

For key k with values x_1..x_n in a batch, in event order, and c_0 what the table held before it,

    c_n = decay^n c_0 + (1 - decay) * sum_j decay^(n-j) x_j

which is what n writes one after the other give. An indexed assignment would keep one arbitrary value; an ``index_add``
of ``(1 - decay)(x_j - c_0)`` would weigh c_0 by ``1 - n (1 - decay)``, which is negative for n > 5 at decay 0.8.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from cs3.stores import AnotherWriterError, VectorStore, checked_keys
from cs3.versions import EVER, Versions

DAY = 86_400
BLOCK = 1024
"""Rows averaged at a time: what is copied on the way stays in the cache, and the allocator needs no new pages."""


def checked_values(values: Tensor, rows: int, like: Tensor) -> Tensor:
    """Detached values [rows, width of ``like``] in the dtype of ``like``, on the CPU.

    Raises:
        ValueError: for another shape, or a NaN or an infinity in them.
    """
    expected = (rows, like.shape[1])
    if tuple(values.shape) != expected:
        raise ValueError(f"values.shape == {tuple(values.shape)}, must be {expected}")
    values = values.detach().to(device="cpu", dtype=like.dtype)
    # A finite sum proves finite values at a fraction of the cost; a sum may overflow where the values do not.
    if not bool(values.sum().isfinite()) and not bool(values.isfinite().all()):
        wrong = int((~values.isfinite()).sum())
        raise ValueError(f"values == {wrong} of {values.numel()} not finite, must all be finite")
    return values


@torch.no_grad()
def ema_(table: Tensor, counts: Tensor, keys: Tensor, values: Tensor, decay: float) -> None:
    """Writes a batch into moving averages in place, equal to writing its rows one after the other.

    Args:
        table: float [rows, width], c.
        counts: int32 [rows], number of writes of each row.
        keys: integers [n] in [0, rows), in event order, duplicates welcome.
        values: float [n, width], detached before use.
        decay: weight of the past in one write, in [0, 1].

    Raises:
        ValueError: for bad keys, values or decay; nothing is written then.
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay == {decay}, must be in [0, 1]")
    keys = checked_keys(keys, table.shape[0])
    values = checked_values(values, keys.numel(), table)
    if keys.numel() == 0:
        return
    ordered, order = _by_key(keys)
    rows, run, lengths = torch.unique_consecutive(ordered, return_inverse=True, return_counts=True)
    powers, shares = _powers(decay, int(lengths.max()), table.dtype)
    ends = lengths.cumsum(0)
    starts = ends - lengths
    from_end = (ends - 1).index_select(0, run).sub_(torch.arange(keys.numel()))
    weights = shares.index_select(0, from_end)
    kept = powers.index_select(0, lengths)
    target = _in_wide_elements(table)
    for first in range(0, rows.numel(), BLOCK):
        block = slice(first, first + BLOCK)
        to, low, high = rows[block], int(starts[first]), int(ends[block][-1])
        # One weighted sum per run of equal keys, gathering the values through `order` as it goes.
        sums = functional.embedding_bag(
            order[low:high], values, starts[block] - low, mode="sum", per_sample_weights=weights[low:high]
        )
        # A sum of one row each: gathers and decays the past in one pass.
        past = functional.embedding_bag(to, table, torch.arange(to.numel()), mode="sum", per_sample_weights=kept[block])
        target.index_copy_(0, to, past.add_(sums).view(target.dtype))
    counts.index_add_(0, rows, lengths.to(counts.dtype))


@lru_cache(maxsize=64)
def _powers(decay: float, longest: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """``decay^i`` and ``(1 - decay) decay^i`` for i up to ``longest``; read only, as every write shares them."""
    powers = torch.pow(decay, torch.arange(longest + 1).to(dtype))
    return powers, powers * (1.0 - decay)


def _by_key(keys: Tensor) -> tuple[Tensor, Tensor]:
    """A stable sort of keys [n]: the keys in order, and where each came from.

    Key and place share one integer, so that any sort of plain integers is stable; NumPy's, where it is installed, takes
    a tenth of the time of torch's, which carries the places along.
    """
    bits = keys.numel().bit_length()
    packed = (keys << bits) | torch.arange(keys.numel())
    try:
        packed.numpy().sort()
    except RuntimeError:  # torch was installed without NumPy
        packed = packed.sort().values
    return packed >> bits, packed & ((1 << bits) - 1)


def _in_wide_elements(table: Tensor) -> Tensor:
    """The same memory in elements of 16 bytes where rows can be cut so: an indexed copy costs by the element."""
    cut = table.is_contiguous() and table.shape[1] * table.element_size() % 16 == 0
    aligned = table.storage_offset() * table.element_size() % 16 == 0
    return table.view(torch.complex128) if cut and aligned else table


class VectorTable:
    """Moving averages by key, live and as they were published.

    Unseen keys are zero rows. Every read is a detached copy. Lives in CPU memory; what is published may be served from
    a ``VectorStore``.

    Attributes:
        live: float32 [rows, width], the averages as last written.
        counts: int32 [rows], writes of each row.
        last: int64 [rows], time of each row's last write, -1 if never.
        decay: weight of the past in one write.
        bias_correct: reads give ``c / (1 - decay^n)`` and one more column, ``log1p(n)``.
        read_width: columns of a read.
        store: where ``published`` reads and ``publish`` puts; None for the process's own memory.
    """

    def __init__(self, rows: int, width: int, *, decay: float, horizon: int = DAY, bias_correct: bool = False) -> None:
        """Makes an empty table.

        Args:
            rows: number of keys.
            width: width of a written vector.
            decay: weight of the past in one write, in [0, 1).
            horizon: seconds back from the last publication for which ``read(as_of=...)`` must be answered.
            bias_correct: see the class.
        """
        for name, value, least in (("rows", rows, 1), ("width", width, 1), ("horizon", horizon, 0)):
            if value < least:
                raise ValueError(f"{name} == {value}, must be at least {least}")
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay == {decay}, must be in [0, 1)")
        self.decay = decay
        self.bias_correct = bias_correct
        self.read_width = width + int(bias_correct)
        self.live = torch.zeros(rows, width)
        self.counts = torch.zeros(rows, dtype=torch.int32)
        self.last = torch.full((rows,), -1, dtype=torch.int64)
        self._changed = torch.zeros(rows, dtype=torch.bool)
        self._versions = Versions(rows, self.read_width, horizon)
        self.store: VectorStore | None = None
        self._next: VectorStore | None = None

    @property
    def rows(self) -> int:
        """Number of keys."""
        return self.live.shape[0]

    @property
    def published_at(self) -> int:
        """Time of the last publication, far in the past if there was none."""
        return self._versions.latest

    def check(self, keys: Tensor, values: Tensor) -> None:
        """Raises what ``write`` would raise, for a caller that writes to two tables or to none."""
        checked_values(values, checked_keys(keys, self.rows).numel(), self.live)

    def write(self, keys: Tensor, values: Tensor, now: int) -> None:
        """Averages values [n, width] into the rows of keys [n], in event order, at time ``now``.

        Raises:
            ValueError: for bad keys or values; nothing is written then.
        """
        ema_(self.live, self.counts, keys, values, self.decay)
        keys = keys.to(device="cpu", dtype=torch.int64)
        self.last.index_fill_(0, keys, now)
        self._changed.index_fill_(0, keys, True)

    def publish(self, now: int) -> None:
        """Makes the live state the published one from ``now`` on; times never go back.

        Raises:
            ValueError: when something was published later than ``now``.
            StoreError: when the store is away or refuses, or when somebody else publishes there at the same time;
                nothing is published in this process then, and it may be tried again.
        """
        self._versions.check(now)
        keys = self._changed.nonzero().squeeze(1)
        vectors = self._seen(keys)
        self._put(keys, vectors, now)
        self._versions.push(keys, vectors, now)
        self._changed[keys] = False

    def serve_from(self, store: VectorStore) -> None:
        """Serves from a store from now on, as it is: what another process left there is served until ``publish``.

        Raises:
            ValueError: when the store has another number of rows or another width.
        """
        self._check_store(store)
        self.store, self._next = store, None

    def move_to(self, store: VectorStore) -> None:
        """Serves from another store from the next publication on, which puts the whole table there."""
        self._check_store(store)
        self._next = store

    def take_over(self, other: VectorTable) -> None:
        """Goes on from another table's live state, e.g. one that was warmed up beside this; published at ``publish``.

        Raises:
            ValueError: when it is of another shape.
        """
        if other.live.shape != self.live.shape:
            raise ValueError(f"table.shape == {tuple(other.live.shape)}, must be {tuple(self.live.shape)}")
        self._changed |= (self.counts > 0) | (other.counts > 0)
        self.live, self.counts, self.last = other.live.clone(), other.counts.clone(), other.last.clone()

    def read(self, keys: Tensor, as_of: Tensor | None = None) -> Tensor:
        """Rows of keys [n] -> float32 [n, read_width].

        Args:
            keys: integers [n].
            as_of: int64 [n], for each row the time whose published version is wanted, the newest published at or before
                it; None for the live state.

        Raises:
            ValueError: for bad keys, or a time older than the horizon keeps.
        """
        keys = checked_keys(keys, self.rows)
        if as_of is None:
            return self._seen(keys)
        if as_of.shape != keys.shape or as_of.is_floating_point():
            raise ValueError(f"as_of == {as_of.dtype} {tuple(as_of.shape)}, must be integers {tuple(keys.shape)}")
        return self._versions.at(keys, as_of.to(device="cpu", dtype=torch.int64))

    def published(self, keys: Tensor | None = None) -> Tensor:
        """Last published rows of keys [n], or of all keys -> float32 [n, read_width]."""
        if self.store is not None:
            return self.store.fetch(torch.arange(self.rows) if keys is None else keys)
        return self._versions.newest(None if keys is None else checked_keys(keys, self.rows))

    def reset(self) -> None:
        """Empties the live state. What was published stays so until the next ``publish``."""
        self._changed |= self.counts > 0
        self.live.zero_()
        self.counts.zero_()
        self.last.fill_(-1)

    def snapshot(self) -> dict[str, object]:
        """A copy of the whole state, versions included."""
        return {
            "live": self.live.clone(),
            "counts": self.counts.clone(),
            "last": self.last.clone(),
            "changed": self._changed.clone(),
            "versions": self._versions.snapshot(),
        }

    def check_state(self, state: dict[str, object]) -> None:
        """Raises what ``restore`` would raise, for a caller that restores several tables or none."""
        live = cast(Tensor, state["live"])
        if live.shape != self.live.shape:
            raise ValueError(f"state.shape == {tuple(live.shape)}, must be {tuple(self.live.shape)}")
        width = cast(dict[str, Tensor], state["versions"])["vectors"].shape[1]
        if width != self.read_width:
            raise ValueError(f"state.read_width == {width}, must be {self.read_width}")

    def restore(self, state: dict[str, object]) -> None:
        """Continues from what ``snapshot`` gave.

        Raises:
            ValueError: when it is of a table of another shape; nothing changes then.
        """
        self.check_state(state)
        self.live = cast(Tensor, state["live"]).clone()
        self.counts = cast(Tensor, state["counts"]).clone()
        self.last = cast(Tensor, state["last"]).clone()
        self._changed = cast(Tensor, state["changed"]).clone()
        self._versions.restore(cast(dict[str, object], state["versions"]))
        if self.store is not None:
            keys = self._versions.ever()
            self.store.put(keys, self._versions.newest(keys), max(self.published_at, EVER + 1), replace=True)

    def _check_store(self, store: VectorStore) -> None:
        found, wanted = (store.rows, store.width), (self.rows, self.read_width)
        if found != wanted:
            raise ValueError(f"store (rows, width) == {found}, must be {wanted}")

    def _put(self, keys: Tensor, vectors: Tensor, now: int) -> None:
        """Puts the changes in the store; the whole table where the store is not as this table last published it."""
        store = self.store if self._next is None else self._next
        if store is None:
            return
        if self._next is not None or store.version() != self.published_at:
            self._put_all(store, now)
        else:
            try:
                store.put(keys, vectors, now)
            except AnotherWriterError:
                if store.version() != self.published_at:
                    raise  # somebody publishes at the same time
                self._put_all(store, now)  # somebody's of the same time as this table's last one
        if self._next is not None:
            former, self.store, self._next = self.store, self._next, None
            if former is not None and former is not self.store:
                former.close()

    def _put_all(self, store: VectorStore, now: int) -> None:
        keys = (self.counts > 0).nonzero().squeeze(1)
        store.put(keys, self._seen(keys), now, replace=True)

    def _seen(self, keys: Tensor) -> Tensor:
        """Live rows as a tower reads them."""
        rows = self.live.index_select(0, keys)
        if not self.bias_correct:
            return rows
        n = self.counts.index_select(0, keys).to(rows.dtype).unsqueeze(1)
        weight = 1.0 - torch.pow(self.decay, n)
        return torch.cat([torch.where(n > 0, rows / weight.clamp_min(1e-12), 0.0), n.log1p()], dim=1)


class TwoTables:
    """A table for each side.

    Attributes:
        users: what the user tower reads.
        items: what the item tower reads.
    """

    def __init__(self, users: VectorTable, items: VectorTable) -> None:
        self.users = users
        self.items = items

    def check_time(self, now: int) -> None:
        """Raises what ``publish`` would raise: time never goes back."""
        latest = max(self.users.published_at, self.items.published_at)
        if now < latest:
            raise ValueError(f"now == {now}, must be at least {latest}, the time of the last publication")

    def publish(self, now: int) -> None:
        """Publishes both tables, or none when ``now`` is before the last publication of one."""
        self.check_time(now)
        self.users.publish(now)
        self.items.publish(now)

    def reset(self) -> None:
        """Empties both tables."""
        self.users.reset()
        self.items.reset()

    def snapshot(self) -> dict[str, object]:
        """A copy of both tables."""
        return {"users": self.users.snapshot(), "items": self.items.snapshot()}

    def check_state(self, state: dict[str, object]) -> None:
        """Raises what ``restore`` would raise."""
        self.users.check_state(cast(dict[str, object], state["users"]))
        self.items.check_state(cast(dict[str, object], state["items"]))

    def restore(self, state: dict[str, object]) -> None:
        """Continues from what ``snapshot`` gave; nothing changes when it is of another shape."""
        self.check_state(state)
        self.users.restore(cast(dict[str, object], state["users"]))
        self.items.restore(cast(dict[str, object], state["items"]))
