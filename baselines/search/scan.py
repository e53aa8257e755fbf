"""Exact search: the best ads of some requests by inner product + log bid, all ads scored, few scores kept.

1. Items lie as [d + 1, N]: the last row is the log bid, which a query weighs by 1. New bids are one row.
2. A block of items is multiplied into memory that stays in cache. The first block's maxima of groups give each
   request a bound that at least ``k`` of its scores reach.
3. Only scores above a request's bound are looked at again. Whenever their list is full, the best ``k`` stay and the
   least of them is the new bound: of N items in random order some ``k (1 + ln(N / block))`` are kept at some time.

Measured beside ``faiss.IndexFlatIP`` and a product with ``argpartition``: docs/performance.md.

Letters: R requests, N ads, d width of a vector, b ads of a block, C room for kept scores.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from simulator.records import Floats, Ints

CELLS = 1 << 21
"""Scores of a block, for all requests together."""
NARROWEST, WIDEST = 4096, 1 << 17
"""Ads of a block."""
FEW = 1 << 12
"""Scores in all up to which they are simply sorted."""
SPARE = 3
"""Room for so many times ``k`` scores besides the best ``k``."""
MAXIMA = 4
"""So many times ``k`` groups give the first bound."""
CLOSED = np.float32(-1e30)
"""Log bid of an ad that may not compete: finite, because a product with infinity may be no number."""
OPEN = np.float32(-1e29)


class Kept(NamedTuple):
    """Scores kept so far.

    Attributes:
        score: float32 [R, C], -inf where nothing is.
        ad: int64 [R, C], ascending in each row.
        filled: int64 [R], how many there are.
    """

    score: Floats
    ad: Ints
    filled: Ints


class Scan:
    """All items of a publication, and the bids of now.

    Safe to search from several threads. Bids that are offered meanwhile may reach a search of another thread in part.

    Args:
        items: float32 [N, d], copied.
    """

    def __init__(self, items: Floats) -> None:
        n, d = items.shape
        self._rows = np.empty((d + 1, n), dtype=np.float32)
        self._rows[:d] = items.T
        self._rows[d] = 0.0
        self._torch = torch.from_numpy(self._rows)
        self._mine = threading.local()
        self.size, self.width = n, d

    @property
    def log_bid(self) -> Floats:
        """float32 [N], ``CLOSED`` where an ad may not compete."""
        row: Floats = self._rows[-1]
        return row

    def offer(self, log_bid: Floats) -> None:
        """Rank by these log bids [N] from now on; -inf where an ad may not compete.

        Raises:
            ValueError: for another number of bids, or one that is not a number.
        """
        if log_bid.shape != (self.size,):
            raise ValueError(f"log_bid.shape == {log_bid.shape}, must be ({self.size},), one for each item")
        if np.isnan(log_bid).any():
            raise ValueError("log_bid == nan, must be a number or -inf")
        np.maximum(log_bid, CLOSED, out=self._rows[-1])

    def search(self, queries: Floats, k: int) -> tuple[Floats, Ints]:
        """The best ``k`` items of each query by inner product + log bid, ties by the lower item.

        Args:
            queries: float32 [R, d], finite.
            k: how many, at least 1.

        Returns:
            Scores and items, [R, min(k, N)], best first; items that may not compete last, as -inf and -1.
        """
        if k < 1:
            raise ValueError(f"k == {k}, must be at least 1")
        R, k = len(queries), min(k, self.size)
        if not R or not k:
            return np.zeros((R, k), dtype=np.float32), np.zeros((R, k), dtype=np.int64)
        asked = np.empty((R, self.width + 1), dtype=np.float32)
        asked[:, :-1], asked[:, -1] = queries, 1.0
        score, ad = self._all(asked, k) if R * self.size <= FEW else self._bounded(asked, k)
        closed = score < OPEN
        if closed.any():
            score[closed], ad[closed] = -np.inf, -1
        return score, ad

    def _all(self, asked: Floats, k: int) -> tuple[Floats, Ints]:
        """By sorting all scores: so few that a bound would cost more than it saves."""
        score, _ = self._multiplied(asked, 0, self.size)
        ad = np.argsort(-score, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(score, ad, axis=1), ad

    def _bounded(self, asked: Floats, k: int) -> tuple[Floats, Ints]:
        """By keeping what is above a bound that rises from block to block."""
        R = len(asked)
        width = int(np.clip(CELLS // R, NARROWEST, WIDEST))
        kept, bound = _nothing(R, (1 + SPARE) * k), None
        for first in range(0, self.size, width):
            score, above = self._multiplied(asked, first, min(width, self.size - first))
            if bound is None:
                bound = _first_bound(score, k)
            np.greater(score, bound[:, None], out=above)
            row_ends, place = _found(above)
            n = np.diff(row_ends)
            if (kept.filled + n).max() > kept.ad.shape[1]:
                kept, best_bound = _squeezed(kept, k, room=int(n.max()))
                bound = np.maximum(bound, best_bound)
            _append(kept, score, row_ends, place, first)
            if not first:
                kept, bound = _squeezed(kept, k, room=0)
        kept, _ = _squeezed(kept, k, room=0)
        order = np.argsort(-kept.score[:, :k], axis=1, kind="stable")
        return np.take_along_axis(kept.score, order, axis=1), np.take_along_axis(kept.ad, order, axis=1)

    def _multiplied(self, asked: Floats, first: int, n: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Scores [R, n] of the items from ``first`` on, and memory for as many flags; this thread's until next time."""
        R = len(asked)
        held: dict[str, Any] = self._mine.__dict__
        if held.get("cells", 0) < R * n:
            # Fresh memory of this size costs as much as the product.
            held.update(cells=R * n, score=np.empty(R * n, dtype=np.float32), above=np.empty(R * n, dtype=np.bool_))
        score: Floats = held["score"][: R * n].reshape(R, n)
        if R == 1:
            # Measured: NumPy's product of a vector is the faster one, of a matrix torch's.
            np.matmul(asked, self._rows[:, first : first + n], out=score)
        else:
            torch.mm(torch.from_numpy(asked), self._torch[:, first : first + n], out=torch.from_numpy(score))
        return score, held["above"][: R * n].reshape(R, n)


def _nothing(rows: int, room: int) -> Kept:
    return Kept(
        np.full((rows, room), -np.inf, dtype=np.float32),
        np.zeros((rows, room), dtype=np.int64),
        np.zeros(rows, dtype=np.int64),
    )


def _first_bound(score: Floats, k: int) -> Floats:
    """For each row of [R, b] a number that at least ``k`` of its scores are above, or -inf."""
    R, b = score.shape
    groups = b // max(b // (MAXIMA * k), 1)
    if groups < k:
        return np.full(R, -np.inf, dtype=np.float32)
    size = b // groups
    # Strided groups: maxima of whole rows of memory. Each of the k largest belongs to another score.
    maxima = score[:, : size * groups].reshape(R, size, groups).max(axis=1)
    least = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return np.nextafter(least, np.float32(-np.inf))


def _found(above: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Places of the flags set in [R, b], counted through all rows, and where each row's begin: int64 [R + 1]."""
    R, b = above.shape
    if above.size % 8:
        place = np.flatnonzero(above)
    else:
        # Flags are rare: eight at a time first.
        eights = above.reshape(-1).view(np.uint64)
        some = np.flatnonzero(eights)
        inside = np.flatnonzero(eights[some].view(np.bool_))
        place = (some * 8)[inside >> 3] + (inside & 7)
    return np.searchsorted(place, np.arange(R + 1) * b), place


def _append(kept: Kept, score: Floats, row_ends: Ints, place: Ints, first: int) -> None:
    """Adds what was found in a block; there is room for it."""
    R, b = score.shape
    n = np.diff(row_ends)
    row = np.repeat(np.arange(R), n)
    at = np.arange(place.size) + (kept.filled - row_ends[:-1] + np.arange(R) * kept.ad.shape[1])[row]
    kept.score.reshape(-1)[at] = score.reshape(-1)[place]
    kept.ad.reshape(-1)[at] = place - row * b + first
    kept.filled[:] += n


def _squeezed(kept: Kept, k: int, room: int) -> tuple[Kept, Floats]:
    """The best ``k`` of what is kept, ties by the lower item, with room for ``room`` more; and the least of each row.

    The least is -inf where fewer than ``k`` are there.
    """
    m = max(int(kept.filled.max()), k)
    R, there = kept.ad.shape
    score, ad = kept.score[:, :m], kept.ad[:, :m]
    least = np.partition(score, m - k, axis=1)[:, m - k]
    stays = score >= least[:, None]
    if stays.sum() > R * k:
        # Of those equal to the least, as many of the first as there is room for.
        equal = score == least[:, None]
        wanted = k - (stays & ~equal).sum(axis=1)
        stays &= ~equal | (np.cumsum(equal, axis=1) <= wanted[:, None])
    fresh = _nothing(R, max(there, k + room))
    fresh.score[:, :k], fresh.ad[:, :k] = score[stays].reshape(R, k), ad[stays].reshape(R, k)
    fresh.filled[:] = np.minimum(kept.filled, k)
    return fresh, least
