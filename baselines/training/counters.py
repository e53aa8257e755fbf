"""Online counters: smoothed click rates and log counts, matured and published like everything else.

What a competent team feeds its models: how often has this ad, its category, this user, and this user on this category
been shown and clicked. Shows are weighed by the click rate of their slot relative to slot 0 (clicks over expected
clicks), so that a low slot does not look like a bad ad.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.records import MOST_SLOTS, Catalog, Floats, Impressions, Keys

PRIOR = 20.0
"""Impressions at the parent's rate that a smoothed rate starts with."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What one sync published. Never written afterwards.

    Attributes:
        at: time of the sync.
        user: float32 [U, 2 + 2C]: log-odds of the smoothed rate over the base, log count, then both per category.
        ad: float32 [A, 4]: the same pair for the ad and for its category.
        user_last, ad_last: float32 [U], [A], time of the last matured impression, -inf if there was none.
    """

    at: int
    user: Floats
    ad: Floats
    user_last: npt.NDArray[np.float64]
    ad_last: npt.NDArray[np.float64]


class Counters:
    """Counts of one arm. ``update`` takes matured rows, ``publish`` makes them visible, ``*_features`` read a version.

    Args:
        catalog: sizes, categories, base rate.
        horizon: seconds for which old versions are kept, at least label wait + tick + sync.
    """

    def __init__(self, catalog: Catalog, horizon: int = 14_400) -> None:
        U, A, C = catalog.users.rows, catalog.ads.rows, catalog.categories
        self._category = catalog.category
        self._base = catalog.base_ctr
        self._horizon = horizon
        self._user = np.zeros((U, C, 2))
        self._ad = np.zeros((A, 2))
        self._slot = np.tile([[PRIOR * self._base, PRIOR]], (MOST_SLOTS, 1))
        self._user_last = np.full(U, -np.inf)
        self._ad_last = np.full(A, -np.inf)
        self._touched: list[Keys] = []
        self._versions: deque[Published] = deque()
        self._versions.append(
            Published(
                at=-(1 << 60),
                user=self._user_table(np.arange(U)),
                ad=self._ad_table(),
                user_last=self._user_last.copy(),
                ad_last=self._ad_last.copy(),
            )
        )

    @property
    def user_width(self) -> int:
        """Width of :meth:`user_features`."""
        return int(self._versions[0].user.shape[1]) + 1

    @property
    def ad_width(self) -> int:
        """Width of :meth:`ad_features`."""
        return int(self._versions[0].ad.shape[1]) + 1

    def update(self, rows: Impressions) -> None:
        """Count matured rows (event order)."""
        slot = rows.slot.astype(np.int64)
        label = rows.label.astype(np.float64)
        _count(self._slot, slot, label, np.ones_like(label))
        rate = self._slot[:, 0] / self._slot[:, 1]
        weight = np.clip(rate[slot] / rate[0], 0.05, 1.0)
        pair = rows.user.astype(np.int64) * self._user.shape[1] + self._category[rows.ad]
        _count(self._user, pair, label, weight)
        _count(self._ad, rows.ad.astype(np.int64), label, weight)
        np.maximum.at(self._user_last, rows.user, rows.time)
        np.maximum.at(self._ad_last, rows.ad, rows.time)
        self._touched.append(rows.user)

    def publish(self, now: int) -> None:
        """Make the counts visible to reads as of ``now`` and later."""
        last = self._versions[-1]
        user = last.user.copy()
        if self._touched:
            rows = np.unique(np.concatenate(self._touched))
            user[rows] = self._user_table(rows)
            self._touched.clear()
        self._versions.append(
            Published(
                at=now,
                user=user,
                ad=self._ad_table(),
                user_last=self._user_last.copy(),
                ad_last=self._ad_last.copy(),
            )
        )
        while len(self._versions) > 1 and self._versions[1].at <= now - self._horizon:
            self._versions.popleft()

    def user_features(self, users: Keys, time: npt.NDArray[np.int64]) -> Floats:
        """float32 [n, user_width] of users [n] as published at time [n]."""
        return self._read(users, time, "user")

    def ad_features(self, ads: Keys, time: npt.NDArray[np.int64]) -> Floats:
        """float32 [n, ad_width] of ads [n] as published at time [n]; ages too are those at the publication.

        An ad's features are a function of the ad and the version, as they are in the item index.
        """
        return self._read(ads, time, "ad")

    def user_category(self, users: Keys, categories: Keys, time: npt.NDArray[np.int64]) -> Floats:
        """float32 [..., 2]: log-odds and log count of users on categories (same shapes, time broadcast to them)."""
        out = np.empty((*users.shape, 2), dtype=np.float32)
        for version, mask in self._by_version(np.broadcast_to(time, users.shape)):
            pairs = version.user[:, 2:].reshape(version.user.shape[0], -1, 2)
            out[mask] = pairs[users[mask], categories[mask]]
        return out

    def _read(self, keys: Keys, time: npt.NDArray[np.int64], side: str) -> Floats:
        width = self.user_width if side == "user" else self.ad_width
        out = np.empty((keys.size, width), dtype=np.float32)
        for version, mask in self._by_version(time):
            table = version.user if side == "user" else version.ad
            since = version.user_last if side == "user" else version.ad_last
            rows = keys[mask]
            out[mask, :-1] = table[rows]
            # log hours since the last matured impression; a month where there was none
            now = time[mask] if side == "user" else version.at
            hours = np.minimum((now - since[rows]) / 3600.0, 720.0)
            out[mask, -1] = np.log1p(np.maximum(hours, 0.0)) / 3.0
        return out

    def _by_version(self, time: npt.NDArray[np.int64]) -> list[tuple[Published, Any]]:
        """The versions that rows of ``time`` read, each with its rows; most batches read one."""
        at = np.array([v.at for v in self._versions])
        if time.size and time.min() >= at[-1]:
            return [(self._versions[-1], slice(None) if time.ndim == 1 else np.ones(time.shape, dtype=bool))]
        index = np.searchsorted(at, time, side="right") - 1
        if time.size and index.min() < 0:
            raise ValueError(f"time == {time.min()}, must not be before {at[0]}, the oldest version kept")
        return [(self._versions[i], index == i) for i in np.unique(index)]

    def _user_table(self, rows: npt.NDArray[Any]) -> Floats:
        per_category = self._user[rows]
        total = per_category.sum(axis=1)
        mine = (total[:, 0] + PRIOR * self._base) / (total[:, 1] + PRIOR)
        # A user's rate on a category starts from her own rate.
        rate = (per_category[..., 0] + PRIOR * mine[:, None]) / (per_category[..., 1] + PRIOR)
        pairs = np.stack([_log_odds(rate) - _log_odds(mine)[:, None], np.log1p(per_category[..., 1]) / 3.0], axis=2)
        own = np.stack([_log_odds(mine) - _log_odds(np.float64(self._base)), np.log1p(total[:, 1]) / 5.0], axis=1)
        return np.concatenate([own, pairs.reshape(len(rows), -1)], axis=1).astype(np.float32)

    def _ad_table(self) -> Floats:
        category = np.zeros((self._user.shape[1], 2))
        np.add.at(category, self._category, self._ad)
        of_category = (category[:, 0] + PRIOR * self._base) / (category[:, 1] + PRIOR)
        # An ad's rate starts from its category's.
        mine = of_category[self._category]
        rate = (self._ad[:, 0] + PRIOR * mine) / (self._ad[:, 1] + PRIOR)
        base = _log_odds(np.float64(self._base))
        return np.stack(
            [
                _log_odds(rate) - base,
                np.log1p(self._ad[:, 1]) / 6.0,
                _log_odds(mine) - base,
                np.log1p(category[self._category, 1]) / 10.0,
            ],
            axis=1,
        ).astype(np.float32)

    @property
    def published_at(self) -> int:
        """Time of the last publication."""
        return self._versions[-1].at

    def published(self) -> Counters:
        """All versions that are kept now, and nothing that is published later. For reads only."""
        other = copy.copy(self)
        other._versions = self._versions.copy()
        return other

    def frozen(self) -> Counters:
        """The last version alone. For reads only."""
        other = copy.copy(self)
        other._versions = deque([self._versions[-1]])
        return other

    def snapshot(self) -> dict[str, Any]:
        """All state, copied."""
        return {
            "user": self._user.copy(),
            "ad": self._ad.copy(),
            "slot": self._slot.copy(),
            "user_last": self._user_last.copy(),
            "ad_last": self._ad_last.copy(),
            "touched": [rows.copy() for rows in self._touched],
            "versions": [dict(vars(version)) for version in self._versions],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self._user, self._ad, self._slot = state["user"].copy(), state["ad"].copy(), state["slot"].copy()
        self._user_last, self._ad_last = state["user_last"].copy(), state["ad_last"].copy()
        self._touched = [rows.copy() for rows in state["touched"]]
        self._versions = deque(Published(**version) for version in state["versions"])


class NoCounters:
    """The counters of a model that is fed none: no columns, whatever is counted."""

    user_width = 0
    ad_width = 0

    def update(self, rows: Impressions) -> None:
        """Counts nothing."""

    def publish(self, now: int) -> None:
        """Publishes nothing."""

    def user_features(self, users: Keys, time: npt.NDArray[np.int64]) -> Floats:
        """float32 [n, 0]."""
        return np.zeros((users.size, 0), dtype=np.float32)

    def ad_features(self, ads: Keys, time: npt.NDArray[np.int64]) -> Floats:
        """float32 [n, 0]."""
        return np.zeros((ads.size, 0), dtype=np.float32)

    def published(self) -> NoCounters:
        """Itself."""
        return self

    def frozen(self) -> NoCounters:
        """Itself."""
        return self

    def snapshot(self) -> dict[str, Any]:
        """No state."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take over."""


def _count(table: npt.NDArray[np.float64], row: npt.NDArray[np.int64], clicks: Any, shows: Any) -> None:
    """Add to the (clicks, shows) of rows [n], repeats welcome; ``table`` is [..., 2] and contiguous."""
    flat = table.reshape(-1)
    # add.at has a fast way for one flat index only
    np.add.at(flat, 2 * row, clicks)
    np.add.at(flat, 2 * row + 1, shows)


def _log_odds(p: npt.NDArray[np.float64] | np.float64) -> npt.NDArray[np.float64]:
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
