"""FAISS indexes: a filter that holds, inner products as the order, the same index from the same rows, one thread."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.search import faiss_index
from baselines.search.faiss_index import KINDS, build, build_in_blocks, bytes_of, of_one_length, search

ROWS, WIDTH, K = 3000, 16, 20
DRAWS = np.random.default_rng(0)
CENTRES = DRAWS.normal(size=(30, WIDTH))


def around_centres(n):
    """Rows in clusters, of all lengths."""
    drawn = CENTRES[DRAWS.integers(len(CENTRES), size=n)] + 0.7 * DRAWS.normal(size=(n, WIDTH))
    return (drawn * DRAWS.uniform(0.5, 1.5, size=(n, 1))).astype(np.float32)


X, QUERIES = around_centres(ROWS), around_centres(40)
ALLOWED = DRAWS.random(ROWS) < 0.6


@pytest.fixture(scope="module", params=KINDS)
def index(request):
    return build(X, request.param)


def recall(found, product):
    best = np.argsort(-product, axis=1)[:, :K]
    return np.mean([np.isin(b, f).mean() for b, f in zip(best, found, strict=True)])


def test_finds_the_largest_products_among_what_is_allowed(index):
    product = QUERIES @ X.T
    for allowed in (np.ones(ROWS, dtype=bool), ALLOWED):
        _, found = search(index, QUERIES, K, allowed)
        assert found.shape == (len(QUERIES), K)
        assert allowed[found[found >= 0]].all()
        share = recall(found, np.where(allowed, product, -np.inf))
        assert share >= {"flat": 1.0, "hnsw": 0.97, "ivf": 0.85, "pq": 0.5}[index.kind], share


def test_exact_products_come_with_the_exact_index():
    score, found = search(build(X, "flat"), QUERIES, K, ALLOWED)
    np.testing.assert_allclose(score, np.take_along_axis(QUERIES @ X.T, found, axis=1), rtol=1e-4, atol=1e-4)


def test_the_same_rows_make_the_same_index(index):
    again = search(build(X, index.kind), QUERIES, K, ALLOWED)[1]
    np.testing.assert_array_equal(search(index, QUERIES, K, ALLOWED)[1], again)


def test_more_cells_find_more():
    index, product = build(X, "ivf"), QUERIES @ X.T
    shares = [recall(search(index, QUERIES, K, np.ones(ROWS, dtype=bool), probed)[1], product) for probed in (64, 8, 1)]
    assert shares == sorted(shares)
    assert shares[0] < 0.9
    assert shares[-1] == 1.0


def test_codes_are_the_same_whether_rows_come_at_once_or_in_blocks(monkeypatch):
    whole = build(X, "pq")
    monkeypatch.setattr(faiss_index, "ADDED", 700)
    asked = []

    def rows(some):
        asked.append(some)
        return X[some]

    blocks = build_in_blocks(rows, *X.shape)
    assert [len(X[some]) for some in asked] == [3000, 700, 700, 700, 700, 200]
    for found, wanted in zip(*(search(one, QUERIES, K, ALLOWED) for one in (blocks, whole)), strict=True):
        np.testing.assert_array_equal(found, wanted)
    monkeypatch.setattr(faiss_index, "TRAINED", 500)
    asked.clear()
    share = recall(search(build_in_blocks(rows, *X.shape), QUERIES, K, np.ones(ROWS, dtype=bool))[1], QUERIES @ X.T)
    assert len(X[asked[0]]) == 500
    assert share > 0.45


def test_bytes_are_those_of_the_index_on_disk(index):
    written = faiss_index.on_one_thread().serialize_index(index.faiss).nbytes
    assert bytes_of(index) == pytest.approx(written, rel=0.06)


def test_a_search_that_ends_early_says_so():
    few = np.arange(ROWS) < 5
    _, found = search(build(X, "flat"), QUERIES, K, few)
    assert [sorted(row) for row in found[:, :5].tolist()] == [[0, 1, 2, 3, 4]] * len(QUERIES)
    assert (found[:, 5:] == -1).all()
    assert search(build(X[:7], "flat"), QUERIES, K, np.ones(7, dtype=bool))[1].shape == (len(QUERIES), 7)


def test_one_more_number_makes_lengths_equal_and_distances_order_as_products():
    rows = of_one_length(X)
    np.testing.assert_allclose(np.square(rows).sum(axis=1), np.square(X).sum(axis=1).max(), rtol=1e-5)
    query = np.append(QUERIES[0], 0.0)
    distance, product = np.square(rows - query).sum(axis=1), X @ QUERIES[0]
    np.testing.assert_allclose(distance + 2 * product, (distance + 2 * product).mean(), rtol=1e-4)


def test_threads_of_torch_are_left_alone():
    before = torch.get_num_threads()
    search(build(X, "flat"), QUERIES, K, ALLOWED)
    assert torch.get_num_threads() == before


def test_refusals():
    with pytest.raises(ValueError, match="kind == 'lsh', must be one of flat, hnsw, ivf, pq"):
        build(X, "lsh")
    with pytest.raises(ValueError, match=r"rows == \[100, 16\], must be at least 256"):
        build(X[:100], "pq")
    with pytest.raises(ValueError, match=r"rows == \[3000, 15\], must be .* that 8 divides"):
        build(X[:, :15], "pq")
