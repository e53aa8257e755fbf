"""Published vectors in arrays: two slots a key, so that a publication is one number that steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cs3.stores import VectorStore, checked_keys, checked_publication, checked_size, checked_version
from cs3.versions import EVER


class TwoSlots:
    """Published vectors in given memory: each key has two slots, and one number says which of them are published.

    A publication writes the keys' other slots and the other of two heads, which say for each key the row of ``slots``
    where its vector is, and then steps ``sequence``, whose parity names the head: that one store is the publication.
    A writer that dies before it leaves the former publication whole. A reader that was overtaken by a step reads again.
    One writer at a time.

    Attributes:
        state: int64 [3]: ``sequence``, and the version of either head.
        heads: int32 [2, rows], rows of ``slots``.
        slots: float32 [1 + 2 rows, width]; row 0 is zero, what a cold key reads, key k has rows 1 + k and 1 + rows + k.
    """

    def __init__(self, state: Tensor, heads: Tensor, slots: Tensor) -> None:
        self.state, self.heads, self.slots = state, heads, slots
        self.rows = heads.shape[1]
        self._sequence = state[0]
        self.commit: Callable[[int], None] = self._step

    def sequence(self) -> int:
        """Publications so far."""
        return int(self._sequence)

    def version(self) -> int:
        """Of the last publication."""
        state: list[int] = self.state.tolist()
        return state[1 + state[0] % 2]

    def fetch(self, keys: Tensor) -> Tensor:
        """Keys int64 [n], checked -> float32 [n, width]."""
        while True:
            sequence = self._sequence.item()
            found = self.slots.index_select(0, self.heads[int(sequence) % 2].index_select(0, keys))
            if self._sequence.item() == sequence:
                return found

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool) -> None:
        """Publishes checked vectors [n, width] of checked keys [n]."""
        sequence = int(self.state[0])
        served, spare = self.heads[sequence % 2], self.heads[1 - sequence % 2]
        first = 1 + keys
        # Never the one of the two that readers are at.
        target = torch.where(served.index_select(0, keys) == first, first + self.rows, first)
        self.slots.index_copy_(0, target, vectors)
        if replace:
            spare.zero_()
        else:
            spare.copy_(served)
        spare.index_copy_(0, keys, target.to(spare.dtype))
        self.state[2 - sequence % 2] = version
        self.commit(sequence + 1)

    def _step(self, sequence: int) -> None:
        self.state[0] = sequence


class EmbeddedStore:
    """Vectors in the process's own arrays: 8 bytes a number, gone with the process.

    Attributes:
        rows: number of keys.
        width: columns of a vector.
    """

    def __init__(self, rows: int, width: int) -> None:
        self.rows, self.width = rows, width = checked_size(rows, width)
        self._slots = TwoSlots(
            torch.tensor([0, EVER, EVER]), torch.zeros(2, rows, dtype=torch.int32), torch.zeros(1 + 2 * rows, width)
        )

    def version(self) -> int:
        """Time of the last publication."""
        return self._slots.version()

    def fetch(self, keys: Tensor) -> Tensor:
        """Vectors of keys [n] -> float32 [n, width]."""
        return self._slots.fetch(checked_keys(keys, self.rows))

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool = False) -> None:
        """Publishes vectors [n, width] of distinct keys [n]."""
        keys, vectors = checked_publication(keys, vectors, rows=self.rows, width=self.width)
        version = checked_version(version, self.version(), replace=replace)
        self._slots.put(keys, vectors, version, replace=replace)

    def clear(self) -> None:
        """Back to no publication."""
        self._slots.put(torch.empty(0, dtype=torch.int64), torch.empty(0, self.width), EVER, replace=True)

    def close(self) -> None:
        """Nothing to let go of."""


class EmbeddedStores:
    """The embedded stores of one arm: a store that is opened again is the same one."""

    def __init__(self) -> None:
        self._ranker = ""
        self._stores: dict[tuple[str, str], EmbeddedStore] = {}

    def ranker(self) -> str:
        """Tag of the ranker whose cascade vectors are served."""
        return self._ranker

    def switch(self, ranker: str) -> None:
        """Serves this ranker's cascade vectors from now on."""
        self._ranker = ranker

    def open(self, table: str, *, rows: int, width: int, ranker: str = "") -> VectorStore:
        """The store of a table of a ranker's space."""
        store = self._stores.get((table, ranker))
        if store is None:
            store = self._stores[table, ranker] = EmbeddedStore(rows, width)
        wanted, found = (rows, width), (store.rows, store.width)
        if found != wanted:
            raise ValueError(f"store '{table}' (rows, width) == {found}, must be {wanted}")
        return store
