"""The online counters against a slow loop, and what a read as of a time may see."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from baselines.training.counters import PRIOR, Counters


def odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def slow_counts(catalog, rows, batch):
    """Clicks and weighted shows by (user, category) and ad, one row at a time."""
    user, ad = {}, {}
    slot = [[PRIOR * catalog.base_ctr, PRIOR] for _ in range(64)]
    for first in range(0, len(rows), batch):
        part = rows[first : first + batch]
        for s, y in zip(part.slot, part.label, strict=True):
            slot[s][0] += y
            slot[s][1] += 1
        for u, a, s, y in zip(part.user, part.ad, part.slot, part.label, strict=True):
            rate, top = slot[s][0] / slot[s][1], slot[0][0] / slot[0][1]
            weight = min(max(rate / top, 0.05), 1.0)
            for table, key in ((user, (int(u), int(catalog.category[a]))), (ad, int(a))):
                clicks, shows = table.get(key, (0.0, 0.0))
                table[key] = (clicks + y, shows + weight)
    return user, ad


def test_against_a_slow_loop(world, log):
    catalog, rows, batch = world.catalog, log[:600], 150
    counters = Counters(catalog)
    for first in range(0, len(rows), batch):
        counters.update(rows[first : first + batch])
    now = int(rows.ready_at[-1])
    counters.publish(now)
    user, ad = slow_counts(catalog, rows, batch)
    base, C = catalog.base_ctr, catalog.categories

    u = int(rows.user[5])
    clicks, shows = (sum(user.get((u, c), (0, 0))[i] for c in range(C)) for i in (0, 1))
    mine = (clicks + PRIOR * base) / (shows + PRIOR)
    expected = [odds(mine) - odds(base), np.log1p(shows) / 5]
    for c in range(C):
        n, m = user.get((u, c), (0.0, 0.0))
        expected += [odds((n + PRIOR * mine) / (m + PRIOR)) - odds(mine), np.log1p(m) / 3]
    last = rows.time[rows.user == u].max()
    expected.append(np.log1p((now - last) / 3600) / 3)
    at = np.array([now])
    assert_allclose(counters.user_features(np.array([u]), at)[0], expected, rtol=2e-5, atol=1e-6)

    a = int(rows.ad[7])
    c = int(catalog.category[a])
    inside = [ad.get(int(k), (0.0, 0.0)) for k in np.flatnonzero(catalog.category == c)]
    n, m = (sum(pair[i] for pair in inside) for i in (0, 1))
    parent = (n + PRIOR * base) / (m + PRIOR)
    own = (ad[a][0] + PRIOR * parent) / (ad[a][1] + PRIOR)
    expected = [odds(own) - odds(base), np.log1p(ad[a][1]) / 6, odds(parent) - odds(base), np.log1p(m) / 10]
    assert_allclose(counters.ad_features(np.array([a]), at)[0, :4], expected, rtol=2e-5, atol=1e-6)

    pair = counters.user_category(np.array([u]), np.array([c]), at)
    assert_array_equal(pair[0], counters.user_features(np.array([u]), at)[0, 2 + 2 * c : 4 + 2 * c])


def test_a_read_sees_what_was_published_by_its_time(world, log):
    counters, fresh = Counters(world.catalog), Counters(world.catalog)
    users = np.unique(log.user[:400])
    early, late = np.full(users.size, 2000), np.full(users.size, 4000)
    counters.update(log[:200])
    assert_array_equal(counters.user_features(users, early), fresh.user_features(users, early))
    counters.publish(1800)
    first = counters.user_features(users, early)
    assert np.any(first[:, :-1] != fresh.user_features(users, early)[:, :-1])
    counters.update(log[200:400])
    counters.publish(3600)
    assert_array_equal(counters.user_features(users, early), first)
    assert np.any(counters.user_features(users, late)[:, :-1] != first[:, :-1])
    # rows of two versions in one read
    mixed = np.where(np.arange(users.size) % 2 == 0, early, late)
    both = counters.user_features(users, mixed)
    assert_array_equal(both[::2], first[::2])
    assert_array_equal(both[1::2], counters.user_features(users, late)[1::2])


def test_versions_older_than_the_horizon_are_refused(world):
    counters = Counters(world.catalog, horizon=1000)
    for now in (1000, 2000, 3000, 4000):
        counters.publish(now)
    who = np.array([0])
    counters.user_features(who, np.array([3000]))
    with pytest.raises(ValueError, match=r"time == 2999, must not be before 3000"):
        counters.user_features(who, np.array([2999]))


def test_snapshot_is_a_copy(world, log):
    counters = Counters(world.catalog)
    counters.update(log[:100])
    state = counters.snapshot()
    counters.update(log[100:300])
    counters.publish(1800)
    other = Counters(world.catalog)
    other.restore(state)
    other.update(log[100:300])
    other.publish(1800)
    who, at = np.arange(world.catalog.users.rows), np.full(world.catalog.users.rows, 1800)
    assert_array_equal(counters.user_features(who, at), other.user_features(who, at))
