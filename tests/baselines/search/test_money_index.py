"""Search in the order of money: today's bids and filter, whatever the index was built with."""

from __future__ import annotations

import numpy as np
import pytest

from baselines.search.money_index import MOVED, Made, MoneyIndex

A, W, R, K = 2000, 12, 20, 15


@pytest.fixture
def asked():
    draws = np.random.default_rng(0)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in draws.normal(size=(2, A, W)).astype(np.float32)]
    return unit[0], unit[1][:R], (0.7 * draws.normal(size=A)).astype(np.float32)


def recall(listed, money):
    best = np.argsort(-money, axis=1)[:, :K]
    return np.mean([np.isin(b, row).mean() for b, row in zip(best, listed, strict=True)])


def distinct(listed):
    return all(len(set(row) - {-1}) == sum(n >= 0 for n in row) for row in listed.tolist())


@pytest.mark.parametrize(("kind", "least"), [("flat", 1.0), ("hnsw", 0.95)])
def test_lists_the_best_by_logit_plus_log_bid(asked, kind, least):
    """The augmented rows rank exactly as logit + log bid (docs/testing.md 13)."""
    v, u, log_bid = asked
    index = MoneyIndex(kind, v, gain=8.0, over=1)
    money = 8.0 * u @ v.T + log_bid
    listed = index.listed(u, log_bid, K)
    assert listed.shape == (R, K)
    assert recall(listed, money) >= least
    # Neither the nearest nor the dearest alone would do.
    assert recall(np.argsort(-u @ v.T, axis=1)[:, :K], money) < 0.8


def test_a_filter_of_now_holds_and_the_index_stays(asked):
    v, u, log_bid = asked
    index = MoneyIndex("hnsw", v, gain=8.0)
    index.listed(u, log_bid, K)
    today = np.where(np.random.default_rng(1).random(A) < 0.5, log_bid, -np.inf).astype(np.float32)
    listed = index.listed(u, today, K)
    assert np.isfinite(today[listed[listed >= 0]]).all()
    assert recall(listed, 8.0 * u @ v.T + today) >= 0.97
    assert index.builds == 1


def test_a_bid_that_moved_is_seen_at_once(asked):
    v, u, log_bid = asked
    index = MoneyIndex("hnsw", v, gain=8.0)
    index.listed(u, log_bid, K)
    today = log_bid.copy()
    today[[5, 600]] = 20.0
    listed = index.listed(u, today, K)
    assert np.isin([5, 600], listed).all()
    assert all({5, 600} <= set(row) for row in listed.tolist())
    assert distinct(listed)
    assert index.builds == 1
    everywhere = log_bid + np.float32(2 * MOVED) * np.arange(A, dtype=np.float32) / 10
    listed = index.listed(u, everywhere, K)
    assert index.builds == 2
    assert recall(listed, 8.0 * u @ v.T + everywhere) >= 0.9


def test_an_item_that_was_barred_when_the_index_was_built_is_found_when_it_may_compete(asked):
    v, u, log_bid = asked
    index = MoneyIndex("hnsw", v, gain=8.0)
    barred = log_bid.copy()
    barred[3] = -np.inf
    index.listed(u, barred, K)
    log_bid[3] = 15.0
    listed = index.listed(u, log_bid, K)
    assert all(3 in row for row in listed.tolist())


def test_when_few_may_compete_all_of_them_are_candidates(asked):
    v, u, log_bid = asked
    index = MoneyIndex("hnsw", v, gain=8.0)
    for some in (np.arange(0), np.arange(7), np.arange(A // 10)):
        today = np.full(A, -np.inf, dtype=np.float32)
        today[some] = log_bid[some]
        np.testing.assert_array_equal(index.listed(u, today, K), np.broadcast_to(some, (R, some.size)))
    assert index.builds == 0


def test_vectors_may_be_made_when_they_are_asked_for(asked):
    v, u, log_bid = asked
    wide = np.concatenate([v, np.zeros((A, 4), dtype=np.float32)], axis=1)  # `pq` wants a width that 8 divides
    u = np.concatenate([u, np.zeros((R, 4), dtype=np.float32)], axis=1)
    made = MoneyIndex("pq", Made(wide.shape, lambda some: wide[some]), gain=8.0)
    kept = MoneyIndex("pq", wide, gain=8.0)
    np.testing.assert_array_equal(made.listed(u, log_bid, K), kept.listed(u, log_bid, K))
    assert made.held() == kept.held()


def test_one_index_lists_as_many_as_it_is_asked_for(asked):
    v, u, log_bid = asked
    index = MoneyIndex("hnsw", v, gain=8.0)
    assert index.listed(u, log_bid, K).shape == (R, 2 * K)
    before, wider = index.held(), index.reaching(over=5)
    assert wider.listed(u, log_bid, K).shape == (R, 5 * K)
    assert (wider.builds, wider.held()) == (1, before)
    assert before > v.nbytes
