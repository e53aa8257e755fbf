"""MUVERA (Dhulipala et al., NeurIPS 2024, arXiv 2405.19504): one vector a side, whose product is about MaxSim.

A fixed-dimensional encoding (FDE). Per repetition, ``hashes`` random planes cut the sphere into ``2^hashes`` buckets.
A query's block is the sum of its facets in the bucket, an item's the mean; an empty bucket of an item takes the facet
whose hash differs in the fewest bits, an empty bucket of a query stays zero. A random +-1 matrix over sqrt(d) brings
each block to ``d`` numbers. All blocks side by side are the encoding: of ``R * 2^hashes * d`` numbers.

Departures: weights w_i of user facets multiply them before the sum (a positive factor moves no facet to another
bucket); of equally near facets the first; no projection of the whole encoding; money enters before the cut, candidates
are sought by what they are ranked by: ``flat`` adds the log bid to the product, ``pq`` (8 numbers to a byte) searches
rows [gain * F; log bid]. The paper is about tens of tokens a side: four facets of 32 are fewer numbers than any
encoding here, and their exact scan is cheaper than that of the encodings.

Letters: U users, N items, H facets of either, p width of a facet, R repetitions, c buckets, d numbers of a block.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.late.scan import USERS, Found, Query, rescored
from baselines.search.faiss_index import CODES
from baselines.search.money_index import Made, MoneyIndex
from baselines.search.top import top_by_id
from simulator.keyed_random import subseed

ITEMS = 1024
"""Items that are encoded at once."""
STORES = ("flat", "pq")


@dataclass(frozen=True, kw_only=True)
class FdeConfig:
    """Size of an encoding; the paper's Pareto settings are (20, 3, 8), (20, 4, 8), (20, 5, 8) and (20, 5, 16).

    Attributes:
        repetitions: R.
        hashes: planes of a repetition, 1 to 16.
        width: d, numbers of a block.
    """

    repetitions: int = 20
    hashes: int = 3
    width: int = 8

    def __post_init__(self) -> None:
        for name in ("repetitions", "hashes", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} == {getattr(self, name)}, must be at least 1")
        if self.hashes > 16:
            raise ValueError(f"hashes == {self.hashes}, must be at most 16")

    @property
    def numbers(self) -> int:
        """Of a whole encoding."""
        return self.repetitions * self.width << self.hashes


class Fde:
    """The encodings of both sides from one set of planes and projections.

    Args:
        p: width of a facet.
        config: sizes.
        seed: of planes and projections.
    """

    def __init__(self, p: int, config: FdeConfig, seed: int) -> None:
        self.config = config
        generator = torch.Generator().manual_seed(subseed(seed, "muvera"))
        R, d = config.repetitions, config.width
        self._planes = torch.randn(R, p, config.hashes, generator=generator)
        signs = torch.randint(2, (R, p, d), generator=generator)
        self._project = (2.0 * signs - 1.0) / d**0.5
        self._powers = 2 ** torch.arange(config.hashes)
        buckets = torch.arange(1 << config.hashes)
        # Bits in which two hashes differ.
        self._apart = ((buckets[:, None] ^ buckets[None, :])[..., None] >> torch.arange(config.hashes) & 1).sum(dim=2)

    def queries(self, facets: Tensor, weights: Tensor) -> Tensor:
        """Facets [U, H, p] with weights [U, H] -> [U, numbers]; sums, empty buckets stay zero."""
        inside = one_hot(self._bucket(facets), 1 << self.config.hashes) * weights[:, None, :, None]
        return self._joined(facets, inside)

    def items(self, facets: Tensor, real: Tensor | None = None) -> Tensor:
        """Facets [N, H, p], ``real`` bool [N, H] or None -> [N, numbers]; means, empty buckets filled."""
        there = torch.ones(facets.shape[:2], dtype=torch.bool) if real is None else real
        parts = [
            self._joined(
                facets[first : first + ITEMS], self._shares(*(x[first : first + ITEMS] for x in (facets, there)))
            )
            for first in range(0, max(len(facets), 1), ITEMS)
        ]
        return torch.cat(parts)

    def _bucket(self, facets: Tensor) -> Tensor:
        """int64 [n, R, H]."""
        side = torch.einsum("nhp,rpk->nrhk", facets, self._planes) > 0
        return (side * self._powers).sum(dim=3)

    def _shares(self, facets: Tensor, there: Tensor) -> Tensor:
        """Share of each facet of an item in each bucket, [n, R, H, c]."""
        far = self.config.hashes + 1
        apart = self._apart[self._bucket(facets)].masked_fill(~there[:, None, :, None], far)
        nearest = apart.amin(dim=2, keepdim=True)
        share = ((apart == nearest) & (nearest < far)).float()
        # All facets in the bucket; else the first of the nearest.
        share = torch.where(nearest == 0, share, share * (share.cumsum(dim=2) == 1))
        return share / share.sum(dim=2, keepdim=True).clamp(min=1.0)

    def _joined(self, facets: Tensor, shares: Tensor) -> Tensor:
        # Projection is linear: that of the facets first is the cheaper order.
        projected = torch.einsum("nhp,rpd->nrhd", facets, self._project)
        return (shares.transpose(2, 3) @ projected).flatten(1)


def one_hot(codes: Tensor, size: int) -> Tensor:
    """float32 [..., size]."""
    return torch.nn.functional.one_hot(codes, size).float()


class Muvera:
    """Candidates by encodings, ranked by exact MaxSim.

    Args:
        facets: unit facets [N, J, p].
        real: bool [N, J], or None for no pads.
        config: of the encoding.
        seed: of its planes; one seed for both sides, as they are one object.
        store: ``flat``, encodings as they are, or ``pq``, a byte for 8 numbers.
        over: candidates per item that is wanted.

    Raises:
        ValueError: for another store, and for ``pq`` with fewer than 256 items.
    """

    def __init__(
        self,
        facets: Tensor,
        real: Tensor | None,
        config: FdeConfig,
        seed: int,
        store: str = "flat",
        over: int = 4,
    ) -> None:
        if store not in STORES:
            raise ValueError(f"store == {store!r}, must be one of {', '.join(STORES)}")
        if store == "pq" and len(facets) < CODES:
            raise ValueError(f"items == {len(facets)}, must be at least {CODES} for store 'pq'")
        self.fde = Fde(facets.shape[2], config, seed)
        self._facets, self._real, self._over, self._store = facets, real, over, store
        # A million encodings of 1,280 numbers are 5 GB: `pq` codes them block by block and keeps the codes alone.
        self._encoded = self.fde.items(facets, real) if store == "flat" else None
        self._index: MoneyIndex | None = None

    def search(self, query: Query, k: int) -> Found:
        """The best ``k`` of the candidates; certain only where all that may be taken were candidates."""
        encoded = self.fde.queries(query.users, query.weights)
        listed = self._flat(encoded, query, k) if self._store == "flat" else self._pq(encoded, query, k)
        _, item, similarity = rescored(query, self._facets, self._real, listed, k)
        scored = (listed >= 0).sum(dim=1)
        return Found(item, similarity, scored >= int(query.log_bid.isfinite().sum()), scored)

    def held(self) -> int:
        """Bytes of what is searched and of the facets that rank what is found."""
        coded = 0 if self._index is None else self._index.held()
        kept = 0 if self._encoded is None else self._encoded.nbytes
        return self._facets.nbytes + kept + coded

    def reaching(self, over: int) -> Muvera:
        """The same encodings, asked for ``over`` candidates per one that is wanted."""
        other = copy.copy(self)
        other._over = over
        other._index = None if self._index is None else self._index.reaching(over)
        return other

    def _flat(self, encoded: Tensor, query: Query, k: int) -> Tensor:
        assert self._encoded is not None
        parts = []
        for first in range(0, max(len(encoded), 1), USERS):
            money = query.gain * encoded[first : first + USERS] @ self._encoded.T + query.log_bid
            best, item = top_by_id(money, self._over * k)
            parts.append(item.masked_fill(~best.isfinite(), -1).sort(dim=1).values)
        return torch.cat(parts)

    def _pq(self, encoded: Tensor, query: Query, k: int) -> Tensor:
        if self._index is None:
            made = Made((len(self._facets), self.fde.config.numbers), self._made)
            self._index = MoneyIndex("pq", made, query.gain, self._over)
        return torch.from_numpy(self._index.listed(encoded.numpy(), query.log_bid.numpy(), k))

    def _made(self, some: slice) -> npt.NDArray[np.float32]:
        """Encodings of some items."""
        encoded: npt.NDArray[np.float32] = self.fde.items(
            self._facets[some], None if self._real is None else self._real[some]
        ).numpy()
        return encoded
