"""The exact scan finds what sorting all scores finds, ties and closed items included."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.search import scan as scan_module
from baselines.search.scan import Scan


def sorted_out(items, queries, log_bid, k):
    """By the definition: best first, ties by the lower item, closed items as pads."""
    score = queries @ items.T + log_bid
    order = np.argsort(-score, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(score, order, axis=1)
    return best, np.where(np.isfinite(best), order, -1)


def whole(draws, *shape):
    """Small whole numbers: products are exact, and ties are many."""
    return draws.integers(-3, 4, shape).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    requests=st.integers(1, 9),
    items=st.integers(1, 700),
    k=st.integers(1, 60),
    closed=st.sampled_from([0.0, 0.3, 0.95, 1.0]),
    few=st.sampled_from([0, scan_module.FEW]),
)
@settings(max_examples=60, deadline=None)
def test_as_sorting_says(seed, requests, items, k, closed, few):
    draws = np.random.default_rng(seed)
    V, Q = whole(draws, items, 5), whole(draws, requests, 5)
    log_bid = np.where(draws.random(items) < closed, -np.inf, whole(draws, items)).astype(np.float32)
    scan = Scan(V)
    scan.offer(log_bid)
    with pytest.MonkeyPatch.context() as patch:
        # Blocks of 64 items at most, so that small cases take many.
        patch.setattr(scan_module, "NARROWEST", 16)
        patch.setattr(scan_module, "WIDEST", 64)
        patch.setattr(scan_module, "FEW", few)
        score, ad = scan.search(Q, k)
    best, expected = sorted_out(V, Q, log_bid, k)
    np.testing.assert_array_equal(ad, expected)
    np.testing.assert_array_equal(score, best)


@pytest.mark.parametrize("requests", [1, 3, 200])
@pytest.mark.parametrize("order", ["random", "ascending"])
def test_many_blocks(requests, order):
    draws = np.random.default_rng(5)
    V = draws.standard_normal((30_001, 8)).astype(np.float32)
    Q = draws.standard_normal((requests, 8)).astype(np.float32)
    if order == "ascending":  # the worst case: each block beats all before it
        V = V[np.argsort(V @ Q[0])]
    scan = Scan(V)
    score, ad = scan.search(Q, 50)
    exact = Q @ V.T
    best = -np.sort(-exact, axis=1)[:, :50]
    np.testing.assert_allclose(score, best, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(exact, ad, axis=1), score, atol=1e-5)
    assert all(len(set(row)) == 50 for row in ad.tolist())


def test_bids_of_now():
    V, q = np.eye(3, dtype=np.float32), np.array([[3.0, 2.0, 1.0]], dtype=np.float32)
    scan = Scan(V)
    assert scan.search(q, 3)[1].tolist() == [[0, 1, 2]]
    scan.offer(np.array([-5.0, 0.0, -np.inf], dtype=np.float32))
    score, ad = scan.search(q, 3)
    assert ad.tolist() == [[1, 0, -1]]
    assert score.tolist() == [[2.0, -2.0, -np.inf]]


def test_no_requests_and_bad_arguments():
    scan = Scan(np.ones((4, 2), dtype=np.float32))
    assert scan.search(np.ones((0, 2), dtype=np.float32), 3)[1].shape == (0, 3)
    with pytest.raises(ValueError, match="k == 0, must be at least 1"):
        scan.search(np.ones((1, 2), dtype=np.float32), 0)
    with pytest.raises(ValueError, match=r"log_bid.shape == \(3,\), must be \(4,\)"):
        scan.offer(np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match="log_bid == nan"):
        scan.offer(np.full(4, np.nan, dtype=np.float32))


def test_threads_do_not_share_scratch():
    draws = np.random.default_rng(6)
    scan = Scan(draws.standard_normal((20_000, 16)).astype(np.float32))
    Q = draws.standard_normal((8, 16)).astype(np.float32)
    alone = [scan.search(Q[i : i + 1], 20) for i in range(8)]
    wrong: list[int] = []

    def ask(start):
        for i in [*range(start, 8), *range(start)] * 10:
            found = scan.search(Q[i : i + 1], 20)
            if not all(np.array_equal(a, b) for a, b in zip(found, alone[i], strict=True)):
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(start,)) for start in (0, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
