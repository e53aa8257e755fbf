"""Test rows of users and of videos that were cold when they were scored. Letters: n rows of the log, T test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.studies.offline.scored import Array
from simulator.datasets.log import RealLog
from simulator.records import Flags, Impressions

COLD = 3
"""Interactions up to which a user or an ad is cold; the paper's."""


def visible(log: Impressions, key: Array, sync: int, *, clicks: bool = False) -> npt.NDArray[np.int64]:
    """How many rows of each row's key had their labels published when it was scored.

    Args:
        log: [n], in event order.
        key: integers [n].
        sync: seconds between two publications.
        clicks: count the clicked ones only.

    Returns:
        int64 [n].
    """
    _, code = np.unique(key, return_inverse=True)
    order = np.argsort(code, kind="stable")
    start = int(min(log.time[0] // sync * sync, log.ready_at[0]))
    span = int(max(log.time[-1], log.ready_at[-1])) - start + 1
    axis = (code * span + (log.ready_at - start))[order]
    counted = np.concatenate([[0], np.cumsum(log.label[order] if clicks else np.ones(len(log), dtype=np.int64))])
    first = np.searchsorted(axis, code * span, side="left")
    seen = np.searchsorted(axis, code * span + (log.time // sync * sync - start), side="right")
    return np.asarray(counted[np.maximum(seen, first)] - counted[first], dtype=np.int64)


def cold_slices(data: RealLog, sync: int) -> dict[str, Flags]:
    """Test rows whose user or video is cold by what was visible at scoring time: name -> bool [T].

    Which interactions the paper counts is not said: impressions and clicks are counted apart.
    """
    log, test = data.impressions, data.test
    found = {}
    for side, key in (("users", log.user), ("videos", log.ad)):
        shows, clicks = (visible(log, key, sync, clicks=which)[test] for which in (False, True))
        found[f"{side} with at most {COLD} impressions"] = shows <= COLD
        found[f"{side} with at most {COLD} clicks"] = clicks <= COLD
        found[f"{side} never seen"] = shows == 0
    return found


def slice_described(rows: Flags, test: Impressions) -> dict[str, Any]:
    """Size and click rate of a slice of the test rows."""
    n = int(rows.sum())
    return {"rows": n, "clicks": int(test.label[rows].sum()), "users": int(np.unique(test.user[rows]).size)}


def at_rows(logits: Mapping[str, Sequence[Array]], rows: Flags) -> dict[str, list[Array]]:
    """Scores of all models and seeds at some of the rows."""
    return {model: [x[rows] for x in all_seeds] for model, all_seeds in logits.items()}
