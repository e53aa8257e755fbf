"""DAT, the dual augmented two-tower model (Yu et al., Meituan, DLP-KDD 2021): the nearest rival of CTS.

Each user and each ad has a trainable vector a that enters its own tower and mimics the *other* tower's output on
positives:

    L_u = sum_rows y ||n(a_u) - sg(v)||^2        L_v = sum_rows y ||n(a_v) - sg(u)||^2
    L_CA = sum_{k != major} ||C(major) - C(k)||_F^2
    L = L_task + 0.5 L_u + 0.5 L_v + 1.0 L_CA

C(k) is the covariance of the batch's item vectors of category k, ``major`` the most frequent category. The towers get
no gradient from the mimic terms; a gets the task's gradient through its tower besides.

Departures: a is brought to unit length in the mimic terms, as the towers' outputs are; y masks the negatives of the
impression log (public code without the mask trains on positives only); categories with fewer than d + 1 rows in a batch
are left out of L_CA, for their covariance is not of full rank; the task and everything else are ``dssm``'s. Sums over
rows are divided by the size of a full batch, like every loss here. Some public re-implementations draw a random vector
per forward in place of a: nothing is learned then, and their DAT rows understate DAT.

A step of gradient descent on ``w ||a - v||^2`` with rate ``lr`` is ``a <- (1 - 2 lr w) a + 2 lr w v``: with
``2 lr w = 1 - alpha`` it is the moving average of CTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.towers.dssm import dssm
from baselines.training.assembly import hands_over, single_vector
from baselines.training.auxiliary import Auxiliary, Trained, together
from baselines.training.config import TowerConfig
from baselines.training.extras import Extras
from baselines.training.gather import Gathered
from baselines.training.retriever import TowerRetriever
from baselines.training.rowwise_adagrad import RowwiseAdagrad
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class DatConfig:
    """What DAT adds to a two-tower model.

    Attributes:
        mimic: weight of each of L_u and L_v; the paper's 0.5.
        align: weight of L_CA; the paper's 1.0.
        std: of the vectors' initialisation.
    """

    mimic: float = 0.5
    align: float = 1.0
    std: float = 0.05


def mimic_loss(augmented: Tensor, target: Tensor, label: Tensor) -> Tensor:
    """``sum_rows y ||a - sg(target)||^2`` of a [B, d], targets [B, d], labels [B] of 0 and 1."""
    return (label * (augmented - target.detach()).square().sum(dim=1)).sum()


def alignment_loss(vectors: Tensor, category: Tensor) -> Tensor:
    """L_CA of item vectors [B, d] of categories int64 [B]; zero if fewer than two categories are large enough."""
    d = vectors.shape[1]
    counts = torch.bincount(category)
    large = (counts > d).nonzero()[:, 0].tolist()
    if len(large) < 2:
        return vectors.new_zeros(())
    covariance = {k: torch.cov(vectors[category == k].T) for k in large}
    major = max(large, key=lambda k: int(counts[k]))
    parts = [(covariance[major] - covariance[k]).square().sum() for k in large if k != major]
    return torch.stack(parts).sum()


class AugmentedVectors:
    """a_u and a_v: trained by row-wise Adagrad, published at sync; an ``Auxiliary``.

    Args:
        catalog: the keys and the ads' categories.
        width: d, of both towers' outputs.
        config: weights of the losses.
        tower: learning rate and L2 of the rows, the embedding table's.
        seed: of the initialisation.
    """

    def __init__(self, catalog: Catalog, width: int, config: DatConfig, tower: TowerConfig, seed: int) -> None:
        self.user_width = self.item_width = width
        self._config = config
        self._category = torch.from_numpy(catalog.category.astype(np.int64))
        generator = torch.Generator().manual_seed(subseed(seed, "augmented vectors"))
        # Row 0 is the pad of a gather: keys are shifted by one.
        self._live = [
            torch.randn(1 + rows, width, generator=generator).mul_(config.std)
            for rows in (catalog.users.rows, catalog.ads.rows)
        ]
        for table in self._live:
            table[0] = 0.0
        self._adagrad = [RowwiseAdagrad(table, lr=tower.table_lr, l2=tower.l2) for table in self._live]
        self._batch: tuple[Gathered, Gathered] | None = None
        self._published = [table.clone() for table in self._live]

    def dense(self) -> list[nn.Parameter]:
        """None: only rows are trained."""
        return []

    def read(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """a_u [n, d] and a_v [m, d] with gradient."""
        of_users, of_items = (one.gather(keys + 1) for one, keys in zip(self._adagrad, (users, items), strict=True))
        self._batch = of_users, of_items
        return of_users.values[of_users.places[0]], of_items.values[of_items.places[0]]

    def loss(self, batch: Trained) -> Tensor:
        """The mimic and alignment terms."""
        a_u, a_v = (functional.normalize(a, dim=1, eps=1e-8) for a in (batch.user_read, batch.item_read))
        mimic = mimic_loss(a_u, batch.v, batch.label) + mimic_loss(a_v, batch.u, batch.label)
        category = self._category[torch.from_numpy(batch.rows.ad.astype(np.int64))]
        # L_CA is one number a batch; as a share of a full batch it weighs by rows like the others.
        align = alignment_loss(batch.v, category) * len(batch.rows)
        return self._config.mimic * mimic + self._config.align * align

    def step(self) -> None:
        """One step of the rows that the batch read."""
        assert self._batch is not None
        for adagrad, gathered in zip(self._adagrad, self._batch, strict=True):
            adagrad.step(gathered)
        self._batch = None

    def publish(self) -> None:
        """Makes the live rows the served ones."""
        for published, live in zip(self._published, self._live, strict=True):
            published.copy_(live)

    def published_users(self, users: Tensor) -> Tensor:
        """a_u of users [n] as published."""
        return self._published[0].index_select(0, users + 1)

    def published_items(self, items: Tensor) -> Tensor:
        """a_v of items [n] as published."""
        return self._published[1].index_select(0, items + 1)

    def snapshot(self) -> dict[str, object]:
        """Rows, published rows and accumulators, copied."""
        return {
            "live": [table.clone() for table in self._live],
            "published": [table.clone() for table in self._published],
            "adagrad": [one.snapshot() for one in self._adagrad],
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take over a :meth:`snapshot`."""
        for mine, theirs in zip(self._live, cast(list[Tensor], state["live"]), strict=True):
            mine.copy_(theirs)
        for mine, theirs in zip(self._published, cast(list[Tensor], state["published"]), strict=True):
            mine.copy_(theirs)
        for adagrad, squares in zip(self._adagrad, cast(list[Tensor], state["adagrad"]), strict=True):
            adagrad.restore(squares)


@hands_over(single_vector)
@takes(TowerConfig)
def dat(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    mimic: float = DatConfig.mimic,
    align: float = DatConfig.align,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``dat``: ``dssm`` with the augmented vectors. ``params`` are TowerConfig's."""
    tower = TowerConfig(**params)
    vectors = AugmentedVectors(catalog, tower.width, DatConfig(mimic=mimic, align=align), tower, seed)
    return dssm(catalog, seed, extras=extras, auxiliary=together(vectors, auxiliary), **params)
