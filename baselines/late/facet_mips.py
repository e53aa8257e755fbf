"""Candidates of late interaction by the threshold algorithm, with a certificate of exactness.

Fagin, Lotem & Naor, PODS 2001: several sorted lists of the same items, a score that is monotone in the places. Here one
list for each user facet i (item facets by <q_i, p>) and one of log bids. An item that none of the lists names down to
depth k' has

    money <= gain sum_i w_i t_i + b        t_i: the k'-th product of list i, b: the largest log bid that is unlisted

for weights that are not negative. If the K-th best listed item, scored exactly over all of its facets, lies above that,
no unlisted item can be among the K best: the result is certain. Otherwise k' is doubled, until more than one in
``GIVE_UP`` of the items is listed: from there on the plain scan of all is cheaper, and certain too.

Only items that may compete are in the lists, so a filter never empties a result. The certificate needs exact facet
lists (``flat``); over an approximate facet index (``hnsw``, ``ivf``) nothing is certain and nothing is doubled.

Letters: R users, H user facets, N items, J item facets, p width of a facet, m listed items, F facets in the index.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.late.scan import ExactScan, Found, Query, rescored
from baselines.search.faiss_index import PROBED, Index, build, bytes_of, search
from simulator.records import Flags, Floats, Ints

LEAST_DEPTH = 32
GIVE_UP = 4
SLACK = 1e-5
"""Room for rounding in the bound, relative to the largest score that there can be."""


class Bids(NamedTuple):
    """The list of log bids.

    Attributes:
        log_bid: [N], -inf where an item may not compete.
        by_bid: [E], items that may, by falling log bid.
        falling: [E + 1], their log bids, and -inf for what comes after the last.
        place: [N], the place of each item in ``by_bid``, -1 where it has none.
        allowed: bool [F], facets of items that may compete.
    """

    log_bid: Floats
    by_bid: Ints
    falling: Floats
    place: Ints
    allowed: Flags

    @classmethod
    def of(cls, log_bid: Floats, owner: Ints) -> Bids:
        """From log bids [N] and the item of each facet [F]."""
        eligible = np.isfinite(log_bid)
        by_bid = np.argsort(-log_bid, kind="stable")[: int(eligible.sum())]
        place = np.full(log_bid.size, -1)
        place[by_bid] = np.arange(by_bid.size)
        return cls(log_bid, by_bid, np.append(log_bid[by_bid], -np.inf), place, eligible[owner])


class FacetMips:
    """Facet lists, then exact scores of what they name.

    Args:
        facets: unit facets [N, J, p].
        real: bool [N, J], or None for no pads; pads are in no list.
        kind: of the facet index: ``flat`` (exact), ``hnsw`` or ``ivf``.
        over: length of the first lists, per item that is wanted.
        probed: of ``ivf``, one in so many cells is searched.
    """

    def __init__(
        self, facets: Tensor, real: Tensor | None = None, kind: str = "flat", over: int = 4, probed: int = PROBED
    ) -> None:
        self._facets, self._real, self._exact, self._over = facets, real, kind == "flat", over
        self._probed = probed
        N, J, p = facets.shape
        self._scan: ExactScan | None = None
        if real is None:
            self._owner = np.repeat(np.arange(N), J)
            rows = facets.reshape(N * J, p).numpy()
        else:
            self._owner = np.nonzero(real.numpy())[0]
            rows = facets[real].numpy()
        self._index: Index = build(rows, kind)
        self._bids: Bids | None = None

    def held(self) -> int:
        """Bytes of the lists' index and of the facets that rank what they name, twice where all were scanned once."""
        facets = self._facets.nbytes * (1 if self._scan is None else 2)
        return facets + self._owner.nbytes + bytes_of(self._index)

    def reaching(self, over: int | None = None, probed: int | None = None) -> FacetMips:
        """The same lists, of another length or from more or fewer cells."""
        other = copy.copy(self)
        other._over, other._probed = over or self._over, probed or self._probed
        return other

    def search(self, query: Query, k: int) -> Found:
        """The best ``k`` of each user; ``certain`` where the certificate holds.

        Raises:
            ValueError: for a negative weight: the bound would not hold.
        """
        if len(query.weights) and float(query.weights.min()) < 0:
            raise ValueError(f"weights == {float(query.weights.min()):g}, must not be negative")
        log_bid = query.log_bid.numpy()
        # Requests of one tick share the bids: their list is sorted once.
        if self._bids is None or not np.array_equal(self._bids.log_bid, log_bid):
            self._bids = Bids.of(log_bid.copy(), self._owner)
        by_bid, place = self._bids.by_bid, self._bids.place
        R, width = len(query.users), min(k, log_bid.size)
        found = Found(
            item=torch.full((R, width), -1),
            similarity=torch.zeros(R, width),
            certain=torch.zeros(R, dtype=torch.bool),
            scored=torch.zeros(R, dtype=torch.int64),
        )
        open_rows = torch.arange(R)
        depth = max(self._over * k, LEAST_DEPTH)
        while len(open_rows) and by_bid.size:
            some = query._replace(users=query.users[open_rows], weights=query.weights[open_rows])
            lists, floor = self._lists(some, self._bids.allowed, depth)
            listed, unlisted = union(lists, by_bid, place, depth)
            money, item, similarity = rescored(some, self._facets, self._real, torch.from_numpy(listed), k)
            certain = self._certain(some, money, floor, self._bids.falling[unlisted], min(k, by_bid.size))
            scored = torch.from_numpy((listed >= 0).sum(axis=1))
            _fill(found, open_rows, Found(item, similarity, certain, scored))
            if not self._exact:
                break
            open_rows, many = open_rows[~certain], GIVE_UP * scored[~certain] > by_bid.size
            hopeless, open_rows = open_rows[many], open_rows[~many]
            if len(hopeless):
                some = query._replace(users=query.users[hopeless], weights=query.weights[hopeless])
                _fill(found, hopeless, self._all().search(some, k))
            depth *= 2
        if not by_bid.size:
            found.certain[:] = True
        return found

    def _all(self) -> ExactScan:
        """The scan, laid out when it is first needed."""
        if self._scan is None:
            self._scan = ExactScan(self._facets, self._real)
        return self._scan

    def _lists(self, query: Query, allowed: Flags, depth: int) -> tuple[Ints, Tensor]:
        """The items of the best ``depth`` facets of each user facet, [R, H * depth] (-1 pads), and t_i, [R, H]."""
        R, H, p = query.users.shape
        product, facet = search(self._index, query.users.reshape(R * H, p).numpy(), depth, allowed, self._probed)
        items = np.where(facet < 0, -1, self._owner[facet]).reshape(R, H * facet.shape[1])
        # A list as long as there are facets names all that there is.
        last = np.full(R * H, -np.inf) if depth >= allowed.sum() else product[:, -1]
        return items, torch.from_numpy(last.astype(np.float32)).view(R, H)

    def _certain(self, query: Query, money: Tensor, floor: Tensor, richest: npt.NDArray[Any], k: int) -> Tensor:
        """Whether nothing unlisted can reach the K-th best, bool [R]."""
        if not self._exact:
            return torch.zeros(len(money), dtype=torch.bool)
        complete = (floor == -torch.inf).any(dim=1)
        reach = torch.where(query.weights > 0, query.weights * floor, 0.0).sum(dim=1)
        bound = query.gain * reach + torch.from_numpy(richest.astype(np.float32))
        slack = SLACK * (
            1 + query.gain * query.weights.sum(dim=1) + query.log_bid[query.log_bid.isfinite()].abs().max()
        )
        kth = money[:, k - 1] if money.shape[1] >= k else torch.full((len(money),), -torch.inf)
        return complete | (kth > bound + slack) | torch.from_numpy(np.isneginf(richest))


def _fill(found: Found, rows: Tensor, part: Found) -> None:
    """Write the answers of some rows into those of all."""
    n = part.item.shape[1]
    found.item[rows, :n], found.similarity[rows, :n] = part.item, part.similarity
    found.certain[rows], found.scored[rows] = part.certain, part.scored


def union(lists: Ints, by_bid: Ints, place: Ints, depth: int) -> tuple[Ints, Ints]:
    """The items that the lists and the first ``depth`` log bids name, each once.

    Args:
        lists: [R, n], items that may compete, -1 pads.
        by_bid: [E], items that may compete, by falling log bid.
        place: [N], the place of each item in ``by_bid``.
        depth: of the list of log bids.

    Returns:
        Items int64 [R, m], ascending, -1 pads first; and the first place in ``by_bid`` that is not listed, [R], E if
        there is none.
    """
    R, E = len(lists), by_bid.size
    rich = np.broadcast_to(np.arange(min(depth, E)), (R, min(depth, E)))
    # One number for each (row, place); pads get the place E.
    places = np.concatenate([np.where(lists < 0, E, place[lists]), rich, np.full((R, 1), E)], axis=1)
    row, at = np.divmod(np.unique(places + (E + 1) * np.arange(R)[:, None]), E + 1)
    first = np.searchsorted(row, np.arange(R))
    column = np.arange(row.size) - first[row]
    # Places are distinct and ascending in a row: the first that is not its own column has a gap before it; the pad E
    # comes last in every row and ends the count.
    gap = (at != column) | (at == E)
    unlisted = column[gap][np.searchsorted(row[gap], np.arange(R))]
    real = at < E
    listed = np.full((R, int(column[real].max(initial=-1)) + 1), -1)
    listed[row[real], column[real]] = by_bid[at[real]]
    return np.sort(listed, axis=1), unlisted
