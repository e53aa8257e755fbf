"""What one sync published and a retriever serves until the next: weights, counters, extra vectors, items, index.

Nothing here learns. A publication is never changed; the next one is another. What the slots serve is theirs: vectors
in their own memory or in a store, replaced at their own publication or, by choice, read live.

Letters: R requests, A ads, n ads of each request.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.search.finder import Finder, MakesFinder
from baselines.training.features import Events
from baselines.training.inputs import Inputs
from baselines.training.slots import Slot, joined
from baselines.training.two_tower import TwoTower
from simulator.records import Candidates, Floats, Keys, Offers, Requests

FEW = 4
"""Fewer than a fourth of the ads are few."""
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Publication:
    """One publication of a two-tower retriever.

    Attributes:
        at: when, seconds.
        ads: A.
        model: the towers and the head as they were then; in memory of its own, without gradient.
        inputs: with the counters as they were published by then.
        slots: what else reads into the towers.
        makes_finder: makes what serves in place of the exact scan; None for the scan.
    """

    at: int
    ads: int
    model: TwoTower
    inputs: Inputs
    slots: tuple[Slot, ...]
    makes_finder: MakesFinder | None

    @torch.no_grad()
    def encode_users(self, requests: Requests) -> Tensor:
        """What the user tower returns, [R, ...]."""
        users = torch.from_numpy(requests.user.astype(np.int64))
        extras = joined([slot.published_users(users) for slot in self.slots])
        u: Tensor = self.model.user(self.inputs.users(Events.of(requests)), extras)
        return u

    @torch.no_grad()
    def encode_items(self, ads: Keys) -> Tensor:
        """What the item tower returns for ads [n] -> [n, ...]."""
        items = torch.from_numpy(ads.astype(np.int64))
        extras = joined([slot.published_items(items) for slot in self.slots])
        v: Tensor = self.model.item(self.inputs.ads(ads, np.full(ads.size, self.at)), extras)
        return v

    @cached_property
    def items(self) -> Tensor:
        """What the item tower returns for all ads, [A, ...]; made when first wanted."""
        return self.encode_items(np.arange(self.ads, dtype=np.int32))

    @cached_property
    def scan(self) -> Finder:
        """The exact search over ``items``; made when first wanted."""
        return self.model.score.exact(self.items, float(self.model.gain()))

    @cached_property
    def finder(self) -> Finder:
        """What serves; made when first wanted."""
        return self.scan if self.makes_finder is None else self.makes_finder(self.items, float(self.model.gain()))

    @torch.no_grad()
    def logits(self, requests: Requests) -> Tensor:
        """Logits of all ads at slot 0 -> [R, A]."""
        return self._logit(self.model.score.of_all(self.encode_users(requests), self.items))

    @torch.no_grad()
    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Logits of ads [R, n]; pads get the last ad's."""
        u = self.encode_users(requests)
        some, place = np.unique(ads % self.ads, return_inverse=True)
        # A replay asks for few ads between two publications: then there is no index worth building.
        few = "items" not in vars(self) and FEW * some.size < self.ads
        v = self.encode_items(some) if few else self.items[torch.from_numpy(some.astype(np.int64))]
        v = v[torch.from_numpy(place.reshape(ads.shape))]
        return np.asarray(self._logit(self.model.score.of_some(u, v)).numpy(), dtype=np.float32)

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` by logit + log bid over the eligible ads, by the search that was chosen."""
        return self._found(self.finder, requests, offers, k)

    def exact(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Exact top ``k`` by logit + log bid over the eligible ads."""
        return self._found(self.scan, requests, offers, k)

    @torch.no_grad()
    def _found(self, finder: Finder, requests: Requests, offers: Offers, k: int) -> Candidates:
        ads, score = finder.find(self.encode_users(requests), torch.from_numpy(offers.log_bid()), k)
        legal = (ads >= 0).numpy()
        return Candidates(
            ad=ads.numpy().astype(np.int32),
            logit=np.where(legal, self._logit(score).numpy(), np.nan).astype(np.float32),
            explored=np.zeros(legal.shape, dtype=bool),
        )

    def snapshot(self) -> dict[str, Any]:
        """Its own state, copied; counters and slots are the trainer's."""
        return {"at": self.at, "model": copy.deepcopy(self.model.state_dict())}

    def disturbed(self, user: Change, item: Change) -> Publication:
        """This one, but both towers read what a function makes of their concatenated input [B, w].

        The input is [embeddings; dense; extras].
        """
        model = copy.deepcopy(self.model)
        for tower, change in ((model.user, user), (model.item, item)):
            tower.layers.register_forward_pre_hook(partial(_changed, change))
        return replace(self, model=model)

    def _logit(self, score: Tensor) -> Tensor:
        return score * self.model.gain() + self.model.bias


def _changed(change: Change, _: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return change(given[0]), *given[1:]


def still(model: TwoTower) -> TwoTower:
    """A copy that learns nothing, of a model that has not yet: the mould of ``cast``."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def cast(mould: TwoTower, model: TwoTower) -> TwoTower:
    """The mould with a model's present weights, in memory of its own.

    The mould is copied and not the model, whose layers may hold what their last batch needed.
    """
    pairs = zip(mould.parameters(), model.parameters(), strict=True)
    weights = {id(old): nn.Parameter(new.detach().clone(), requires_grad=False) for old, new in pairs}
    return copy.deepcopy(mould, weights)
