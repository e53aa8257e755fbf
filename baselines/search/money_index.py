"""Approximate search in the order of expected money: rows [gain * v; log bid], query [u; 1] (docs/formulas.md 8).

Bids and eligibility change every tick, the index is built once a sync. The rule:

1. The rows hold the log bids of the first search after the vectors were published. An ad whose log bid is more than
   ``MOVED`` away from the one in its row is a candidate of every request; when there are more of these than candidates
   that are asked for, the index is built again with today's bids.
2. Who may compete is a filter of the search itself, as of now.
3. ``over`` times as many candidates as wanted are asked for; whoever asks ranks them by their exact logit + log bid as
   of now. No stale bid reaches an order that is served.
4. Where at most ``FEW`` times as many ads as are asked for may compete, or fewer than one ad in ``SPARSE`` may, all
   that may are listed: a filtered graph loses its way.

A list may be short; whoever asked makes up for it by an exact scan.

Letters: R queries, A items, w width of a vector, m candidates.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from baselines.search.faiss_index import GROUP, Index, build, build_in_blocks, bytes_of, search
from simulator.records import Flags, Floats, Ints

MOVED = 0.05
FEW = 2
SPARSE = 10


class Made(NamedTuple):
    """Vectors that are made when they are asked for, because all of them together are too many to keep.

    Attributes:
        shape: (A, w).
        of: makes the vectors of a slice, float32 [.., w].
    """

    shape: tuple[int, int]
    of: Callable[[slice], npt.NDArray[np.float32]]


class MoneyIndex:
    """A FAISS index over vectors and log bids.

    Args:
        kind: ``hnsw``, ``ivf`` or ``pq`` (or ``flat``, exact).
        vectors: float32 [A, w], not copied, or what makes them.
        gain: what makes a product of vectors a logit, positive.
        over: candidates that are asked for, per one that is wanted.
    """

    def __init__(self, kind: str, vectors: npt.NDArray[np.float32] | Made, gain: float, over: int = 2) -> None:
        self._kind, self._vectors, self._gain, self._over = kind, vectors, gain, over
        self._index: Index | None = None
        self._log_bid = np.zeros(vectors.shape[0], dtype=np.float32)
        self._known = np.zeros(vectors.shape[0], dtype=bool)
        self.builds = 0
        """How often it was built."""

    def listed(self, queries: Floats, log_bid: Floats, k: int) -> Ints:
        """Candidates of queries [R, w] -> items int64 [R, m], ascending, -1 pads first.

        Args:
            queries: the users' vectors.
            log_bid: [A], -inf where an item may not be taken.
            k: how many are wanted in the end.
        """
        eligible = np.isfinite(log_bid)
        there = int(eligible.sum())
        m = self._over * k
        if there <= max(FEW * m, log_bid.size // SPARSE):
            return np.broadcast_to(np.flatnonzero(eligible), (len(queries), there)).astype(np.int64)
        moved = eligible & (np.abs(log_bid - self._log_bid) > MOVED) if self._index is not None else eligible
        if self._index is None or moved.sum() > m:
            self._build(log_bid, eligible)
            moved = np.zeros(log_bid.size, dtype=bool)
        assert self._index is not None
        one = np.zeros((len(queries), self._index.width - self._vectors.shape[1]), dtype=np.float32)
        one[:, 0] = 1.0
        _, found = search(self._index, np.concatenate([queries, one], axis=1), m, eligible & ~moved)
        besides = np.broadcast_to(np.flatnonzero(moved), (len(queries), int(moved.sum())))
        return np.sort(np.concatenate([found, besides], axis=1), axis=1)

    def _build(self, log_bid: Floats, eligible: Flags) -> None:
        """Rows with today's bids; an item that may not be taken keeps its last bid, or stands at the middle."""
        typical = np.median(log_bid[eligible])
        last = np.where(self._known, self._log_bid, typical)
        self._log_bid = np.where(eligible, log_bid, last).astype(np.float32)
        self._known |= eligible
        money = np.zeros((log_bid.size, GROUP if self._kind == "pq" else 1), dtype=np.float32)
        # The same number off every row moves no order; centred, log bids add the least to the rows' lengths.
        money[:, 0] = self._log_bid - typical
        of = self._vectors.of if isinstance(self._vectors, Made) else self._vectors.__getitem__

        def rows(some: slice) -> npt.NDArray[np.float32]:
            return np.concatenate([self._gain * of(some), money[some]], axis=1)

        if self._kind == "pq":
            self._index = build_in_blocks(rows, len(money), self._vectors.shape[1] + GROUP)
        else:
            self._index = build(rows(slice(None)), self._kind)
        self.builds += 1

    def held(self) -> int:
        """Bytes of the index and of the bids that it was built with."""
        return self._log_bid.nbytes + self._known.nbytes + (bytes_of(self._index) if self._index is not None else 0)

    def reaching(self, over: int) -> MoneyIndex:
        """The same index, as far as it is built, asked for ``over`` candidates per one that is wanted."""
        other = copy.copy(self)
        other._over = over
        return other
