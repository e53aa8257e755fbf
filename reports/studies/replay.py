"""A recorded log, lived through again: every model scores a row before it may learn from it (models.md 1.7).

Time goes in steps of the sync period. At the start of each step: 1 learn from the rows whose labels have become ready,
2 publish, 3 score the rows of the step by what was published, 4 let them wait for their labels. The ranker goes first:
its prediction and hidden vector are written on the row, which is the only way in which they reach a retriever.

Letters: n rows of the log, H width of the ranker's hidden vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from simulator.plugins import Ranker, Retriever
from simulator.records import Floats, Impressions, Requests


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What the models said of each row when it was shown.

    Attributes:
        pctr: float32 [n], the ranker's P(click | impression).
        logit: retriever name -> float32 [n], its logit of the same.
    """

    pctr: Floats
    logit: Mapping[str, Floats]


def replay(
    log: Impressions,
    ranker: Ranker,
    retrievers: Mapping[str, Retriever],
    *,
    sync: int,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Replay a log, test-then-train. Every row is scored once, by models that have seen no label later than its time.

    Args:
        log: [n], in event order.
        ranker: writes ``pctr`` and ``hidden`` on the rows; all retrievers learn from the same rows.
        retrievers: by name.
        sync: seconds between two publications.
        progress: told how many rows each step had.

    Returns:
        The scores of all n rows.

    Raises:
        ValueError: if the log is empty or out of order, or ``sync`` is not positive.
    """
    if sync <= 0:
        raise ValueError(f"sync == {sync}, must be a positive number of seconds")
    if len(log) == 0:
        raise ValueError("len(log) == 0, must hold a row")
    if (np.diff(log.time) < 0).any() or (np.diff(log.ready_at) < 0).any():
        raise ValueError("log.time == out of order, must not go back (nor ready_at)")
    n = len(log)
    pctr = np.full(n, np.nan, dtype=np.float32)
    hidden = np.zeros((n, 0), dtype=np.float16)
    logit = {name: np.full(n, np.nan, dtype=np.float32) for name in retrievers}
    learned = stop = 0
    while stop < n:
        # Steps without a row are skipped: nobody would read what they publish.
        first, now = stop, int(log.time[stop]) // sync * sync
        stop = int(np.searchsorted(log.time, now + sync, side="left"))
        # With no wait a row at the step's own start has a ready label, yet it is to be scored before it is learned.
        ready = min(int(np.searchsorted(log.ready_at, now, side="right")), first)
        # 1: learn
        if ready > learned:
            seen = slice(learned, ready)
            rows = replace(log[seen], pctr=pctr[seen], hidden=hidden[seen])
            ranker.update(rows)
            for name, retriever in retrievers.items():
                retriever.update(replace(rows, logit=logit[name][seen]))
            learned = ready
        # 2: publish
        ranker.sync(now)
        for retriever in retrievers.values():
            retriever.sync(now)
        # 3 and 4: score; the rows wait where they are
        shown = slice(first, stop)
        requests, ads = requests_of(log[shown]), log.ad[shown, None]
        ranked = ranker.rank(requests, ads)
        if hidden.shape[1] != ranked.hidden.shape[2]:
            hidden = np.zeros((n, ranked.hidden.shape[2]), dtype=np.float16)
        pctr[shown], hidden[shown] = ranked.pctr[:, 0], ranked.hidden[:, 0]
        for name, retriever in retrievers.items():
            logit[name][shown] = retriever.score(requests, ads)[:, 0]
        if progress is not None:
            progress(stop - first)
    return Replayed(pctr=pctr, logit=logit)


def requests_of(rows: Impressions) -> Requests:
    """The requests that led to rows of a log, one each."""
    return Requests(
        id=rows.request, user=rows.user, time=rows.time, context=rows.context, arm=np.zeros(len(rows), dtype=np.int8)
    )
