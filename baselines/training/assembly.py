"""A retriever from a backbone's towers, with room for what fills its slots; and what a factory says of its towers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from baselines.search.finder import EXACT, Way, by_vectors
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.counters import Counters, NoCounters
from baselines.training.extras import Extras
from baselines.training.features import FieldEmbedding, Fields
from baselines.training.inputs import Inputs
from baselines.training.retriever import TowerRetriever
from baselines.training.score import Cosine, Score
from baselines.training.slots import slots_of
from baselines.training.trainer import TowerTrainer
from baselines.training.two_tower import TwoTower
from simulator.keyed_random import subseed
from simulator.records import Catalog

F = TypeVar("F", bound=Callable[..., Any])

COUNTERS_AD = 5
"""Width of an ad's counters; a user's is 3 + 2 x categories (counters.py)."""


def assembled(
    catalog: Catalog,
    seed: int,
    config: TowerConfig,
    build: Callable[[FieldEmbedding, Fields], TwoTower],
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    way: Way | None = None,
) -> TowerRetriever:
    """A retriever around the model that ``build`` makes.

    Args:
        catalog: what may be known.
        seed: of the initialisation.
        config: of the towers and their training.
        build: makes the towers over the field table; what it draws is this seed's.
        extras: filler of the trainer's slot for vectors.
        auxiliary: filler of its slot for a further loss.
        way: to candidates; that of ``config.search`` if None.

    Raises:
        ValueError: for a search of single vectors where the towers return facets.
    """
    fields = Fields(catalog)
    slots = slots_of(extras, auxiliary)
    # The base is drawn from its own generator before any extra: layers that two arms share start equal.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subseed(seed, "towers"))
        embedding = FieldEmbedding(fields.rows, config.embedding)
        model = build(embedding, fields)
        for slot in slots:
            model.user.widen(slot.user_width)
            model.item.widen(slot.item_width)
    for slot in slots:
        slot.wrap(model)
    counters = Counters(catalog, config.horizon) if config.counters else NoCounters()
    trainer = TowerTrainer(model, embedding, Inputs(fields, counters), slots, config, catalog.ads.rows, seed)
    return TowerRetriever(catalog, config, trainer, way or _way(config.search, model.score))


def _way(search: str, score: Score) -> Way:
    way = by_vectors(search)
    if way.makes_finder is not None and not isinstance(score, Cosine):
        raise ValueError(f"search == {search!r}, must be {EXACT!r} for towers that do not return one vector")
    return way


def hands_over(widths: Callable[..., tuple[int, int]]) -> Callable[[F], F]:
    """Marks a factory: ``factory.vector_widths(**params)`` is asked before it is called.

    Args:
        widths: from the factory's parameters, widths of the vectors that stand for a user and for an ad: the
            ``user_width`` and ``item_width`` of its score.
    """

    def mark(factory: F) -> F:
        factory.vector_widths = widths  # type: ignore[attr-defined]
        return factory

    return mark


def single_vector(*, width: int = TowerConfig.width, **_: Any) -> tuple[int, int]:
    """Widths where each tower returns one vector of ``width``."""
    return width, width


def side_widths(catalog: Catalog, config: TowerConfig) -> tuple[int, int]:
    """Input widths of the user tower and of the item tower, without extras."""
    fields, e, counted = Fields(catalog), config.embedding, config.counters
    user = e * (fields.user_fields + fields.pooled) + fields.user_dense + (3 + 2 * catalog.categories) * counted
    return user, e * fields.ad_fields + fields.ad_dense + COUNTERS_AD * counted
