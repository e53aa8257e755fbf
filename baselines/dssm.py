"""DSSM, the two-tower backbone: Huang et al., CIKM 2013; trained online after Yi et al., RecSys 2019.

Departures (models.md 3.2): id and profile embeddings and a pooled history instead of letter trigrams; cosine with a
learned gain and bias, because a bare cosine in a sigmoid can move the odds by exp(2) only; the loss is BCE on
impressions plus 0.1 x (in-batch softmax with logQ + softmax over 256 uniform negatives); no BatchNorm, whose
statistics leak across time in a stream. ``dssm`` reads the online counters, ``dssm_bare`` does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.extras import Extras
from baselines.features import FieldEmbedding, Fields, SideInput, mlp, widened
from baselines.tower import TowerConfig, TowerRetriever, TwoTower
from simulator.keyed_random import subseed
from simulator.records import Catalog

COUNTERS_AD = 5
"""Width of an ad's counters; a user's is 3 + 2 x categories (counters.py)."""


class DssmTower(nn.Module):
    """``n(MLP([embeddings; pooled history; dense; extras]))``.

    Args:
        embedding: the field table, shared by both towers.
        width_in: width of what the embedding returns for this side.
        hidden, width: of the MLP.
    """

    def __init__(self, embedding: FieldEmbedding, width_in: int, hidden: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = mlp([width_in, *hidden, width])

    def widen(self, extra: int) -> None:
        """Make room for extra inputs, which start at zero weight."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        self.layers[0] = widened(first, extra)

    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Unit vectors [B, d]; ``rows`` as in :class:`FieldEmbedding`."""
        inputs = self.embedding(x, rows)
        if extras is not None and extras.shape[1]:
            inputs = torch.cat([inputs, extras], dim=1)
        return nn.functional.normalize(self.layers(inputs), dim=1, eps=1e-8)


def dssm(catalog: Catalog, seed: int, *, extras: Extras | None = None, **params: Any) -> TowerRetriever:
    """Entry point ``dssm``: the competent control, with online counters. ``params`` are TowerConfig's."""
    config = replace(TowerConfig(), **params)
    fields = Fields(catalog)
    # The base is drawn from its own generator before any extra: layers that two arms share start equal.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subseed(seed, "towers"))
        embedding = FieldEmbedding(fields.rows, config.embedding)
        e = config.embedding
        counted = config.counters
        user_in = e * (fields.user_fields + 2) + fields.user_dense + (3 + 2 * catalog.categories) * counted
        item_in = e * fields.ad_fields + fields.ad_dense + COUNTERS_AD * counted
        user = DssmTower(embedding, user_in, config.hidden, config.width)
        item = DssmTower(embedding, item_in, config.hidden, config.width)
        if extras is not None:
            user.widen(extras.user_width)
            item.widen(extras.item_width)
    model = TwoTower(user, item, gain=config.gain, base_ctr=catalog.base_ctr)
    return TowerRetriever(catalog, seed, model, embedding, fields, config, extras)


def dssm_bare(catalog: Catalog, seed: int, *, extras: Extras | None = None, **params: Any) -> TowerRetriever:
    """Entry point ``dssm-bare``: the same without online counters, a control and no opponent."""
    return dssm(catalog, seed, extras=extras, counters=False, **params)
