"""A two-tower retriever: a trainer that learns, and the publication that serves.

A backbone (one paper, one file) hands over a ``TwoTower``: two towers and the score of what they return; ``cs3``, a
control or a distillation loss fills the slots. A checkpoint is a function of the trainer and the publication.

Letters: R requests, A ads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from baselines.search.finder import Way, recall_against_exact
from baselines.training.config import TowerConfig
from baselines.training.publication import Change, Publication, cast, still
from baselines.training.slots import widths
from baselines.training.trainer import TowerTrainer
from baselines.training.two_tower import Cost, TwoTower, linear_flops
from simulator.records import Candidates, Catalog, Floats, Impressions, Keys, Offers, Requests


class TowerRetriever:
    """Learns online, publishes at sync, serves revenue-aware inner-product search of what it published.

    Args:
        catalog: what may be known.
        config: hyper-parameters.
        trainer: that has learned nothing yet.
        way: to candidates.

    Attributes:
        trainer: of the weights, the counters and the slots.
        published: what is served.
    """

    def __init__(self, catalog: Catalog, config: TowerConfig, trainer: TowerTrainer, way: Way) -> None:
        self.catalog, self.config, self.trainer, self.way = catalog, config, trainer, way
        self._mould = still(trainer.model)
        self.sync(0)

    @property
    def model(self) -> TwoTower:
        """The towers that learn."""
        return self.trainer.model

    @property
    def serving(self) -> TwoTower:
        """The towers that serve."""
        return self.published.model

    def update(self, impressions: Impressions) -> None:
        """Learn from matured rows, micro-batch by micro-batch in event order."""
        self.trainer.update(impressions)

    def sync(self, now: int) -> None:
        """Publish weights, counters, extra vectors and with them the items' vectors, all at once."""
        self.trainer.publish(now)
        self.published = self._publication(now, cast(self._mould, self.model))

    def _publication(self, now: int, model: TwoTower) -> Publication:
        return Publication(
            at=now,
            ads=self.catalog.ads.rows,
            model=model,
            inputs=self.trainer.inputs.published(),
            slots=self.trainer.slots,
            makes_finder=self.way.makes_finder,
        )

    def encode_users(self, requests: Requests) -> Tensor:
        """What the user tower returns [R, ...], as published."""
        return self.published.encode_users(requests)

    def items(self) -> Tensor:
        """What the item tower returns for all ads [A, ...], as published."""
        return self.published.items

    def logits(self, requests: Requests) -> Tensor:
        """Published logits of all ads at slot 0 -> [R, A]."""
        return self.published.logits(requests)

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Published logits of ads [R, n]; pads get the last ad's."""
        return self.published.score(requests, ads)

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` by logit + log bid over the eligible ads, by the search that was chosen."""
        return self.published.retrieve(requests, offers, k)

    def exact(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Exact top ``k`` by logit + log bid over the eligible ads."""
        return self.published.exact(requests, offers, k)

    def recall_against_exact(self, requests: Requests, offers: Offers, k: int) -> Floats | None:
        """Share of the exact best ``k`` that the index finds, [R]; None where every ad is scored."""
        return recall_against_exact(self, requests, offers, k) if self.way.misses else None

    @contextmanager
    def disturbed(self, user: Change, item: Change) -> Iterator[None]:
        """In this block a disturbed publication is served: see there. Training and syncs have no place in the block."""
        undisturbed = self.published
        self.published = undisturbed.disturbed(user, item)
        try:
            yield
        finally:
            self.published = undisturbed

    def extra_widths(self) -> tuple[int, int]:
        """Widths of the slots' columns at the end of the user tower's and the item tower's input."""
        return widths(self.trainer.slots)

    def snapshot(self) -> dict[str, Any]:
        """All state, copied; `restore` continues bit-equal."""
        return {"trainer": self.trainer.snapshot(), "published": self.published.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self.trainer.restore(state["trainer"])
        served = cast(self._mould, self.model)
        served.load_state_dict(state["published"]["model"])
        self.published = self._publication(state["published"]["at"], served)

    def cost(self) -> Cost:
        """Bytes per ad, FLOP of one user encoding and of one exact scan (2 x multiply-adds)."""
        score, A = self.serving.score, self.catalog.ads.rows
        return Cost(4 * score.item_numbers, linear_flops(self.serving.user), score.pair_flops * A)
