"""A recorded log, lived through again: every model scores a row before it may learn from it (docs/formulas.md 5).

Time goes in steps of the sync period. At the start of each step: 1 learn from the rows whose labels have become ready,
2 publish, 3 score the rows of the step by what was published, 4 let them wait for their labels. The ranker goes through
the whole log first: its prediction and hidden vector are written on the rows, which is the only way in which they reach
a retriever. So models can be replayed one after another, and only one of them is in memory.

Letters: n rows of the log, H width of the ranker's hidden vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from simulator.guard import LARGEST_HALF
from simulator.plugins import Ranker, Retriever
from simulator.records import Floats, Impressions, Requests

OnStep = Callable[[int], None]
"""Told how many rows each step had."""


class DivergedError(ValueError):
    """A model says something that is no number; in training that has diverged it will say nothing else."""


class Probe(NamedTuple):
    """A look at a model in the middle of a replay, which must leave it as it was.

    Attributes:
        row: the look comes right after the publication that precedes this row.
        look: what is done with the model, whose published state is frozen as long as that takes.
    """

    row: int
    look: Callable[[Any], None]


class Step(NamedTuple):
    """One sync period.

    Attributes:
        now: its start, when models learn and publish.
        learn: rows whose labels have become ready since the step before.
        show: rows of the period, to be scored.
    """

    now: int
    learn: slice
    show: slice


def steps(log: Impressions, sync: int) -> Iterator[Step]:
    """The steps of a log; those without a row are left out, for nobody would read what they publish.

    Args:
        log: [n], in event order.
        sync: seconds between two publications.

    Raises:
        ValueError: if the log is empty or out of order, or ``sync`` is not positive.
    """
    if sync <= 0:
        raise ValueError(f"sync == {sync}, must be a positive number of seconds")
    if len(log) == 0:
        raise ValueError("len(log) == 0, must hold a row")
    if (np.diff(log.time) < 0).any() or (np.diff(log.ready_at) < 0).any():
        raise ValueError("log.time == out of order, must not go back (nor ready_at)")
    learned = stop = 0
    while stop < len(log):
        first, now = stop, int(log.time[stop]) // sync * sync
        stop = int(np.searchsorted(log.time, now + sync, side="left"))
        # With no wait a row at the step's own start has a ready label, yet it is to be scored before it is learned.
        ready = min(int(np.searchsorted(log.ready_at, now, side="right")), first)
        yield Step(now, slice(learned, ready), slice(first, stop))
        learned = ready


def learned_before(log: Impressions, sync: int, row: int) -> int:
    """How many rows have been learned when ``row`` is scored, as :func:`steps` has it."""
    now = int(log.time[row]) // sync * sync
    first = int(np.searchsorted(log.time, now, side="left"))
    return min(int(np.searchsorted(log.ready_at, now, side="right")), first)


def replay_ranker(
    log: Impressions, ranker: Ranker, *, sync: int, on_step: OnStep | None = None, probe: Probe | None = None
) -> Impressions:
    """Replay a log into a ranker, test-then-train.

    Args:
        log: [n], in event order.
        ranker: sees no label later than the time of the row that it scores.
        sync: seconds between two publications.
        on_step: told of each step.
        probe: a look at the ranker on the way.

    Returns:
        The log with ``pctr`` float32 [n] and ``hidden`` float16 [n, H] as they were when each row was shown.

    Raises:
        DivergedError: if the model says what is no number.
        ValueError: as :func:`steps` does.
    """
    pctr = np.full(len(log), np.nan, dtype=np.float32)
    hidden = np.zeros((len(log), 0), dtype=np.float16)
    for now, learn, show in steps(log, sync):
        if learn.stop > learn.start:
            ranker.update(replace(log[learn], pctr=pctr[learn], hidden=hidden[learn]))
        ranker.sync(now)
        if probe is not None and show.start <= probe.row < show.stop:
            probe.look(ranker)
        ranked = ranker.rank(requests_of(log[show]), log.ad[show, None])
        if hidden.shape[1] != ranked.hidden.shape[2]:
            hidden = np.zeros((len(log), ranked.hidden.shape[2]), dtype=np.float16)
        pctr[show], hidden[show] = ranked.pctr[:, 0], np.clip(ranked.hidden[:, 0], -LARGEST_HALF, LARGEST_HALF)
        _check_numbers(pctr[show], "pctr", show)
        if on_step is not None:
            on_step(show.stop - show.start)
    return replace(log, pctr=pctr, hidden=hidden)


def replay_retriever(
    log: Impressions, retriever: Retriever, *, sync: int, on_step: OnStep | None = None, probe: Probe | None = None
) -> Floats:
    """Replay a ranked log into a retriever, test-then-train.

    Args:
        log: [n], as :func:`replay_ranker` returned it.
        retriever: sees no label later than the time of the row that it scores.
        sync: seconds between two publications.
        on_step: told of each step.
        probe: a look at the retriever on the way.

    Returns:
        float32 [n], its logit of each row when the row was shown.

    Raises:
        DivergedError: if the model says what is no number.
        ValueError: as :func:`steps` does.
    """
    logit = np.full(len(log), np.nan, dtype=np.float32)
    for now, learn, show in steps(log, sync):
        if learn.stop > learn.start:
            retriever.update(replace(log[learn], logit=logit[learn]))
        retriever.sync(now)
        if probe is not None and show.start <= probe.row < show.stop:
            probe.look(retriever)
        logit[show] = retriever.score(requests_of(log[show]), log.ad[show, None])[:, 0]
        _check_numbers(logit[show], "score", show)
        if on_step is not None:
            on_step(show.stop - show.start)
    return logit


def _check_numbers(said: Floats, what: str, show: slice) -> None:
    wrong = np.isnan(said)
    if wrong.any():
        row = show.start + int(np.argmax(wrong))
        raise DivergedError(
            f"{what} == nan at row {row} of the log, must be a number: has training diverged (lower lr)?"
        )


def requests_of(rows: Impressions) -> Requests:
    """The requests that led to rows of a log, one each."""
    return Requests(
        id=rows.request, user=rows.user, time=rows.time, context=rows.context, arm=np.zeros(len(rows), dtype=np.int8)
    )
