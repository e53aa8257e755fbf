"""DSSM, the two-tower backbone: Huang et al., CIKM 2013; trained online after Yi et al., RecSys 2019.

Departures: id and profile embeddings and a pooled history instead of letter trigrams; cosine with a
learned gain and bias, because a bare cosine in a sigmoid can move the odds by exp(2) only; the loss is BCE on
impressions and, for each positive, an in-batch softmax with logQ and one over 256 uniform negatives (docs/formulas.md
1 and 2); no BatchNorm, whose statistics leak across time in a stream. ``dssm`` reads the online counters, ``dssm_bare``
does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.training.assembly import assembled, hands_over, side_widths, single_vector
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.extras import Extras
from baselines.training.features import FieldEmbedding, Fields, SideInput, mlp
from baselines.training.retriever import TowerRetriever
from baselines.training.score import Cosine
from baselines.training.two_tower import Tower, TwoTower, widen_first, with_extras
from baselines.training.unit import unit
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog


class DssmTower(Tower):
    """``n(MLP([embeddings; pooled history; dense; extras]))``.

    Args:
        embedding: the field table, shared by both towers.
        width_in: width of what the embedding returns for this side.
        hidden, width: of the MLP.
        dropout, seed: of its hidden layers while training.
    """

    def __init__(
        self,
        embedding: FieldEmbedding,
        width_in: int,
        hidden: tuple[int, ...],
        width: int,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers: nn.Sequential = mlp([width_in, *hidden, width], dropout, seed)

    def widen(self, extra: int) -> None:
        """Make room for extra inputs, which start at zero weight."""
        widen_first(self.layers, extra)

    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Unit vectors [B, d]; ``rows`` as in :class:`FieldEmbedding`."""
        learned = self.embedding.learned(x, rows)
        constant = with_extras(x.dense, extras)
        if torch.is_grad_enabled():
            return unit(self.layers(learned, constant))
        return unit(self.layers(torch.cat([learned, constant], dim=1)))


@hands_over(single_vector)
@takes(TowerConfig)
def dssm(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    hidden_user: tuple[int, ...] | None = None,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``dssm``: the competent control, with online counters.

    Args:
        catalog: what may be known.
        seed: of the initialisation.
        extras: filler of the trainer's slot for vectors.
        auxiliary: filler of its slot for a further loss.
        hidden_user: hidden widths of the user tower, where they differ from the item tower's.
        params: of TowerConfig.
    """
    config = replace(TowerConfig(), **params)
    user_in, item_in = side_widths(catalog, config)

    def build(embedding: FieldEmbedding, _: Fields) -> TwoTower:
        user, item = (
            DssmTower(embedding, width_in, hidden, config.width, config.dropout, subseed(seed, f"{side} tower dropout"))
            for side, width_in, hidden in (
                ("user", user_in, hidden_user or config.hidden),
                ("item", item_in, config.hidden),
            )
        )
        return TwoTower(user, item, Cosine(config.width), gain=config.gain, base_ctr=catalog.base_ctr)

    return assembled(catalog, seed, config, build, extras, auxiliary)


@hands_over(single_vector)
@takes(TowerConfig)
def dssm_bare(
    catalog: Catalog, seed: int, *, extras: Extras | None = None, auxiliary: Auxiliary | None = None, **params: Any
) -> TowerRetriever:
    """Entry point ``dssm-bare``: the same without online counters, a control and no opponent."""
    return dssm(catalog, seed, extras=extras, auxiliary=auxiliary, counters=False, **params)
