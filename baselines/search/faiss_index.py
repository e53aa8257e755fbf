"""FAISS (Johnson, Douze & Jegou, arXiv 1702.08734) as this package uses it: one thread, inner products, a filter.

Indexes of rows by inner product: ``flat`` (exact), ``hnsw`` (Malkov & Yashunin, arXiv 1603.09320), ``ivf`` (inverted
lists of k-means cells) and ``pq`` (product quantisation, 8 numbers to a byte: Jegou et al., TPAMI 2011). Building is
deterministic: k-means and the levels of the graph have fixed seeds, and one thread adds rows in their order.

Rows of different lengths break the geometry that graph and cells rely on, so ``hnsw`` and ``ivf`` hold rows with one
more number that brings all to one length (Bachrach et al., RecSys 2014), and are searched by distance, which then
orders as the inner product does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.records import Flags, Floats, Ints

KINDS = ("flat", "hnsw", "ivf", "pq")
LINKS = 32
"""Links of a node of the graph, twice as many on the ground level."""
BUILD_WIDTH, SEARCH_WIDTH = 80, 128
"""Nodes that are kept open while the graph is built and, at least, while it is searched."""
CELL_ROWS = 64
"""Rows of a cell on average, at least: k-means wants 39."""
PROBED = 4
"""One in so many cells is searched, unless a search says otherwise."""
GROUP, CODES = 8, 256
"""Numbers that share a byte, and its values."""
TRAINED, ADDED = CODES * CODES, 1 << 14
"""Rows at most that codes are made from, and rows that are coded at once."""


class Index(NamedTuple):
    """A FAISS index and what its searches need.

    Attributes:
        faiss: the index.
        kind: one of ``KINDS``.
        rows: in the index.
        width: of a row as it was given.
    """

    faiss: Any
    kind: str
    rows: int
    width: int


def on_one_thread() -> Any:
    """The library, imported when it is first used; its own type stubs do not know the wrappers that it installs."""
    faiss: Any = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    return faiss


def build(rows: npt.NDArray[Any], kind: str) -> Index:
    """An index over rows float [n, w].

    Raises:
        ValueError: for an unknown kind; for ``pq`` with fewer than 256 rows or a width that 8 does not divide.
    """
    if kind not in KINDS:
        raise ValueError(f"kind == {kind!r}, must be one of {', '.join(KINDS)}")
    n, w = rows.shape
    if kind == "pq" and (n < CODES or w % GROUP):
        raise ValueError(f"rows == [{n}, {w}], must be at least {CODES} of a width that {GROUP} divides for 'pq'")
    faiss = on_one_thread()
    given = np.ascontiguousarray(rows, dtype=np.float32)
    if kind == "pq":
        return build_in_blocks(lambda some: given[some], n, w)
    if kind in ("hnsw", "ivf"):
        given = of_one_length(given)
    if kind == "flat":
        index = faiss.IndexFlatIP(w)
    elif kind == "hnsw":
        index = faiss.IndexHNSWFlat(w + 1, LINKS)
        index.hnsw.efConstruction = BUILD_WIDTH
    else:
        cells = int(np.clip(4 * np.sqrt(n), 1, max(n // CELL_ROWS, 1)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(w + 1), w + 1, cells)
        # Four million facets have 500 to a cell; k-means wants 39, and takes as long as it is given rows.
        index.cp.max_points_per_centroid = CELL_ROWS
    if n:
        index.train(given)
        index.add(given)
    return Index(index, kind, n, w)


def build_in_blocks(rows: Callable[[slice], npt.NDArray[Any]], n: int, w: int) -> Index:
    """An index of kind ``pq`` over rows that are never all there at once.

    Args:
        rows: makes the rows of a slice, float32 [.., w]; asked for evenly spread ones first, then for all in turn.
        n: how many there are, at least 256.
        w: their width, a multiple of 8.
    """
    faiss = on_one_thread()
    # One cell that holds everything: unlike the plain index of its kind it takes a filter.
    index = faiss.IndexIVFPQ(faiss.IndexFlatIP(w), w, 1, w // GROUP, 8, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.pq.cp.min_points_per_centroid = 1
    index.train(np.ascontiguousarray(rows(slice(0, n, -(-n // TRAINED))), dtype=np.float32))
    for first in range(0, n, ADDED):
        index.add(np.ascontiguousarray(rows(slice(first, min(first + ADDED, n))), dtype=np.float32))
    return Index(index, "pq", n, w)


def bytes_of(index: Index) -> int:
    """What an index holds: rows or codes, their numbers, links, centroids."""
    own, n, w = index.faiss, index.rows, index.width
    if index.kind == "flat":
        return 4 * n * w
    if index.kind == "hnsw":
        return int(4 * n * (w + 1) + 4 * own.hnsw.neighbors.size() + 8 * own.hnsw.offsets.size())
    if index.kind == "ivf":
        return int(n * (4 * (w + 1) + 8) + 4 * own.nlist * (w + 1))
    return n * (w // GROUP + 8) + 4 * CODES * w


def of_one_length(rows: Floats) -> Floats:
    """Rows [n, w] with one more number, which brings all to the length of the longest."""
    squares = np.square(rows).sum(axis=1)
    rest = np.sqrt(np.maximum(squares.max(initial=0.0) - squares, 0.0))
    return np.concatenate([rows, rest[:, None]], axis=1).astype(np.float32)


def search(
    index: Index, queries: npt.NDArray[Any], k: int, allowed: Flags, probed: int = PROBED
) -> tuple[Floats, Ints]:
    """The best ``k`` allowed rows of each query by inner product.

    Args:
        index: of n rows.
        queries: float [q, w].
        k: how many.
        allowed: bool [n], the rows that may be found.
        probed: of ``ivf``, one in so many cells is searched.

    Returns:
        Inner products (squared distances, ascending, for ``hnsw`` and ``ivf``) and rows, [q, min(k, n)], best first;
        -1 where a search ended before.
    """
    faiss = on_one_thread()
    k = min(k, index.rows)
    if not k:
        return np.zeros((len(queries), 0), dtype=np.float32), np.zeros((len(queries), 0), dtype=np.int64)
    given = np.ascontiguousarray(queries, dtype=np.float32)
    if index.kind in ("hnsw", "ivf"):
        given = np.concatenate([given, np.zeros((len(given), 1), dtype=np.float32)], axis=1)
    only = None
    if not allowed.all():
        only = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    if index.kind == "hnsw":
        how = faiss.SearchParametersHNSW(sel=only, efSearch=max(SEARCH_WIDTH, 2 * k))
    elif index.kind in ("ivf", "pq"):
        how = faiss.SearchParametersIVF(sel=only, nprobe=max(index.faiss.nlist // probed, 1))
    else:
        how = faiss.SearchParameters(sel=only)
    score, row = index.faiss.search(given, k, params=how)
    return score, row
