"""Who saw what: repeat exposures of (user, ad) pairs, as of a tick's start, and the fatigue that they cause."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.records import Floats, Keys

Pairs = npt.NDArray[np.int64]

_EMPTY = -1
_SMALLEST = 10
"""Bits of the smallest table."""
_PHI = np.uint64(0x9E3779B97F4A7C15)


class Exposures:
    """Counts of impressions per (user, ad) on the current day and the ``window - 1`` days before it.

    Fatigue wears off: what was shown before the window is forgotten, so a market can be stationary. The pairs live in a
    hash table with linear probing (Knuth, TAOCP 3, 6.4, algorithm L) that is read and filled a whole tick at a time,
    at most half full; memory grows with the distinct pairs shown in the window, never with users x ads.

    Args:
        ads: number of ads.
        window: days that count, at least 1.
    """

    def __init__(self, ads: int, window: int) -> None:
        if window < 1:
            raise ValueError(f"window == {window}, must be at least 1 day")
        self._ads = ads
        self._window = window
        self._today = 0
        self._clear(_SMALLEST)

    @property
    def places(self) -> int:
        """Places of the table, used or not: what its memory is proportional to."""
        return int(self._keys.size)

    def _clear(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._keys: Pairs = np.full(1 << bits, _EMPTY, dtype=np.int64)
        self._shown = np.zeros((self._window, 1 << bits), dtype=np.int32)
        self._used = 0  # an upper bound: keys that met in one free place are counted each

    def new_day(self) -> None:
        """Begin a day, forget the one that leaves the window."""
        self._today = (self._today + 1) % self._window
        self._shown[self._today] = 0

    def add(self, users: Keys, ads: Keys) -> None:
        """Count the impressions of pairs [n] on the current day."""
        keys = users.astype(np.int64) * self._ads + ads
        if (self._used + keys.size) * 2 > self._keys.size:
            self._grow(keys.size)
        np.add.at(self._shown[self._today], self._claim(keys), 1)

    def counts(self, users: Keys, ads: Keys) -> Pairs:
        """How often each user [R, 1] (or [R]) has been shown ads [R, S] within the window -> int64, broadcast shape."""
        keys = users.astype(np.int64) * self._ads + ads
        total = np.zeros(keys.shape, dtype=np.int64)
        flat, out = keys.reshape(-1), total.reshape(-1)
        at = self._home(flat)
        # Most keys find nobody at home; the others ask from door to door, all at once.
        who = np.flatnonzero(self._keys.take(at) != _EMPTY)
        at, wanted = at[who], flat[who]
        while who.size:
            known = self._keys[at]
            same = known == wanted
            out[who[same]] = self._shown[:, at[same]].sum(axis=0)
            on = ~same & (known != _EMPTY)
            who, at, wanted = who[on], (at[on] + 1) & (self._keys.size - 1), wanted[on]
        return total

    def _home(self, keys: Pairs) -> Pairs:
        """First place to look for each key [n]: Fibonacci hashing, the top bits of key x PHI."""
        return np.asarray((keys.view(np.uint64) * _PHI) >> self._shift).view(np.int64)

    def _claim(self, keys: Pairs) -> Pairs:
        """Place of each key [n], taken for it if it had none; a key may come several times."""
        place = self._home(keys)
        who = np.arange(keys.size)
        while who.size:
            at, wanted = place[who], keys[who]
            free = self._keys[at] == _EMPTY
            # Of different keys that write to one free place the last stays; the others see it and walk on.
            self._keys[at[free]] = wanted[free]
            self._used += int(np.count_nonzero(free))
            who = who[self._keys[at] != wanted]
            place[who] = (place[who] + 1) & (self._keys.size - 1)
        return place

    def _grow(self, more: int) -> None:
        """Move the pairs that still count to a table with room for ``more`` new ones, at most a quarter full."""
        live = np.flatnonzero(self._shown.any(axis=0))
        keys, shown = self._keys[live], self._shown[:, live]
        self._clear(max(_SMALLEST, int(4 * (live.size + more) - 1).bit_length()))
        self._shown[:, self._claim(keys)] = shown
        self._used = live.size


def fatigue(counts: Pairs, strength: float) -> Floats:
    """Loss on the logit scale after ``counts`` earlier exposures: strength x log(1 + counts)."""
    return (strength * np.log1p(counts)).astype(np.float32)
