"""Models that remember what they were shown, and models so simple that their scores can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulator.records import Candidates, Catalog, Floats, Impressions, Keys, Offers, Ranked, Requests

HIDDEN = 3


class Rates:
    """Mean click rate of each ad over what was published, with a prior; the shared part of both fakes."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self.live = np.tile([catalog.base_ctr, 1.0], (catalog.ads.rows, 1))
        self.jitter = np.random.default_rng(seed).normal(0, 0.01, catalog.ads.rows)
        self.published = self.live.copy()
        self.learned: list[Impressions] = []
        self.synced: list[int] = []

    def update(self, impressions: Impressions) -> None:
        self.learned.append(impressions)
        np.add.at(self.live, impressions.ad, np.stack([impressions.label, np.ones(len(impressions))], axis=1))

    def sync(self, now: int) -> None:
        self.synced.append(now)
        self.published = self.live.copy()

    def logit(self, ads: Keys) -> Floats:
        rate = self.published[:, 0] / self.published[:, 1]
        return (np.log(rate / (1 - rate)) + self.jitter)[ads].astype(np.float32)


class FakeRetriever(Rates):
    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        raise AssertionError("a replay retrieves nothing")

    def score(self, requests: Requests, ads: Keys) -> Floats:
        return self.logit(ads)


class FakeRanker(Rates):
    """Its hidden vector says how many rows it had learned from when it scored."""

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        known = sum(map(len, self.learned))
        p = 1 / (1 + np.exp(-self.logit(ads)))
        return Ranked(pctr=p, hidden=np.full((*ads.shape, HIDDEN), known % 1000, dtype=np.float32))


def retriever(catalog: Catalog, seed: int, **params: Any) -> FakeRetriever:
    return FakeRetriever(catalog, seed)


def contrary(catalog: Catalog, seed: int, **params: Any) -> FakeRetriever:
    """Ranks the wrong way round."""

    class Contrary(FakeRetriever):
        def logit(self, ads: Keys) -> Floats:
            return -super().logit(ads)

    return Contrary(catalog, seed)


def ranker(catalog: Catalog, seed: int, **params: Any) -> FakeRanker:
    return FakeRanker(catalog, seed)
