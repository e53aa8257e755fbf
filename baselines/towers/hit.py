"""HIT, the hierarchical interaction-enhanced two-tower model (Yang et al., Tencent, arXiv 2505.19849).

Two generators a side guess, from what is always known of a user, the vector of the ads that she clicks and of those
that she does not, and the same for ads; the guesses enter the own tower. The towers return H facets each:

    m+ = G+(sg(z))      m- = G-(sg(z))      input = [fields; sg(m+); sg(m-)]      score = sum_i max_j <U_i, V_j>
    L_gen = mean[ y (1 - cos(m_u+, sg V)) + (1 - y) (1 - cos(m_u-, sg V)) + the two of the ads, against sg U ]
    L = L_task + 0.1 L_gen

z are the embeddings of the side's static fields except its id, U and V the facets, flattened. The generators learn from
L_gen alone, and nothing else learns from it. They are functions of features: nothing is kept per key.

Departures: L_gen is 1 - cos as the abstract's words and the figure have it, where the public code
(HarveyYang123/HIT_model) adds +cos to what is minimised and drives the guesses away from the clicked; a generator ends
in a linear layer, where that code ends it in a ReLU, which cannot guess a negative number; guesses enter the towers at
unit length, since only their direction is learned; facets have unit length and the score is their mean match. The
task's loss, the other inputs (a pooled history and counters among them), the optimiser and the hidden widths are
``dssm``'s; H = 2 and p = 16 are the paper's for its log of display ads.

Letters: B rows, H facets, p width of a facet, w = H p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.training.assembly import assembled, hands_over, side_widths
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.extras import Extras
from baselines.training.features import FieldEmbedding, Fields, SideInput, looked_up, mlp
from baselines.training.retriever import TowerRetriever
from baselines.training.score import MaxSim, handed_width
from baselines.training.two_tower import Forward, Tower, TwoTower, widen_first, with_extras
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class HitConfig(TowerConfig):
    """Hyper-parameters of ``hit``.

    Attributes:
        width: w = H x p, of a side's facets together and of a guess.
        facets: H.
        generation: weight of L_gen.
    """

    width: int = 32
    facets: int = 2
    generation: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.facets < 1 or self.width % self.facets:
            raise ValueError(f"facets == {self.facets}, must divide width == {self.width}")


class HitTower(Tower):
    """One tower and its two generators.

    Args:
        embedding: the field table, shared by both towers.
        static: columns of the side's codes that the generators read, at least one.
        width_in: width of what the embedding returns for this side.
        config: hyper-parameters.
        seed: of the dropout.
    """

    def __init__(
        self, embedding: FieldEmbedding, static: list[int], width_in: int, config: HitConfig, seed: int
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.facets = config.facets
        self._static = static
        w = config.width
        self.layers: nn.Sequential = mlp([width_in + 2 * w, *config.hidden, w], config.dropout, seed)
        self.clicked, self.passed = (mlp([len(static) * config.embedding, w, w]) for _ in range(2))

    @property
    def left_out(self) -> tuple[nn.Module, ...]:
        """The generators' layers: they are no part of the way from the input to the facets."""
        return (*self.clicked, *self.passed)

    def widen(self, extra: int) -> None:
        """Make room for extra inputs, which start at zero weight."""
        widen_first(self.layers, extra)

    def guesses(self, x: SideInput, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """m+ and m- [B, w] of unit length; their gradient ends at the generators."""
        table = self.embedding.table if rows is None else rows
        z = looked_up(table.detach(), x.codes[:, self._static]).flatten(1)
        clicked, passed = (functional.normalize(made(z), dim=1, eps=1e-8) for made in (self.clicked, self.passed))
        return clicked, passed

    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Facets of unit length [B, H, p]."""
        with torch.no_grad():
            guesses = self.guesses(x, rows)
        out = self.layers(with_extras(torch.cat([self.embedding(x, rows), *guesses], dim=1), extras))
        return functional.normalize(out.view(len(out), self.facets, -1), dim=2, eps=1e-8)


def generation_loss(clicked: Tensor, passed: Tensor, target: Tensor, label: Tensor) -> Tensor:
    """One side's two terms of L_gen.

    Args:
        clicked: m+ [B, w].
        passed: m- [B, w].
        target: [B, w], the other side's facets, flattened; no gradient reaches them.
        label: [B] of 0 and 1.
    """
    away = [1 - functional.cosine_similarity(m, target.detach(), dim=1) for m in (clicked, passed)]
    return (label * away[0] + (1 - label) * away[1]).mean()


class Hit(TwoTower):
    """Both towers and L_gen.

    Args:
        user, item: the towers.
        config: hyper-parameters.
        base_ctr: start of the head.
    """

    user: HitTower
    item: HitTower

    def __init__(self, user: HitTower, item: HitTower, config: HitConfig, base_ctr: float) -> None:
        score = MaxSim(config.facets, config.facets, config.width // config.facets)
        super().__init__(user, item, score, gain=config.gain, base_ctr=base_ctr)
        self.generation = config.generation

    def own_loss(self, batch: Forward) -> Tensor:
        """The weighted L_gen."""
        user, item = self.user, self.item
        of_users = (m.index_select(0, batch.user_row) for m in user.guesses(batch.user, batch.table))
        of_items = (m.index_select(0, batch.item_row) for m in item.guesses(batch.item, batch.table))
        (clicked, passed), target = of_users, batch.v.flatten(1)
        loss = generation_loss(clicked, passed, target, batch.label)
        (clicked, passed), target = of_items, batch.u.flatten(1)
        return self.generation * (loss + generation_loss(clicked, passed, target, batch.label))


def static_fields(codes: Mapping[str, Any], key: str) -> list[int]:
    """Columns of a side's static fields except the id ``key``.

    Raises:
        ValueError: if there are none.
    """
    columns = [column for column, name in enumerate(codes) if name != key]
    if not columns:
        raise ValueError(f"fields == {list(codes)}, must hold one beside the id for hit's generators to read")
    return columns


def facet_widths(*, width: int = HitConfig.width, facets: int = HitConfig.facets, **_: Any) -> tuple[int, int]:
    """Widths of what is handed over: the facets, flattened or as their mean."""
    own = handed_width(facets, width // facets)
    return own, own


@hands_over(facet_widths)
@takes(HitConfig)
def hit(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``hit``. ``params`` are HitConfig's."""
    config = HitConfig(**params)
    user_in, item_in = side_widths(catalog, config)
    static = static_fields(catalog.users.codes, "user"), static_fields(catalog.ads.codes, "ad")

    def build(embedding: FieldEmbedding, _: Fields) -> TwoTower:
        user, item = (
            HitTower(embedding, columns, width_in, config, subseed(seed, f"{side} tower dropout"))
            for side, columns, width_in in zip(("user", "item"), static, (user_in, item_in), strict=True)
        )
        return Hit(user, item, config, catalog.base_ctr)

    return assembled(catalog, seed, config, build, extras, auxiliary)
