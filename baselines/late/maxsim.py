"""Late interaction of a user's and an ad's facets: ColBERT's MaxSim (Khattab & Zaharia, SIGIR 2020, arXiv 2004.12832).

    logit = g / H_u sum_{i <= H_u} max_{j <= H_v} <q_i, p_j> + b0

Facets are linear in the towers' last hidden layers and of unit length. Departures: facets of a user's and of an ad's
features stand in the place of tokens' encodings; the mean over the user's facets keeps the score in [-1, 1]. Losses and
everything else are ``dssm``'s, over this score.

All facets of a user count alike, or, with ``gates``, w_i times with w = H_u softmax(gates(h_u)), h_u the user tower's
last hidden layer (docs/formulas.md 9). As w_i max_j <q_i, p_j> = max_j <w_i q_i, p_j> for w_i >= 0, a gated tower
returns facets of length w_i, and nothing that reads facets has to know.

Only the winning facet of an ad gets gradient, so facets may die. Against that stands

    diversity * mean over rows (sum_{i != k} <q_i, q_k>^2 + sum_{j != k} <p_j, p_k>^2)

and ``facet_shares`` shows who wins.

Candidates come from the exact scan in blocks (``scan``), from facet lists with a certificate of exactness (``facets``)
or from MUVERA's encodings (``muvera``); all are ranked by exact MaxSim + log bid.

Letters: B rows, R requests, n ads of each, H facets of a side, p width of a facet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.late.facet_mips import FacetMips
from baselines.late.finder import FacetFinder
from baselines.late.muvera import STORES, FdeConfig, Muvera
from baselines.late.scan import ExactScan, LateIndex
from baselines.search.finder import EXACT, MakesFinder, Way
from baselines.training.assembly import assembled, hands_over, side_widths
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.extras import Extras
from baselines.training.features import FieldEmbedding, Fields, SideInput, mlp
from baselines.training.retriever import TowerRetriever
from baselines.training.score import MaxSim, handed_width
from baselines.training.two_tower import Forward, Tower, TwoTower, widen_first, with_extras
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog

CANDIDATES = ("scan", "facets", "muvera")
FACET_INDEXES = ("flat", "hnsw", "ivf")


@dataclass(frozen=True, kw_only=True)
class MaxSimConfig:
    """What late interaction adds to a two-tower model.

    Attributes:
        user_facets, item_facets: H_u and H_v.
        facet: p.
        diversity: weight of the term that keeps a side's facets apart.
        gates: a user's facets have weights of their own, which start at 1; without, all weights are 1.
        candidates: the way to candidates, one of ``CANDIDATES``.
        facet_index: under ``facets``, the index that makes the lists: ``flat`` (exact, with the certificate), ``hnsw``
            or ``ivf``.
        fde: under ``muvera``, repetitions, hashes and width of a block.
        store: under ``muvera``, ``flat`` or ``pq``.
        over: candidates, or length of the first lists, per ad that is wanted; not of ``scan``.
    """

    user_facets: int = 8
    item_facets: int = 4
    facet: int = 32
    diversity: float = 0.01
    gates: bool = False
    candidates: str = "scan"
    facet_index: str = "flat"
    fde: tuple[int, int, int] = (20, 3, 8)
    store: str = "flat"
    over: int = 4

    def __post_init__(self) -> None:
        for name, known in (("candidates", CANDIDATES), ("facet_index", FACET_INDEXES), ("store", STORES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} == {getattr(self, name)!r}, must be one of {', '.join(known)}")
        for name in ("user_facets", "item_facets", "facet", "over"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} == {getattr(self, name)}, must be at least 1")


class GatedLast(nn.Module):
    """The last layer of a gated tower: facets, and beside them the logits of their weights, which start at zero.

    Args:
        facets: the last layer without gates.
        gates: H.
    """

    def __init__(self, facets: nn.Linear, gates: int) -> None:
        super().__init__()
        self.facets = facets
        # Drawn from no generator: the other layers start as they do without gates.
        self.gates: nn.Linear = nn.utils.skip_init(nn.Linear, facets.in_features, gates)  # type: ignore[no-untyped-call]
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)

    def forward(self, h: Tensor) -> Tensor:
        """[B, h] -> [B, H * p + H]."""
        return torch.cat([self.facets(h), self.gates(h)], dim=1)


class FacetTower(Tower):
    """``n(MLP([embeddings; pooled history; dense; extras]))`` as H facets, each of unit length, or of its weight's.

    Args:
        embedding: the field table, shared by both towers.
        width_in: width of what the embedding returns for this side.
        hidden: widths of the hidden layers.
        facets, width: H and p.
        dropout, seed: of the hidden layers while training.
        gates: facets have weights.
    """

    def __init__(
        self,
        embedding: FieldEmbedding,
        width_in: int,
        hidden: tuple[int, ...],
        facets: int,
        width: int,
        dropout: float,
        seed: int,
        gates: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers: nn.Sequential = mlp([width_in, *hidden, facets * width], dropout, seed)
        if gates:
            last = self.layers[-1]
            assert isinstance(last, nn.Linear)
            self.layers[-1] = GatedLast(last, facets)
        self._gates = gates
        self._shape = facets, width

    def widen(self, extra: int) -> None:
        """Make room for extra inputs, which start at zero weight."""
        widen_first(self.layers, extra)

    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Facets [B, H, p], of unit length or of their weights'; ``rows`` as in :class:`FieldEmbedding`."""
        out: Tensor = self.layers(with_extras(self.embedding(x, rows), extras))
        H, p = self._shape
        bare = out[:, : H * p] if self._gates else out
        facets = nn.functional.normalize(bare.reshape(-1, H, p), dim=2, eps=1e-8)
        return H * out[:, H * p :].softmax(dim=1)[..., None] * facets if self._gates else facets


class LateTwoTower(TwoTower):
    """A two-tower model of facets whose own loss keeps them apart.

    Args:
        user, item, score, gain, base_ctr: as of :class:`TwoTower`.
        diversity: weight of the loss.
        gates: users' facets come with their weights.
    """

    def __init__(
        self,
        user: Tower,
        item: Tower,
        score: MaxSim,
        *,
        gain: float,
        base_ctr: float,
        diversity: float,
        gates: bool = False,
    ) -> None:
        super().__init__(user, item, score, gain=gain, base_ctr=base_ctr)
        self._diversity, self._gates = diversity, gates

    def own_loss(self, batch: Forward) -> Tensor | None:
        """The weighted diversity term of both sides, mean over the rows."""
        u = nn.functional.normalize(batch.u, dim=2, eps=1e-8) if self._gates else batch.u
        return self._diversity * (likeness(u) + likeness(batch.v)).mean()


def likeness(facets: Tensor) -> Tensor:
    """``sum_{j != k} <f_j, f_k>^2`` of unit facets [B, H, p] -> [B]."""
    return (facets @ facets.mT).square().sum(dim=(1, 2)) - facets.square().sum(dim=2).square().sum(dim=1)


def facet_shares(users: Tensor, items: Tensor) -> Tensor:
    """Who wins: how often facet j of an ad is the best match of facet i of a user, a histogram of the arg-max.

    Args:
        users: [R, H_u, p].
        items: [R, n, H_v, p], ads of each request.

    Returns:
        [H_u, H_v], rows sum to 1; a column of zeros is a dead facet.
    """
    best = (users[:, None] @ items.mT).argmax(dim=3)
    return nn.functional.one_hot(best, items.shape[2]).float().mean(dim=(0, 1))


def late_finder(config: MaxSimConfig, seed: int) -> MakesFinder:
    """What serves candidates from each publication's facets."""

    def make(items: Tensor, gain: float) -> FacetFinder:
        index: LateIndex
        if config.candidates == "scan":
            index = ExactScan(items)
        elif config.candidates == "facets":
            index = FacetMips(items, None, config.facet_index, config.over)
        else:
            repetitions, hashes, width = config.fde
            fde = FdeConfig(repetitions=repetitions, hashes=hashes, width=width)
            index = Muvera(items, None, fde, seed, config.store, config.over)
        return FacetFinder(index, gain)

    return make


def facet_widths(
    *,
    user_facets: int = MaxSimConfig.user_facets,
    item_facets: int = MaxSimConfig.item_facets,
    facet: int = MaxSimConfig.facet,
    **_: Any,
) -> tuple[int, int]:
    """Widths of the vectors that stand for a user's and an ad's facets."""
    return handed_width(user_facets, facet), handed_width(item_facets, facet)


@hands_over(facet_widths)
@takes(MaxSimConfig, TowerConfig)
def maxsim(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``maxsim``.

    Args:
        catalog: what may be known.
        seed: of the initialisation and of MUVERA's planes.
        extras: filler of the trainer's slot for vectors.
        auxiliary: filler of its slot for a further loss.
        params: of MaxSimConfig and of TowerConfig, whose ``width`` and ``search`` have no meaning here.

    Raises:
        ValueError: for a way to candidates that there is not, or a ``search`` of single vectors.
    """
    own = {name: params.pop(name) for name in list(params) if name in MaxSimConfig.__dataclass_fields__}
    late, config = MaxSimConfig(**own), replace(TowerConfig(), **params)
    if config.search != EXACT:
        raise ValueError(f"search == {config.search!r}, must be left to `candidates` for facets")
    widths = side_widths(catalog, config)

    def build(embedding: FieldEmbedding, _: Fields) -> TwoTower:
        user, item = (
            FacetTower(
                embedding,
                width_in,
                config.hidden,
                facets,
                late.facet,
                config.dropout,
                subseed(seed, f"{side} tower dropout"),
                late.gates and side == "user",
            )
            for side, width_in, facets in zip(
                ("user", "item"), widths, (late.user_facets, late.item_facets), strict=True
            )
        )
        score = MaxSim(late.user_facets, late.item_facets, late.facet)
        head = {"gain": config.gain, "base_ctr": catalog.base_ctr}
        return LateTwoTower(user, item, score, **head, diversity=late.diversity, gates=late.gates)

    way = Way(late_finder(late, seed), misses=late.candidates != "scan")
    return assembled(catalog, seed, config, build, extras, auxiliary, way)
