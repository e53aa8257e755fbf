"""What an arm had learned by the test, told by its log and its clock: rows, publications, and how old they were.

An arm learns a row when its label is ready, at the end of a tick, and serves what the last publication held. A label
wait or a time between publications that is longer than the run leaves it as it was made.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.marketplace import CascadeConfig
from simulator.records import DAY, Impressions


def learned(burn: Impressions, log: Impressions, clock: CascadeConfig, since: int, until: int) -> dict[str, int]:
    """Rows whose labels reached the arm, and publications that held something new, before and since the seam.

    Args:
        burn: the burn-in's log.
        log: the test's.
        clock: says when ticks end and when syncs are.
        since: seconds, the seam; a whole day.
        until: seconds, the end; a whole day.

    Returns:
        ``rows_burn_in``, ``rows_test``, ``publications_burn_in``, ``publications_test``; ``publications_served``, all
        but one at the very end, which no request met.
    """
    ready = np.sort(np.concatenate([burn.ready_at, log.ready_at]))
    rows = np.searchsorted(ready, (since, until), side="right")
    published = publications(clock, until)
    held = np.searchsorted(ready, published, side="right")
    new = np.diff(held, prepend=0) > 0
    before = published <= since
    return {
        "rows_burn_in": int(rows[0]),
        "rows_test": int(rows[1] - rows[0]),
        "publications_burn_in": int((new & before).sum()),
        "publications_test": int((new & ~before).sum()),
        "publications_served": int((new & (published < until)).sum()),
    }


def publications(clock: CascadeConfig, until: int) -> npt.NDArray[np.int64]:
    """Seconds at which an arm publishes, up to ``until``: ends of ticks, a day's last cut short, that pass a sync."""
    begins = np.arange(0, DAY, clock.tick)
    days = np.arange(0, until, DAY)[:, None]
    starts, ends = ((days + of_day).reshape(-1) for of_day in (begins, np.minimum(begins + clock.tick, DAY)))
    return np.asarray(ends[ends // clock.sync > starts // clock.sync], dtype=np.int64)


def staleness(burn: Impressions, log: Impressions, clock: CascadeConfig) -> dict[str, float]:
    """Mean seconds, over impressions, since what served them was published, and since the newest event it had learned.

    Args:
        burn: the burn-in's log, which the first publications of the test rest on.
        log: the test's; NaN of both if it is empty.
        clock: says when syncs are.
    """
    if not len(log):
        return {"published_seconds": float("nan"), "newest_event_seconds": float("nan")}
    time, ready = (np.concatenate([getattr(burn, key), getattr(log, key)]) for key in ("time", "ready_at"))
    order = np.argsort(ready, kind="stable")
    newest = np.maximum.accumulate(time[order])
    published = log.time // clock.sync * clock.sync
    known = np.searchsorted(ready[order], published, side="right")
    learned = newest[np.maximum(known - 1, 0)]
    return {
        "published_seconds": float((log.time - published).mean()),
        "newest_event_seconds": float((log.time - learned)[known > 0].mean()) if (known > 0).any() else float("nan"),
    }
