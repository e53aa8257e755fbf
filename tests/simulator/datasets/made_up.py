"""A small log as somebody's reader would return it, whole and right; tests put faults into it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from simulator.datasets.log import RealLog, Report, calendar_dates, calendar_days
from simulator.records import DAY, PAD, Catalog, History, Impressions, Table

FIRST = 20_220_425
TEST = 20_220_503


def table(key: str, rows: int) -> Table:
    codes = {key: np.arange(rows, dtype=np.int32), "kind": np.arange(rows, dtype=np.int32) % 3}
    return Table(codes=codes, sizes={key: rows, "kind": 3}, dense=np.ones((rows, 2), np.float32))


def made_up(n: int = 300, users: int = 12, ads: int = 8, days: int = 10, seed: int = 0) -> RealLog:
    """``n`` rows over ``days`` days from 25 April 2022 on; the test begins on 3 May."""
    draws = np.random.default_rng(seed)
    time = np.sort(draws.integers(days * DAY, size=n))
    time[0], time[-1] = 0, days * DAY - 1
    unseen = np.full(n, np.nan, np.float32)
    label = draws.random(n) < 0.3
    label[:2] = [False, True]
    catalog = Catalog(
        users=table("user", users),
        ads=table("ad", ads),
        context={"hour": 24},
        category=np.arange(ads, dtype=np.int32) % 3,
        categories=3,
        segment=np.arange(users, dtype=np.int32) % 2,
        segments=2,
        price=np.zeros(ads, np.float32),
        history=History(items=np.full((1, users, 2), PAD, np.int32)),
        base_ctr=0.3,
    )
    impressions = Impressions(
        request=np.arange(n),
        user=draws.integers(users, size=n, dtype=np.int32),
        ad=draws.integers(ads, size=n, dtype=np.int32),
        slot=np.zeros(n, np.int8),
        time=time,
        context=(time // 3600 % 24).astype(np.int32)[:, None],
        explored=np.zeros(n, bool),
        bid=np.ones(n),
        price=np.zeros(n),
        paid=np.zeros(n),
        pctr=unseen,
        logit=unseen,
        hidden=np.zeros((n, 0), np.float16),
        ready_at=time + 1800,
        label=label,
    )
    return RealLog(
        catalog=catalog,
        impressions=impressions,
        date=calendar_dates(calendar_days(np.array([FIRST]))[0] + time // DAY).astype(np.int32),
        test_date=TEST,
        report=Report(
            rows=n,
            duplicates=0,
            earlier=0,
            kept=n,
            click_rate=float(label.mean()),
            history_source="none",
            malformed=(),
        ),
    )


def with_(log: RealLog, where: str, value: Any) -> RealLog:
    """The log with another value at a dotted place, e.g. ``impressions.user`` or ``catalog.users.codes.kind``."""
    first, _, rest = where.partition(".")
    inner = getattr(log, first) if not isinstance(log, dict) else log[first]
    new = with_(inner, rest, value) if rest else value
    return log | {first: new} if isinstance(log, dict) else replace(log, **{first: new})


def at(log: RealLog, where: str, row: Any, value: Any, dtype: Any = None) -> RealLog:
    """The log with one entry of one array changed; ``dtype`` of the array first, where it could not hold the value."""
    found: Any = log
    for name in where.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    changed = np.array(found, dtype=dtype or found.dtype)
    changed[row] = value
    return with_(log, where, changed)
