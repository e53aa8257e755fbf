"""IntTower (Li et al., CIKM 2022, arXiv 2210.09890): towers whose every layer meets the ad, late and cheaply.

    Light-SE     m_f = mean(E_f)      A = softmax_f(W m)      E'_f = (1 + A_f) E_f
    FE-Block     score = sum_l sum_i max_j <P_l(h_l)_i, P_v(g_L)_j>
    CIR          -mean_{i: y_i = 1} log( exp(<u_i, v_i>/tau) / sum_j exp(<u_i, v_j>/tau) ),  L = L_task + lambda CIR

E are a side's field embeddings [F, e], h_l the user tower's layers, g_L the item tower's last one, u and v the facets
of both last layers, flattened to unit length. The sum over layers of sums over facets is one MaxSim with L x H facets
of the user and H of the ad; only those of the ad are in the index.

Departures: facets have unit length and the score is their mean match, because a sum-max without bound grows with L x H
and says nothing to a sigmoid; LayerNorm for BatchNorm, whose statistics leak across time in a stream; the projections
read h_1 .. h_L, where the public code (archersama/IntTower) reads the layers' inputs h_0 .. h_{L-1} and leaves the
user's last layer without a gradient; CIR is in the loss and its target is the row, where that code computes it, takes
the label for the target and drops it; another row of the same ad is no negative in CIR. The task's loss, the inputs and
the optimiser are ``dssm``'s; the pooled history counts as two fields.

Letters: B rows, F fields, L layers, H facets of a layer and of an ad, p width of a facet.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.training.assembly import assembled, hands_over, side_widths
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.dropout import dropped
from baselines.training.extras import Extras
from baselines.training.features import FieldEmbedding, Fields, SideInput, widened
from baselines.training.retriever import TowerRetriever
from baselines.training.score import MaxSim, handed_width
from baselines.training.two_tower import Forward, Tower, TwoTower, with_extras
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class IntTowerConfig(TowerConfig):
    """Hyper-parameters of ``inttower``.

    Attributes:
        hidden: widths of the L layers of both towers.
        width: H x p, of an ad's facets together.
        facets: H, of the ad and of each layer of the user tower.
        cir: lambda, weight of CIR; 0 leaves it out.
        cir_temperature: tau.
    """

    hidden: tuple[int, ...] = (256, 128, 64)
    width: int = 64
    facets: int = 4
    cir: float = 0.1
    cir_temperature: float = 0.07

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.facets < 1 or self.width % self.facets:
            raise ValueError(f"facets == {self.facets}, must divide width == {self.width}")

    @property
    def facet(self) -> int:
        """p."""
        return self.width // self.facets


class LightSE(nn.Module):
    """Weights in (1, 2) on fields, by all of the row's fields.

    Args:
        fields: F.
    """

    def __init__(self, fields: int) -> None:
        super().__init__()
        self.weight = nn.Parameter((2 * torch.rand(fields, fields) - 1) / fields**0.5)

    def forward(self, fields: Tensor) -> Tensor:
        """[B, F, e] -> [B, F, e]."""
        share = torch.softmax(fields.mean(dim=2) @ self.weight.T, dim=1)
        return fields * (1 + share)[:, :, None]

    def flops(self) -> int:
        """2 F^2."""
        return 2 * self.weight.numel()


class Layers(nn.Module):
    """Linear-LayerNorm-ReLU-(dropout), all of whose outputs are wanted.

    Args:
        width_in: of the input.
        widths: of the layers.
        dropout, seed: as of ``mlp``.
    """

    def __init__(self, width_in: int, widths: tuple[int, ...], dropout: float, seed: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise((width_in, *widths)))
        self.norms = nn.ModuleList(nn.LayerNorm(n) for n in widths)
        self.drops = nn.ModuleList(dropped(dropout, seed, str(i)) for i in range(len(widths)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, width_in] -> one [B, width] per layer."""
        found = []
        for linear, norm, drop in zip(self.linears, self.norms, self.drops, strict=True):
            x = drop(torch.relu(norm(linear(x))))
            found.append(x)
        return found


class IntTowerSide(Tower):
    """One tower: Light-SE, layers, and facets of the last ones of them.

    Args:
        embedding: the field table, shared by both towers.
        fields: F of this side.
        width_in: width of what the embedding returns for this side.
        layers: how many of the last layers give facets; L for the user, 1 for the ad.
        config: hyper-parameters.
        seed: of the dropout.
    """

    def __init__(
        self, embedding: FieldEmbedding, fields: int, width_in: int, layers: int, config: IntTowerConfig, seed: int
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.facet = config.facet
        self.light_se = LightSE(fields)
        self.layers: Layers = Layers(width_in, config.hidden, config.dropout, seed)
        self.projections = nn.ModuleList(nn.Linear(h, config.width) for h in config.hidden[-layers:])

    def widen(self, extra: int) -> None:
        """Make room for extra inputs of the first layer, which start at zero weight."""
        first = self.layers.linears[0]
        assert isinstance(first, nn.Linear)
        self.layers.linears[0] = widened(first, extra)

    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Facets of unit length, those of the last layer last: [B, L H, p] of users, [B, H, p] of ads."""
        fields = self.light_se(self.embedding.by_field(x, rows))
        hidden = self.layers(with_extras(torch.cat([fields.flatten(1), x.dense], dim=1), extras))
        read = hidden[len(hidden) - len(self.projections) :]
        facets = torch.cat([project(h) for project, h in zip(self.projections, read, strict=True)], dim=1)
        return functional.normalize(facets.view(len(facets), -1, self.facet), dim=2, eps=1e-8)


def cir_loss(u: Tensor, v: Tensor, label: Tensor, ads: Tensor, temperature: float) -> Tensor:
    """CIR: each positive row's user must pick the row's own ad among the ads of the batch.

    Args:
        u: [B, w].
        v: [B, w].
        label: [B] of 0 and 1, at least one 1.
        ads: int64 [B], keys.
        temperature: tau.
    """
    won = label.nonzero()[:, 0]
    u, v = functional.normalize(u, dim=1, eps=1e-8), functional.normalize(v, dim=1, eps=1e-8)
    repeated = ads[won][:, None] == ads[None, :]
    repeated[torch.arange(won.numel()), won] = False
    scores = (u[won] @ v.T / temperature).masked_fill(repeated, -torch.inf)
    return functional.cross_entropy(scores, won)


class IntTower(TwoTower):
    """Both towers and CIR.

    Args:
        user, item: the towers.
        config: hyper-parameters.
        base_ctr: start of the head.
    """

    def __init__(self, user: IntTowerSide, item: IntTowerSide, config: IntTowerConfig, base_ctr: float) -> None:
        user_facets = len(config.hidden) * config.facets
        score = MaxSim(user_facets, config.facets, config.facet, handed=config.facets)
        super().__init__(user, item, score, gain=config.gain, base_ctr=base_ctr)
        self.config = config

    def own_loss(self, batch: Forward) -> Tensor | None:
        """lambda CIR of the last layers; None where it is left out or nothing was clicked."""
        if not self.config.cir or not bool(batch.label.any()):
            return None
        last = batch.u[:, -self.config.facets :].flatten(1)
        ads = torch.from_numpy(batch.rows.ad.astype(np.int64))
        return self.config.cir * cir_loss(last, batch.v.flatten(1), batch.label, ads, self.config.cir_temperature)


def facet_widths(
    *, width: int = IntTowerConfig.width, facets: int = IntTowerConfig.facets, **_: Any
) -> tuple[int, int]:
    """Widths of what is handed over: the last layer's facets, flattened or as their mean."""
    own = handed_width(facets, width // facets)
    return own, own


@hands_over(facet_widths)
@takes(IntTowerConfig)
def inttower(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``inttower``. ``params`` are IntTowerConfig's."""
    config = IntTowerConfig(**params)
    user_in, item_in = side_widths(catalog, config)

    def build(embedding: FieldEmbedding, fields: Fields) -> TwoTower:
        # The pooled history is two fields of the user: its ads and their categories.
        user_fields = fields.user_fields + fields.pooled
        sides = (("user", user_fields, user_in, len(config.hidden)), ("item", fields.ad_fields, item_in, 1))
        user, item = (
            IntTowerSide(embedding, n, width_in, layers, config, subseed(seed, f"{side} tower dropout"))
            for side, n, width_in, layers in sides
        )
        return IntTower(user, item, config, catalog.base_ctr)

    return assembled(catalog, seed, config, build, extras, auxiliary)
