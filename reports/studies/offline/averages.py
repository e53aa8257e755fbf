"""The floor under every model: smoothed click rates of user, ad and context, updated as the log goes by.

A model that is not above them has learned only averages. Rates are prequential: an impression sees exactly the labels
that were ready when it was shown, with no wait for a publication; each rate starts from the catalog's base rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.records import Impressions

PRIOR = 5.0
"""Impressions at the base rate that every average starts with; the best of 3, 5, 8, 10, 20 on KuaiRand's 1 to 4 May."""

Money = npt.NDArray[np.float64]


def smoothed_averages(rows: Impressions, base_ctr: float, *, context: int | None = None, prior: float = PRIOR) -> Money:
    """Logit of each impression by averages alone: base log-odds plus what the user, the ad (and a context) add to it.

    Args:
        rows: [n], in event order.
        base_ctr: rate to start from, in (0, 1).
        context: column of ``rows.context`` whose rate is added too, e.g. the tab.
        prior: impressions at ``base_ctr`` that each average starts with, > 0.

    Returns:
        float64 [n].

    Raises:
        ValueError: if ``prior`` or ``base_ctr`` is out of range.
    """
    if not prior > 0:
        raise ValueError(f"prior == {prior}, must be positive")
    if not 0 < base_ctr < 1:
        raise ValueError(f"base_ctr == {base_ctr}, must be in (0, 1)")
    keys = [rows.user, rows.ad] + ([] if context is None else [rows.context[:, context]])
    base = _log_odds(np.float64(base_ctr))
    added = [_log_odds(prequential_rate(rows, key, base_ctr, prior)) - base for key in keys]
    return np.asarray(base + np.sum(added, axis=0))


def prequential_rate(rows: Impressions, key: npt.NDArray[Any], base_ctr: float, prior: float = PRIOR) -> Money:
    """Smoothed click rate of each row's key over the rows whose labels were ready at its time.

    Args:
        rows: [n], in event order, so that labels become ready in order too.
        key: integers [n].
        base_ctr: rate that every average starts from.
        prior: impressions at that rate that it starts with.

    Returns:
        float64 [n], in (0, 1).
    """
    _, code = np.unique(key, return_inverse=True)
    order = np.argsort(code, kind="stable")
    # One sorted axis for all keys: a key's rows lie together, by the time at which their label is ready.
    start = int(min(rows.time[0], rows.ready_at[0]))
    span = int(max(rows.time[-1], rows.ready_at[-1])) - start + 1
    axis = (code * span + (rows.ready_at - start))[order]
    clicks = np.concatenate([[0], np.cumsum(rows.label[order])])
    first = np.searchsorted(axis, code * span, side="left")
    seen = np.searchsorted(axis, code * span + (rows.time - start), side="right")
    return np.asarray((clicks[seen] - clicks[first] + prior * base_ctr) / (seen - first + prior))


def _log_odds(p: Money | np.float64) -> Money:
    return np.asarray(np.log(p) - np.log1p(-p))
