"""From published items to candidates: what a two-tower retriever serves from.

A finder is made from the items of one publication and lives until the next. Single vectors are found by scoring all of
them (``scan``) or by FAISS (``hnsw``, ``ivf``) in the order of expected money (``money_index``); facets by the ways of
late interaction.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from baselines.search.money_index import MoneyIndex
from baselines.search.scan import Scan
from baselines.search.top import top_by_id
from simulator.records import Candidates, Floats, Offers, Requests

EXACT = "exact"
SEARCHES = (EXACT, "hnsw", "ivf")


class Finder(Protocol):
    """Candidates from the items of one publication."""

    def find(self, users: Tensor, log_bid: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The best ``k`` ads by gain * score + log bid.

        Args:
            users: what the user tower returned, [R, ...].
            log_bid: [A], -inf where an ad may not compete.
            k: how many.

        Returns:
            Ads int64 [R, <= k], best first, -1 pads at the end, and their scores, anything at pads.
        """
        ...


MakesFinder = Callable[[Tensor, float], Finder]
"""``make(items, gain)``: from what the item tower returned for all ads, [A, ...], and the head's gain."""


class Way(NamedTuple):
    """How a retriever comes to its candidates.

    Attributes:
        makes_finder: makes what serves in place of the exact scan from each publication's items; None for the scan.
        misses: whether that may miss ads.
    """

    makes_finder: MakesFinder | None
    misses: bool


def by_vectors(search: str) -> Way:
    """The search of single vectors by its name.

    Raises:
        ValueError: for an unknown name.
    """
    if search not in SEARCHES:
        raise ValueError(f"search == {search!r}, must be one of {', '.join(SEARCHES)}")
    if search == EXACT:
        return Way(None, misses=False)
    return Way(lambda items, gain: VectorFinder(search, items, gain), misses=True)


class ScanFinder:
    """Exact search of vectors: all ads are scored, few scores are kept.

    Args:
        items: [A, d].
        gain: of the score in the logit.
    """

    def __init__(self, items: Tensor, gain: float) -> None:
        self._scan, self._gain = Scan(items.numpy()), gain

    def find(self, users: Tensor, log_bid: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Ads and inner products, which are what is left of the scan's sums without the log bids."""
        self._scan.offer(log_bid.numpy())
        money, ad = self._scan.search((self._gain * users).numpy(), k)
        return torch.from_numpy(ad), torch.from_numpy((money - self._scan.log_bid[ad]) / np.float32(self._gain))


class VectorFinder:
    """Approximate search of unit vectors, exact scores of what it finds.

    Args:
        kind: ``hnsw`` or ``ivf``.
        items: unit vectors [A, d].
        gain: of the score in the logit.
        over: candidates that the index is asked for, per ad that is wanted.
    """

    def __init__(self, kind: str, items: Tensor, gain: float, over: int = 2) -> None:
        self._items, self._gain = items, gain
        self.index = MoneyIndex(kind, items.numpy(), gain, over)

    @cached_property
    def _exact(self) -> ScanFinder:
        return ScanFinder(self._items, self._gain)

    def held(self) -> int:
        """Bytes of the vectors and of their index."""
        return self._items.nbytes + self.index.held()

    def find(self, users: Tensor, log_bid: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Ads and cosines; a request whose list is too short for ``k`` is answered exactly."""
        listed = torch.from_numpy(self.index.listed(users.numpy(), log_bid.numpy(), k))
        ids = listed.clamp(min=0)
        score = torch.einsum("rd,rnd->rn", users, self._items[ids])
        money = (self._gain * score + log_bid[ids]).masked_fill(listed < 0, -torch.inf)
        best, place = top_by_id(money, k)
        ad, score = ids.gather(1, place).masked_fill(~best.isfinite(), -1), score.gather(1, place)
        enough = min(k, int(log_bid.isfinite().sum()))
        short = (ad >= 0).sum(dim=1) < enough
        if short.any():
            ad[short], score[short] = self._exact.find(users[short], log_bid, ad.shape[1])
        return ad, score


class Searching(Protocol):
    """A retriever that may serve from an approximate search."""

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """As it serves."""
        ...

    def exact(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """By scoring every ad."""
        ...


def recall_against_exact(retriever: Searching, requests: Requests, offers: Offers, k: int) -> Floats:
    """Share of the exact best ``k`` that a retriever serves, float32 [R]; NaN where no ad may compete."""
    found, exact = (way(requests, offers, k).ad for way in (retriever.retrieve, retriever.exact))
    # One number for each (request, ad): requests do not meet.
    request = np.arange(len(requests), dtype=np.int64)[:, None] * (offers.bid.size + 1)
    legal = exact >= 0
    hit = np.isin(exact + request, (found + request)[found >= 0]) & legal
    share = np.full(len(exact), np.nan, dtype=np.float32)
    np.divide(hit.sum(axis=1), legal.sum(axis=1), out=share, where=legal.any(axis=1), casting="same_kind")
    return share
