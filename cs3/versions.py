"""What was published when: the history of a vector table, kept as changed rows only.

Each published change of a row is one entry that points to the row's entry before it. Publishing costs the rows changed
since the last time, not the table, and reading "as of t" walks back from the newest entry, all rows of a batch at once.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

EVER = -(2**63)
NEVER = 2**63 - 1


class Versions:
    """Published rows of a table, now and as of any time within a horizon.

    Entry 0 is the cold row: zeros, published for ever. Entries hold ``vectors`` float32 [entries, width], ``since`` and
    ``until`` (from when to when they were the published ones) and ``before`` (the same row's entry before), all int64.
    """

    def __init__(self, rows: int, width: int, horizon: int) -> None:
        self.horizon = horizon
        self._head = torch.zeros(rows, dtype=torch.int64)
        self._vectors = torch.zeros(1, width)
        self._since = torch.tensor([EVER])
        self._until = torch.tensor([NEVER])
        self._before = torch.tensor([0])
        self._used = 1
        self._times = deque([EVER])

    @property
    def latest(self) -> int:
        """Time of the last publication; ``EVER`` if there was none."""
        return self._times[-1]

    def push(self, keys: Tensor, vectors: Tensor, now: int) -> None:
        """Publishes new vectors [n, width] of distinct keys [n] at time ``now``.

        Raises:
            ValueError: when something was published later than ``now``.
        """
        self.check(now)
        self._append(keys, vectors, now)
        self._times.append(now)
        while len(self._times) > 1 and self._times[1] <= now - self.horizon:
            self._times.popleft()

    def check(self, now: int) -> None:
        """Says whether a publication at ``now`` may follow the last one.

        Raises:
            ValueError: when something was published later.
        """
        if now < self._times[-1]:
            raise ValueError(f"now == {now}, must be at least {self._times[-1]}, the time of the last publication")

    def ever(self) -> Tensor:
        """Keys that were ever published -> int64 [n], ascending."""
        return self._head.nonzero().squeeze(1)

    def newest(self, keys: Tensor | None = None) -> Tensor:
        """Last published vectors of keys [n], or of all rows -> float32 [n, width]."""
        return self._vectors.index_select(0, self._head if keys is None else self._head[keys])

    def at(self, keys: Tensor, times: Tensor) -> Tensor:
        """Vectors of keys [n] that were the published ones at times [n] -> float32 [n, width].

        Raises:
            ValueError: when a time is older than what is kept.
        """
        if times.numel() and (oldest := int(times.amin())) < self._times[0]:
            raise ValueError(f"as_of == {oldest}, must be at least {self._times[0]}, the oldest version kept")
        entry = self._head[keys]
        while bool((late := self._since[entry] > times).any()):
            entry = torch.where(late, self._before[entry], entry)
        return self._vectors.index_select(0, entry)

    def snapshot(self) -> dict[str, object]:
        """A copy of everything, for ``restore``."""
        used = self._used
        entries = {"vectors": self._vectors, "since": self._since, "until": self._until, "before": self._before}
        copies = {name: part[:used].clone() for name, part in entries.items()}
        return {"head": self._head.clone(), **copies, "times": list(self._times)}

    def restore(self, state: dict[str, object]) -> None:
        """Continues from what ``snapshot`` gave; the state may be used again."""
        parts = {name: part.clone() for name, part in state.items() if isinstance(part, Tensor)}
        times = state["times"]
        assert isinstance(times, list)
        self._head, self._vectors = parts["head"], parts["vectors"]
        self._since, self._until, self._before = parts["since"], parts["until"], parts["before"]
        self._used = self._since.numel()
        self._times = deque(times)

    def _append(self, keys: Tensor, vectors: Tensor, now: int) -> None:
        if keys.numel() == 0:
            return
        self._reserve(keys.numel())
        start, stop = self._used, self._used + keys.numel()
        before = self._head[keys]
        self._vectors[start:stop] = vectors
        self._since[start:stop] = now
        self._until[start:stop] = NEVER
        self._before[start:stop] = before
        self._until[before] = now
        self._until[0] = NEVER
        self._head[keys] = torch.arange(start, stop)
        self._used = stop

    def _reserve(self, n: int) -> None:
        """Room for n more entries; grows to twice the need, so that forgetting and copying are rare."""
        if self._used + n <= self._since.numel():
            return
        self._forget()
        capacity = max(self._since.numel(), 2 * (self._used + n))
        self._vectors = _grown(self._vectors, capacity)
        self._since, self._until = _grown(self._since, capacity), _grown(self._until, capacity)
        self._before = _grown(self._before, capacity)

    def _forget(self) -> None:
        """Drops the entries that no time still allowed can reach: those replaced by the oldest version kept."""
        keep = self._until[: self._used] > self._times[0]
        kept = keep.nonzero().squeeze(1)
        place = keep.cumsum(0) - 1
        before = self._before[kept]
        self._before[: kept.numel()] = torch.where(keep[before], place[before], 0)
        for part in (self._vectors, self._since, self._until):
            part[: kept.numel()] = part[kept]
        self._head = place[self._head]
        self._used = kept.numel()


def _grown(part: Tensor, capacity: int) -> Tensor:
    room = part.new_zeros(capacity, *part.shape[1:])
    room[: part.shape[0]] = part
    return room
