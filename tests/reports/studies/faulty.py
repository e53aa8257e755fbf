"""Plug-ins that are sound until noon of the first day that they serve, and then break the contract in one way each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simulator.records import DAY
from simulator.retrieval import PopularityRetriever
from tests.reports.studies.tiny import PlainRanker

NOON = DAY + DAY // 2


class FromNoon(PopularityRetriever):
    """A retriever that serves ``spoilt`` candidates from noon on."""

    def retrieve(self, requests, offers, k):
        found = super().retrieve(requests, offers, k)
        return self.spoilt(found, offers) if requests.time[0] >= NOON else found


class NaNLogits(FromNoon):
    def spoilt(self, found, offers):
        return replace(found, logit=np.where(np.arange(found.logit.shape[1]) == 2, np.nan, found.logit).astype("f4"))


class UnknownAds(FromNoon):
    def spoilt(self, found, offers):
        return replace(found, ad=found.ad + np.int32(1000))


class RepeatedAds(FromNoon):
    def spoilt(self, found, offers):
        return replace(found, ad=np.broadcast_to(found.ad[:, :1], found.ad.shape))


class TooWide(FromNoon):
    def spoilt(self, found, offers):
        two = (np.concatenate([x, x], axis=1) for x in (found.ad, found.logit, found.explored))
        return replace(found, **dict(zip(("ad", "logit", "explored"), two, strict=True)))


class Flat(FromNoon):
    def spoilt(self, found, offers):
        return replace(found, ad=found.ad[0])


class Crashes(FromNoon):
    def spoilt(self, found, offers):
        return self.look_up("no such table")

    def look_up(self, table):
        return {}[table]


class CrashesInNumpy(FromNoon):
    def spoilt(self, found, offers):
        return np.concatenate([found.ad, found.logit[0]])


class CrashesLearning(PopularityRetriever):
    def update(self, impressions):
        super().update(impressions)
        if impressions.ready_at[-1] >= NOON:
            raise RuntimeError("out of\nluck")


class CrashesPublishing(PopularityRetriever):
    def sync(self, now):
        super().sync(now)
        assert now < NOON, "no place left"


class InfiniteScores(PopularityRetriever):
    def score(self, requests, ads):
        return np.where(ads == ads[0, 0], np.inf, super().score(requests, ads)).astype(np.float32)


class NeverMade(PopularityRetriever):
    def __init__(self, catalog, seed):
        raise OSError("no weights")


class Unsaved(PopularityRetriever):
    def snapshot(self):
        return {"rule": lambda x: x}

    def restore(self, state): ...


class RankerFromNoon(PlainRanker):
    def rank(self, requests, ads):
        ranked = super().rank(requests, ads)
        return self.spoilt(ranked) if requests.time[0] >= NOON else ranked


class NaNRates(RankerFromNoon):
    def spoilt(self, ranked):
        return replace(ranked, pctr=np.full_like(ranked.pctr, np.nan))


class WrongShape(RankerFromNoon):
    def spoilt(self, ranked):
        return replace(ranked, pctr=ranked.pctr[:, :1])


class HugeHidden(RankerFromNoon):
    def spoilt(self, ranked):
        return replace(ranked, hidden=ranked.hidden * np.float32(1e6))


class RankerCrashes(RankerFromNoon):
    def spoilt(self, ranked):
        raise KeyError("h_uv")
