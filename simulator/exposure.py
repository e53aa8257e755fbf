"""Who saw what: repeat exposures of (user, ad) pairs, as of a tick's start, and the fatigue that they cause."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.records import Floats, Keys

Pairs = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

_EMPTY = -1
_LEAST_BITS = 10
_FILTER_BITS = 3
_PHI = np.uint64(0x9E3779B97F4A7C15)
_STREET = np.arange(8)
"""Places looked at in one step, after the first place alone: most keys are there."""


class Exposures:
    """Counts of impressions per (user, ad) on the current day and the ``window - 1`` days before it.

    Fatigue wears off: what was shown before the window is forgotten, so a market can be stationary. The pairs live in a
    hash table with linear probing (Knuth, TAOCP 3, 6.4, algorithm L) that is read and filled a tick at a time, at most
    half full; a filter of eight flags per place says of nearly every pair that was never shown that it was not. Memory
    grows with the distinct pairs shown in the window and with the days lived of it, never with users x ads.

    Args:
        ads: number of ads.
        window: days that count, at least 1.
    """

    _shown: Counts
    _total: Counts

    def __init__(self, ads: int, window: int) -> None:
        if window < 1:
            raise ValueError(f"window == {window}, must be at least 1 day")
        self._ads = ads
        self._window = window
        self._today = 0
        self._clear(_LEAST_BITS, days=1)

    @property
    def places(self) -> int:
        """Places of the table, used or not: what its memory is proportional to."""
        return int(self._keys.size)

    def new_day(self) -> None:
        """Begin a day, forget the one that leaves the window."""
        if len(self._shown) < self._window:
            self._shown = np.vstack([self._shown, np.zeros((1, self.places), dtype=np.int32)])
        self._today = (self._today + 1) % len(self._shown)
        self._total -= self._shown[self._today]
        self._shown[self._today] = 0

    def add(self, users: Keys, ads: Keys) -> None:
        """Count the impressions of pairs [n] on the current day."""
        keys = users.astype(np.int64) * self._ads + ads
        if (self._used + keys.size) * 2 > self.places:
            self._grow(keys.size)
        at = self._claim(keys)
        np.add.at(self._shown[self._today], at, np.int32(1))
        np.add.at(self._total, at, np.int32(1))

    def counts(self, users: Keys, ads: Keys) -> Pairs:
        """How often each user [R, 1] (or [R]) has been shown ads [R, S] within the window -> int64, broadcast shape."""
        keys = users.astype(np.int64) * self._ads + ads
        total = np.zeros(keys.shape, dtype=np.int64)
        flat, out = keys.reshape(-1), total.reshape(-1)
        hashed = self._hash(flat)
        who = np.flatnonzero(self._met.take(hashed))
        at, wanted = hashed.take(who) >> _FILTER_BITS, flat.take(who)
        known = self._keys.take(at)
        same = known == wanted
        out[who] = self._total.take(at) * same
        on = np.flatnonzero(~(same | (known == _EMPTY)))
        while on.size:
            who, at, wanted = who[on], at[on] + 1, wanted[on]
            street = (at[:, None] + _STREET) & (self.places - 1)
            known = self._keys.take(street)
            same = known == wanted[:, None]
            row, column = np.nonzero(same)
            out[who[row]] = self._total[street[row, column]]
            on = np.flatnonzero(~(same | (known == _EMPTY)).any(axis=1))
            at += _STREET.size - 1
        return total

    def _clear(self, bits: int, days: int) -> None:
        self._keys: Pairs = np.full(1 << bits, _EMPTY, dtype=np.int64)
        self._shown = np.zeros((days, 1 << bits), dtype=np.int32)
        self._total = np.zeros(1 << bits, dtype=np.int32)
        self._met = np.zeros(1 << (bits + _FILTER_BITS), dtype=np.bool_)
        self._used = 0
        """At most so many places are taken: keys that met at one free place are counted each."""

    def _hash(self, keys: Pairs) -> Pairs:
        """Place in the filter of each key [n]; without its last bits, first place in the table (Fibonacci hashing)."""
        hashed = keys.view(np.uint64) * _PHI
        hashed >>= np.uint64(65 - self._met.size.bit_length())
        return hashed.view(np.int64)

    def _claim(self, keys: Pairs) -> Pairs:
        """Place of each key [n], taken for it if it had none; a key may come several times."""
        hashed = self._hash(keys)
        self._met[hashed] = True
        place = hashed >> _FILTER_BITS
        who = self._settle(keys, place)
        while who.size:
            wanted = keys[who]
            street = (place[who, None] + _STREET) & (self.places - 1)
            known = self._keys.take(street)
            fits = (known == wanted[:, None]) | (known == _EMPTY)
            # A full street sends its keys to the last place, where they meet a stranger and walk on.
            at = street[np.arange(who.size), np.where(fits.any(axis=1), fits.argmax(axis=1), _STREET.size - 1)]
            place[who] = at
            who = who[self._settle(wanted, at)]
        return place

    def _settle(self, keys: Pairs, at: Pairs) -> Pairs:
        """Write keys [n] to those of the places ``at`` that are free; which keys found a stranger there."""
        free = np.flatnonzero(self._keys.take(at) == _EMPTY)
        # Of different keys that write to one free place the last stays, a stranger to the others.
        self._keys[at[free]] = keys[free]
        self._used += free.size
        return np.flatnonzero(self._keys.take(at) != keys)

    def _grow(self, more: int) -> None:
        """Move the pairs that still count to a table with room for ``more`` new ones, at most a quarter full."""
        live = np.flatnonzero(self._total)
        keys, shown, total = self._keys[live], self._shown[:, live], self._total[live]
        self._clear(max(_LEAST_BITS, (4 * (live.size + more)).bit_length()), len(shown))
        at = self._claim(keys)
        self._shown[:, at], self._total[at] = shown, total
        self._used = live.size


def fatigue(counts: Pairs, strength: float) -> Floats:
    """Loss on the logit scale after ``counts`` earlier exposures: strength x log(1 + counts)."""
    return (strength * np.log1p(counts)).astype(np.float32)
