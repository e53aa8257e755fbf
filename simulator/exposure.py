"""Who saw what: repeat exposures of (user, ad) pairs, as of a tick's start, and the fatigue that they cause."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.records import Floats, Keys

Pairs = npt.NDArray[np.int64]


class Exposures:
    """Counts of impressions per (user, ad) on the current day and the ``window - 1`` days before it.

    Fatigue wears off: what was shown before the window is forgotten, so a market can be stationary. Each day is a few
    sorted runs, merged geometrically; memory grows with the distinct pairs shown in the window, never with users x ads.

    Args:
        ads: number of ads.
        window: days that count, at least 1.
    """

    def __init__(self, ads: int, window: int) -> None:
        if window < 1:
            raise ValueError(f"window == {window}, must be at least 1 day")
        self._ads = ads
        self._window = window
        self._days: list[list[tuple[Pairs, Pairs]]] = [[]]

    def new_day(self) -> None:
        """Begin a day, forget the one that leaves the window."""
        self._days.append([])
        del self._days[: -self._window]

    def add(self, users: Keys, ads: Keys) -> None:
        """Count the impressions of pairs [n] on the current day."""
        runs = self._days[-1]
        keys, counts = np.unique(users.astype(np.int64) * self._ads + ads, return_counts=True)
        runs.append((keys, counts.astype(np.int64)))
        # Each pair is moved O(log n) times.
        while len(runs) > 1 and runs[-1][0].size * 2 > runs[-2][0].size:
            right, left = runs.pop(), runs.pop()
            runs.append(_merge(left, right))

    def counts(self, users: Keys, ads: Keys) -> Pairs:
        """How often each user [R, 1] (or [R]) has been shown ads [R, S] within the window -> int64, broadcast shape."""
        keys = users.astype(np.int64) * self._ads + ads
        total = np.zeros(keys.shape, dtype=np.int64)
        for known, counts in (run for day in self._days for run in day if run[0].size):
            at = np.minimum(np.searchsorted(known, keys), known.size - 1)
            total += np.where(known[at] == keys, counts[at], 0)
        return total


def _merge(a: tuple[Pairs, Pairs], b: tuple[Pairs, Pairs]) -> tuple[Pairs, Pairs]:
    keys = np.concatenate([a[0], b[0]])
    counts = np.concatenate([a[1], b[1]])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts, starts)


def fatigue(counts: Pairs, strength: float) -> Floats:
    """Loss on the logit scale after ``counts`` earlier exposures: strength x log(1 + counts)."""
    return (strength * np.log1p(counts)).astype(np.float32)
