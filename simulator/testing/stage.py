"""The stage of the contract check: a tiny world, its market, a log to learn from, and a twin with flipped labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from simulator.auction import AuctionConfig
from simulator.feedback import FeedbackConfig
from simulator.keyed_random import normals
from simulator.log import LabelQueue
from simulator.marketplace import CascadeConfig, MarketConfig, Marketplace
from simulator.records import DAY, PAD, Impressions, Keys, Offers, Ranked, Requests, take
from simulator.retrieval import RandomRetriever
from simulator.traffic import TrafficConfig, day_requests
from simulator.world import PLACEMENTS, World, WorldConfig, build

HIDDEN = 64
"""Width of the hidden vectors in the log that retrievers learn from: the default of the arms."""
K = 10
MARKET = MarketConfig(
    traffic=TrafficConfig(requests_per_day=300),
    auction=AuctionConfig(slots=3, reserve=0.0),
    feedback=FeedbackConfig(label_wait=10_000),
    cascade=CascadeConfig(candidates=K, tick=7200, sync=14_400),
)
"""Two ticks to a publication; a label wait that is no multiple of a tick: some rows of a tick mature before others."""
FLIP_AT = 3 * MARKET.cascade.sync
"""The labels that wait at this publication are flipped in the twin market; the next publication may show it."""
ROWS = 16
"""Requests of a probe."""
assert FLIP_AT + MARKET.cascade.sync < DAY, "the flipped labels must be published within the day"

Arrays = tuple[npt.NDArray[Any], ...]


TINY = WorldConfig(users=200, ads=60, advertisers=12, base_logit=-1.5, budget_clicks=60.0)
"""Clicks frequent enough to learn from, budgets that seldom bind."""


def tiny_world(seed: int = 0) -> World:
    """200 users, 60 ads, 3 days."""
    return build(TINY, seed, 3)


class StandIn:
    """A ranker that learns nothing: keyed pctr and hidden vectors, so that a retriever's log holds something."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """Keyed figures, the same at any time."""
        logit = normals(self._seed, "stand-in pctr", requests.user[:, None], np.maximum(ads, 0)) - 2.0
        hidden = normals(
            self._seed,
            "stand-in hidden",
            requests.user[:, None, None],
            np.maximum(ads, 0)[..., None],
            np.arange(HIDDEN),
        )
        return Ranked(pctr=np.where(ads == PAD, 0.0, expit(logit)).astype(np.float32), hidden=hidden.astype(np.float32))

    def update(self, impressions: Impressions) -> None:
        """Nothing to learn."""

    def sync(self, now: int) -> None:
        """Nothing to publish."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The tiny world, requests to probe with, offers, and a day's log that no plug-in under test had a part in."""

    world: World
    probe: Requests
    offers: Offers
    log: Impressions

    def parts(self) -> tuple[Impressions, Impressions]:
        """The log in two halves, in event order."""
        half = len(self.log) // 2
        return self.log[:half], self.log[half:]

    def everybody(self) -> Requests:
        """A request of each user, all at the time of the probe's first."""
        U, C = self.world.catalog.users.rows, self.probe.context.shape[1]
        return Requests(
            id=np.arange(U),
            user=np.arange(U, dtype=np.int32),
            time=np.full(U, self.probe.time[0]),
            context=np.resize(self.probe.context, (U, C)),
            arm=np.zeros(U, dtype=np.int8),
        )

    def only(self, ads: Sequence[int]) -> Offers:
        """Offers in which just ``ads`` may compete; the others bid more, to tempt."""
        eligible = np.zeros(self.offers.eligible.size, dtype=bool)
        eligible[list(ads)] = True
        return Offers(eligible=eligible, bid=np.where(eligible, self.offers.bid, 1e3 * self.offers.bid))


@lru_cache(maxsize=2)
def stage_of(seed: int) -> Stage:
    """The stage of a seed, built once."""
    world = tiny_world(seed)
    truth = world.truth
    requests = day_requests(MARKET.traffic, seed, 1, truth.activity, truth.arrival, PLACEMENTS)
    every = np.ones(world.catalog.ads.rows, dtype=bool)
    day = Marketplace(world, MARKET, RandomRetriever(world.catalog, seed), StandIn(seed)).run_day(0)
    return Stage(
        world=world,
        probe=take(requests, slice(0, ROWS)),
        offers=Offers(eligible=every, bid=world.demand.bid),
        log=day.log,
    )


class FlippedQueue(LabelQueue):
    """A queue in which every label that waits at ``FLIP_AT`` is the opposite of the truth."""

    def put(self, rows: Impressions) -> None:
        """Rows that were served before ``FLIP_AT`` and are ready after it get the opposite label."""
        waits = (rows.time < FLIP_AT) & (rows.ready_at > FLIP_AT)
        super().put(replace(rows, label=rows.label ^ waits))
