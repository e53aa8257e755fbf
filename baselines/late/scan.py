"""Late interaction and its exact scan: MaxSim of a few users with every item, in blocks that stay in cache.

ColBERT (Khattab & Zaharia, SIGIR 2020, arXiv 2004.12832):

    s(Q, P) = sum_{i <= H_u} w_i max_{j <= H_v} <q_i, p_j>

The scan keeps items facet by facet within a block: one product per facet, an element-wise maximum of whole rows and one
product with the weights. Nothing of the size [R, H_u, N, H_v] ever exists.

A padded item facet counts as -inf, a padded user facet has weight 0. The sum is over the user's facets: s is not
symmetric.

Letters: R users, H user facets, N items, J item facets, p width of a facet, n items of a block.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from baselines.search.top import top_by_id

BLOCK = 8192
"""Items of a block at most: 4 MiB of four facets of 32. One user's facets pass over all of it at once."""
SCORES = 1 << 17
"""Products of user facets with items that are made at once, 512 KiB: more users look at fewer items of a block."""
USERS = 16
"""Users that pass over a block together: their products with it stay in cache too."""
NARROW = 16
"""Facets of users up to which one batched product and one reduction are faster than a product for each item facet."""
PAIRS = 1 << 13
"""Items that are re-scored at once, times their users."""


def max_sim(users: Tensor, items: Tensor, weights: Tensor | None = None, real: Tensor | None = None) -> Tensor:
    """MaxSim of pairs.

    Args:
        users: [..., H, p].
        items: [..., J, p], of the same leading shape, or one that broadcasts with it.
        weights: [..., H], not negative; 0 at padded facets. None for ones.
        real: bool [..., J], False at padded facets. None for all.

    Returns:
        [...]; -inf for an item without a real facet.
    """
    products = users @ items.transpose(-1, -2)
    if real is not None:
        products = products.masked_fill(~real[..., None, :], -torch.inf)
    return weighted(products.amax(dim=-1), weights)


def weighted(best: Tensor, weights: Tensor | None) -> Tensor:
    """``sum_i w_i best_i`` over the last dimension; a weight of 0 leaves even -inf to the other facets."""
    if weights is None:
        return best.sum(dim=-1)
    bare = (best == -torch.inf).all(dim=-1)
    total = torch.where(weights > 0, weights * best, 0.0).sum(dim=-1)
    return total.masked_fill(bare, -torch.inf)


class FacetMajor(NamedTuple):
    """Items laid out for the scan.

    Attributes:
        blocks: [b, J, p, n], the items in blocks; the last is filled with zeros.
        items: N.
        bare: bool [N], items without a real facet; None for none.
    """

    blocks: Tensor
    items: int
    bare: Tensor | None

    @classmethod
    def of(cls, facets: Tensor, real: Tensor | None = None) -> FacetMajor:
        """From facets [N, J, p] and, where some are pads, ``real`` bool [N, J]."""
        N, J, p = facets.shape
        facets, bare = without_pads(facets, real)
        count = max(-(-N // BLOCK), 1)
        n = max(-(-N // count), 1)
        filled = torch.cat([facets, facets.new_zeros(count * n - N, J, p)])
        return cls(filled.view(count, n, J, p).permute(0, 2, 3, 1).contiguous(), N, bare)


def without_pads(facets: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Facets [N, J, p] in which a pad repeats a real facet of its item, which leaves every maximum as -inf would.

    Returns:
        The facets, and bool [N]: items that have none; None for none.
    """
    if real is None or bool(real.all()):
        return facets, None
    first = real.to(torch.int8).argmax(dim=1)
    own = facets[torch.arange(len(facets)), first]
    bare = ~real.any(dim=1)
    return torch.where(real[..., None], facets, own[:, None]), bare if bool(bare.any()) else None


@torch.no_grad()
def scan(users: Tensor, items: FacetMajor, weights: Tensor | None = None) -> Tensor:
    """MaxSim of users [R, H, p], weights [R, H] or None, with all items -> [R, N]."""
    R, H, p = users.shape
    b, J, _, n = items.blocks.shape
    w = (users.new_ones(R, H) if weights is None else weights).contiguous()[:, None]
    out = users.new_empty(R, 1, b * n)
    for first in range(0, R, USERS):
        some = slice(first, min(first + USERS, R))
        r = some.stop - first
        q = users[some].reshape(r * H, p)
        # The same few pages for every block: fresh ones would cost as much as the products.
        width = -(-n // -(-n * r * H // SCORES)) if r * H > NARROW else n
        products = users.new_empty((J if r * H <= NARROW else 1) * r * H * width)
        best, total = users.new_empty(r * H * width), users.new_empty(r * width)
        for i, block in enumerate(items.blocks):
            for left in range(0, n, width):
                m = min(width, n - left)
                some_best = best[: r * H * m].view(r * H, m)
                made = products[: len(products) // width * m].view(-1, r * H, m)
                _best(q, block[:, :, left : left + m], made, some_best)
                some_total = total[: r * m].view(r, 1, m)
                torch.bmm(w[some], some_best.view(r, H, m), out=some_total)
                out[some, :, i * n + left : i * n + left + m] = some_total
    out = out[:, 0, : items.items]
    if items.bare is not None:
        out[:, items.bare] = -torch.inf
    return out


def _best(q: Tensor, block: Tensor, products: Tensor, best: Tensor) -> None:
    """Write ``max_j q p_j`` of rows q [h, p] and a block [J, p, n] into ``best`` [h, n].

    All J products at once if there is room for them in ``products`` [J, h, n], else one at a time in [1, h, n].
    """
    J = len(block)
    if len(products) == J:
        torch.bmm(q.expand(J, *q.shape), block, out=products)
        torch.amax(products, dim=0, out=best)
        return
    torch.mm(q, block[0], out=best)
    for facet in block[1:]:
        torch.maximum(best, torch.mm(q, facet, out=products[0]), out=best)


class Query(NamedTuple):
    """What is asked of an index: the best by ``gain * MaxSim + log bid``.

    Attributes:
        users: [R, H, p].
        weights: [R, H], not negative.
        gain: of MaxSim in the logit, positive.
        log_bid: [N], -inf where the item may not be taken.
    """

    users: Tensor
    weights: Tensor
    gain: float
    log_bid: Tensor


class Found(NamedTuple):
    """What an index found.

    Attributes:
        item: int64 [R, k], best first, -1 pads at the end.
        similarity: [R, k], MaxSim; anything at pads.
        certain: bool [R], proven to be what the exact scan finds.
        scored: int64 [R], items whose MaxSim was computed.
    """

    item: Tensor
    similarity: Tensor
    certain: Tensor
    scored: Tensor


class LateIndex(Protocol):
    """A way to candidates."""

    def search(self, query: Query, k: int) -> Found:
        """The best ``k`` of each user, ties by id."""
        ...

    def held(self) -> int:
        """Bytes of all that it needs to be searched."""
        ...


class ExactScan:
    """Scores every item: the truth that the other ways are measured against.

    Args:
        facets: [N, J, p].
        real: bool [N, J], or None for no pads.
    """

    def __init__(self, facets: Tensor, real: Tensor | None = None) -> None:
        self._items = FacetMajor.of(facets, real)

    def held(self) -> int:
        """Bytes of the items as they are laid out."""
        return self._items.blocks.nbytes

    def search(self, query: Query, k: int) -> Found:
        """All items, a few users at a time."""
        parts = []
        for first in range(0, max(len(query.users), 1), USERS):
            some = slice(first, first + USERS)
            similarity = scan(query.users[some], self._items, query.weights[some])
            money, item = top_by_id(query.gain * similarity + query.log_bid, k)
            parts.append((money, item, similarity.gather(1, item)))
        money, item, similarity = (torch.cat(column) for column in zip(*parts, strict=True))
        R = len(item)
        every = torch.full((R,), self._items.items)
        return Found(item.masked_fill(~money.isfinite(), -1), similarity, torch.ones(R, dtype=torch.bool), every)


def rescored(
    query: Query, facets: Tensor, real: Tensor | None, listed: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best ``k`` among listed items by their exact MaxSim over all of their facets.

    Args:
        query: R users.
        facets: [N, J, p].
        real: bool [N, J], or None for no pads.
        listed: int64 [R, m], ascending in each row, -1 pads anywhere.
        k: how many.

    Returns:
        Money, items (-1 pads, last) and MaxSim, [R, min(k, m)] each.
    """
    R, m = listed.shape
    parts = []
    step = max(PAIRS // max(m, 1), 1)
    for first in range(0, max(R, 1), step):
        some = slice(first, first + step)
        ids = listed[some].clamp(min=0)
        r, (J, p) = len(ids), facets.shape[1:]
        # One product per user with the facets of all its items: an item at a time would be all overhead.
        products = query.users[some] @ facets.index_select(0, ids.reshape(-1)).reshape(r, m * J, p).transpose(1, 2)
        products = products.view(r, query.users.shape[1], m, J)
        if real is not None:
            products = products.masked_fill(~real[ids][:, None], -torch.inf)
        similarity = weighted(products.amax(dim=3).transpose(1, 2), query.weights[some][:, None])
        money = (query.gain * similarity + query.log_bid[ids]).masked_fill(listed[some] < 0, -torch.inf)
        best, place = top_by_id(money, k)
        items = ids.gather(1, place).masked_fill(~best.isfinite(), -1)
        parts.append((best, items, similarity.gather(1, place)))
    money, items, similarity = (torch.cat(column) for column in zip(*parts, strict=True))
    return money, items, similarity
