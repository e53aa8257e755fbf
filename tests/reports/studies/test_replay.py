"""The prequential loop: who sees what, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from reports.studies.offline.replay import replay_ranker, replay_retriever, steps
from simulator.datasets.kuairand import KuaiRand, read_kuairand
from simulator.records import Floats, Impressions
from tests.data.make_kuairand_tiny import FOLDER
from tests.reports.studies.fakes import HIDDEN, FakeRanker, FakeRetriever

SYNC = 1800


@pytest.fixture(scope="module")
def data() -> KuaiRand:
    return read_kuairand(FOLDER)


class Played(NamedTuple):
    log: Impressions
    logit: Floats
    ranker: FakeRanker
    retriever: FakeRetriever


def played(data: KuaiRand, log=None, sync: int = SYNC) -> Played:
    ranker, retriever = FakeRanker(data.catalog, 1), FakeRetriever(data.catalog, 2)
    ranked = replay_ranker(data.impressions if log is None else log, ranker, sync=sync)
    return Played(ranked, replay_retriever(ranked, retriever, sync=sync), ranker, retriever)


def test_every_row_is_scored(data: KuaiRand) -> None:
    found = played(data)
    assert np.isfinite(found.log.pctr).all()
    assert np.isfinite(found.logit).all()


def test_steps_cover_the_log_once_and_skip_empty_periods(data: KuaiRand) -> None:
    log = data.impressions
    found = list(steps(log, SYNC))
    rows = np.concatenate([np.arange(len(log))[step.show] for step in found])
    np.testing.assert_array_equal(rows, np.arange(len(log)))
    assert [step.now for step in found] == np.unique(log.time // SYNC * SYNC).tolist()


def test_told_of_every_step(data: KuaiRand) -> None:
    told: list[int] = []
    replay_ranker(data.impressions, FakeRanker(data.catalog, 1), sync=SYNC, on_step=told.append)
    assert sum(told) == len(data.impressions)
    assert len(told) == len(list(steps(data.impressions, SYNC)))


def test_rows_are_learned_once_in_order_and_by_all(data: KuaiRand) -> None:
    _, _, ranker, retriever = played(data)
    for model in (ranker, retriever):
        ids = np.concatenate([rows.request for rows in model.learned])
        np.testing.assert_array_equal(ids, np.arange(ids.size))
        # All but those whose labels come after the last step.
        assert ids.size == (data.impressions.ready_at <= model.synced[-1]).sum()


def test_learning_waits_for_labels(data: KuaiRand) -> None:
    class Watch(FakeRetriever):
        def update(self, impressions) -> None:
            super().update(impressions)
            self.fresh = int(impressions.ready_at.max())

        def sync(self, now: int) -> None:
            assert getattr(self, "fresh", now) <= now
            super().sync(now)

        def score(self, requests, ads):
            assert requests.time.min() >= self.synced[-1]
            assert requests.time.max() < self.synced[-1] + SYNC
            return super().score(requests, ads)

    watch = Watch(data.catalog, 0)
    replay_retriever(data.impressions, watch, sync=SYNC)
    assert watch.learned


def test_the_rankers_word_is_on_the_row_that_a_retriever_learns_from(data: KuaiRand) -> None:
    found, logit, _, retriever = played(data)
    rows = retriever.learned
    ids = np.concatenate([r.request for r in rows])
    np.testing.assert_array_equal(np.concatenate([r.pctr for r in rows]), found.pctr[ids])
    np.testing.assert_array_equal(np.concatenate([r.logit for r in rows]), logit[ids])
    hidden = np.concatenate([r.hidden for r in rows])
    assert hidden.shape == (ids.size, HIDDEN)
    assert hidden.dtype == np.float16
    # h comes from before the ranker learned of the row: it says how many rows it knew, fewer than came before this one.
    known = np.searchsorted(data.impressions.ready_at, data.impressions.time[ids] // SYNC * SYNC, side="right")
    np.testing.assert_array_equal(hidden[:, 0], (known % 1000).astype(np.float16))


@pytest.mark.parametrize("row", [200, 900])
def test_flipping_a_label_changes_no_score_before_it_is_published(data: KuaiRand, row: int) -> None:
    label = data.impressions.label.copy()
    label[row] ^= True
    one, other = played(data), played(data, replace(data.impressions, label=label))
    ready = data.impressions.ready_at[row]
    for before, after in ((one.log.pctr, other.log.pctr), (one.logit, other.logit)):
        changed = before != after
        assert changed.any()
        assert (data.impressions.time[changed] // SYNC * SYNC >= ready).all()


def test_changing_the_future_leaves_the_past_equal(data: KuaiRand) -> None:
    half = len(data.impressions) // 2
    whole, cut = played(data), played(data, data.impressions[:half])
    np.testing.assert_array_equal(whole.logit[:half], cut.logit)


def test_scores_are_those_of_a_slow_account(data: KuaiRand) -> None:
    log = data.impressions[:300]
    _, logit, _, retriever = played(data, log)
    for i in range(0, 300, 7):
        seen = (log.ready_at <= log.time[i] // SYNC * SYNC) & (log.ad == log.ad[i])
        rate = (log.label[seen].sum() + data.catalog.base_ctr) / (seen.sum() + 1)
        expected = np.log(rate / (1 - rate)) + retriever.jitter[log.ad[i]]
        assert logit[i] == pytest.approx(expected, rel=1e-5)


def test_with_no_wait_a_row_is_still_scored_before_it_is_learned(data: KuaiRand) -> None:
    log = replace(data.impressions, time=data.impressions.time // SYNC * SYNC)
    log = replace(log, ready_at=log.time)
    found, _, ranker, _ = played(data, log)
    assert np.isfinite(found.pctr).all()
    assert sum(map(len, ranker.learned)) == (log.time < log.time[-1]).sum()


def test_bad_input_is_an_error(data: KuaiRand) -> None:
    with pytest.raises(ValueError, match="sync == 0, must be"):
        played(data, sync=0)
    with pytest.raises(ValueError, match="must hold a row"):
        played(data, data.impressions[:0])
    with pytest.raises(ValueError, match="must not go back"):
        played(data, data.impressions[::-1])
