"""How alike a user and an ad are: the score of a two-tower model, between what its two towers return.

The trainer and the publication ask a backbone's score and know neither its form nor the form of what the towers
return. ``Cosine`` is that of single vectors; ``MaxSim`` (ColBERT, Khattab & Zaharia, SIGIR 2020, arXiv 2004.12832) that
of facets. Scores lie in [-1, 1]: the head's gain and the softmax's temperature mean the same for both.

Letters: B rows, R requests, N ads, n ads of each request, d width of a vector, H facets, p width of a facet.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from baselines.search.finder import Finder, ScanFinder
from baselines.search.top import top_by_id

CELLS = 1 << 22
"""Numbers that a block of a MaxSim scan may hold."""
FLAT = 128
"""Facets up to so many numbers in all are handed over flattened, wider ones as their mean (docs/formulas.md 1)."""


class Score(Protocol):
    """What a backbone's towers return, read by those who need not know it.

    Attributes:
        user_width, item_width: widths of the vectors that stand for a user and for an ad elsewhere (CTS, distillation).
        item_numbers: float32 that an ad takes in the index.
        pair_flops: FLOP (2 x multiply-adds) of the score of one pair.
    """

    user_width: int
    item_width: int
    item_numbers: int
    pair_flops: int

    def of_rows(self, u: Tensor, v: Tensor) -> Tensor:
        """Scores of users [B, ...], each with the ad [B, ...] of its row -> [B]."""
        ...

    def of_all(self, u: Tensor, v: Tensor) -> Tensor:
        """Scores of users [R, ...] with all of the ads [N, ...] -> [R, N]."""
        ...

    def of_some(self, u: Tensor, v: Tensor) -> Tensor:
        """Scores of users [R, ...] with ads of their own [R, n, ...] -> [R, n]."""
        ...

    def exact(self, items: Tensor, gain: float) -> Finder:
        """The exact search over the items of a publication [A, ...], by gain * score + log bid."""
        ...

    def user_vector(self, u: Tensor) -> Tensor:
        """The vectors [B, user_width] that stand for users [B, ...]."""
        ...

    def item_vector(self, v: Tensor) -> Tensor:
        """The vectors [B, item_width] that stand for ads [B, ...]."""
        ...


class Cosine:
    """The inner product of unit vectors [B, d].

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        self.user_width = self.item_width = self.item_numbers = width
        self.pair_flops = 2 * width

    def of_rows(self, u: Tensor, v: Tensor) -> Tensor:
        """[B, d] and [B, d] -> [B]."""
        return (u * v).sum(dim=1)

    def of_all(self, u: Tensor, v: Tensor) -> Tensor:
        """[R, d] and [N, d] -> [R, N]."""
        return u @ v.T

    def of_some(self, u: Tensor, v: Tensor) -> Tensor:
        """[R, d] and [R, n, d] -> [R, n]."""
        return torch.einsum("rd,rnd->rn", u, v)

    def exact(self, items: Tensor, gain: float) -> Finder:
        """Over items [A, d], few scores kept."""
        return ScanFinder(items, gain)

    def user_vector(self, u: Tensor) -> Tensor:
        """The vector itself."""
        return u

    def item_vector(self, v: Tensor) -> Tensor:
        """The vector itself."""
        return v


class MaxSim:
    """The mean over the user's facets of their best match among the ad's: ``1/H_u sum_i max_j <u_i, v_j>``.

    Args:
        user_facets: H_u of users' facets [B, H_u, p], of unit length, or each as long as its weight.
        item_facets: H_v of ads' facets [B, H_v, p], unit length.
        facet: p.
        handed: how many facets, the last ones, stand for a user elsewhere; all if None.
        cells: numbers that a block of a scan may hold.
    """

    def __init__(
        self, user_facets: int, item_facets: int, facet: int, *, handed: int | None = None, cells: int = CELLS
    ) -> None:
        self._handed = user_facets if handed is None else handed
        self._cells = cells
        self.user_width, self.item_width = handed_width(self._handed, facet), handed_width(item_facets, facet)
        self.item_numbers = item_facets * facet
        self.pair_flops = 2 * user_facets * item_facets * facet

    def of_rows(self, u: Tensor, v: Tensor) -> Tensor:
        """[B, H_u, p] and [B, H_v, p] -> [B]."""
        return (u @ v.mT).amax(dim=2).mean(dim=1)

    def of_all(self, u: Tensor, v: Tensor) -> Tensor:
        """[R, H_u, p] and [N, H_v, p] -> [R, N], in blocks of ads: no more than ``cells`` numbers beside the result."""
        block = max(self._cells // max(u.shape[0] * u.shape[1], 1), 1)
        return torch.cat([self._block(u, part) for part in torch.split(v, block)], dim=1)

    def of_some(self, u: Tensor, v: Tensor) -> Tensor:
        """[R, H_u, p] and [R, n, H_v, p] -> [R, n]."""
        best = u @ v[:, :, 0].mT
        for j in range(1, v.shape[2]):
            best = torch.maximum(best, u @ v[:, :, j].mT)
        return best.mean(dim=1)

    def exact(self, items: Tensor, gain: float) -> Finder:
        """Over items [A, H_v, p], all scores kept."""
        return EveryPair(self, items, gain)

    def user_vector(self, u: Tensor) -> Tensor:
        """The facets that are handed over, flattened or as their mean."""
        return _handed_over(u[:, u.shape[1] - self._handed :])

    def item_vector(self, v: Tensor) -> Tensor:
        """The facets, flattened or as their mean."""
        return _handed_over(v)

    def _block(self, u: Tensor, v: Tensor) -> Tensor:
        """One product per facet of the ads: only the best so far is kept."""
        (R, H), flat = u.shape[:2], u.flatten(0, 1)
        best = flat @ v[:, 0].T
        for j in range(1, v.shape[1]):
            best = torch.maximum(best, flat @ v[:, j].T)
        return best.view(R, H, v.shape[0]).mean(dim=1)


class EveryPair:
    """Exact search for any score: of all ads, all kept.

    Args:
        score: of users and ads.
        items: [A, ...].
        gain: of the score in the logit.
    """

    def __init__(self, score: Score, items: Tensor, gain: float) -> None:
        self._score, self._items, self._gain = score, items, gain

    def find(self, users: Tensor, log_bid: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Ads and their scores."""
        every = self._score.of_all(users, self._items)
        best, ads = top_by_id(self._gain * every + log_bid, k)
        return ads.masked_fill(~best.isfinite(), -1), every.gather(1, ads)


def handed_width(facets: int, facet: int) -> int:
    """Width of the vector that stands for ``facets`` facets of width ``facet``."""
    return facets * facet if facets * facet <= FLAT else facet


def _handed_over(facets: Tensor) -> Tensor:
    """[B, H, p] -> [B, handed_width(H, p)]."""
    H, p = facets.shape[1:]
    return facets.flatten(1) if H * p <= FLAT else facets.mean(dim=1)
