"""A plug-in under watch: its calls are guarded, its answers checked for form, and written down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from simulator.guard import Guard
from simulator.marketplace import Marketplace
from simulator.records import Candidates, Floats, Impressions, Keys, Offers, Ranked, Requests
from simulator.retrieval import RandomRetriever, check_legal, top_k
from simulator.testing.stage import MARKET, ROWS, Arrays, K, Stage, StandIn


class Note(NamedTuple):
    """What was served: at the simulated time, after which verb."""

    time: int
    verb: str
    answer: Arrays


class Watched(Guard, ABC):
    """A guarded plug-in whose answers are checked for form only, and written down."""

    def __init__(self, name: str, inner: Any, stage: Stage) -> None:
        super().__init__(name, inner)
        self.stage = stage
        self.notes: list[Note] = []
        self.log: Impressions | None = None

    def update(self, impressions: Impressions) -> None:
        """Let it learn, and write down what it serves then."""
        super().update(impressions)
        self.note("update", self.answer())

    def sync(self, now: int) -> None:
        """Let it publish, and write down what it serves then."""
        super().sync(now)
        self.note("sync", self.answer())

    def note(self, verb: str, answer: Arrays) -> None:
        """Write down an answer."""
        self.notes.append(Note(self.now, verb, answer))

    def learn(self, rows: Impressions) -> None:
        """Update and publish."""
        self.update(rows)
        self.sync(self.now)

    def probe(self) -> Requests:
        """The probe's requests, as if they came now."""
        return replace(self.stage.probe, time=np.full(ROWS, self.now, dtype=np.int64))

    def everything(self) -> Keys:
        """All ads for each request of the probe, int32 [R, A]."""
        A = self.stage.world.catalog.ads.rows
        return np.tile(np.arange(A, dtype=np.int32), (ROWS, 1))

    @abstractmethod
    def answer(self) -> Arrays:
        """What it serves to the probe right now."""

    @abstractmethod
    def best(self, requests: Requests) -> Keys:
        """The ``K`` ads that it thinks most likely to be clicked, all bids being equal, int32 [R, K]."""

    @abstractmethod
    def asked(self, requests: Requests, offers: Offers) -> None:
        """Ask it what a market asks."""

    @abstractmethod
    def market(self) -> Marketplace:
        """A market in which it serves, with a stand-in for the other stage."""


class WatchedRetriever(Watched):
    """A retriever under watch."""

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Candidates of the right form."""
        found = self.candidates(requests, offers, k)
        self.note("retrieve", (found.ad.copy(), found.logit.copy()))
        return found

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Logits of the right form."""
        return self.logits(requests, ads)

    def answer(self) -> Arrays:
        """Candidates and logits of everything."""
        found = self.candidates(self.probe(), self.stage.offers, K)
        return found.ad.copy(), found.logit.copy(), self.score(self.probe(), self.everything()).copy()

    def asked(self, requests: Requests, offers: Offers) -> None:
        """Candidates and their logits."""
        self.score(requests, np.maximum(self.retrieve(requests, offers, K).ad, 0))

    def best(self, requests: Requests) -> Keys:
        """Its candidates."""
        A = self.stage.world.catalog.ads.rows
        return self.candidates(requests, Offers(eligible=np.ones(A, dtype=bool), bid=np.ones(A)), K).ad

    def legal(self, offers: Offers, k: int = K) -> Candidates:
        """Candidates of the probe, or a broken contract."""
        found = self.retrieve(self.probe(), offers, k)
        try:
            check_legal(found, offers, self.stage.probe, k)
        except ValueError as error:
            self.broken(str(error))
        return found

    def market(self) -> Marketplace:
        """It retrieves, the stand-in ranks."""
        return Marketplace(self.stage.world, MARKET, self, StandIn(self.stage.world.seed))


class WatchedRanker(Watched):
    """A ranker under watch."""

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """Predictions of the right form."""
        ranked = self.predictions(requests, ads)
        self.note("rank", (ranked.pctr.copy(), ranked.hidden.copy()))
        return ranked

    def answer(self) -> Arrays:
        """Predictions of everything."""
        ranked = self.predictions(self.probe(), self.everything())
        return ranked.pctr.copy(), ranked.hidden.copy()

    def best(self, requests: Requests) -> Keys:
        """Those of highest prediction."""
        A = self.stage.world.catalog.ads.rows
        everything = np.tile(np.arange(A, dtype=np.int32), (len(requests), 1))
        return top_k(self.predictions(requests, everything).pctr, K).astype(np.int32)

    def asked(self, requests: Requests, offers: Offers) -> None:
        """Predictions."""
        self.rank(requests, self.everything())

    def market(self) -> Marketplace:
        """It ranks what was retrieved at random."""
        return Marketplace(self.stage.world, MARKET, RandomRetriever(self.stage.world.catalog, 0), self)
