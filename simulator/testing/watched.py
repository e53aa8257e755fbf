"""A plug-in under watch: its calls are guarded, its answers checked for form, and written down."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from simulator.marketplace import Marketplace
from simulator.records import Candidates, Floats, Impressions, Keys, Offers, Ranked, Requests
from simulator.retrieval import RandomRetriever, check_legal
from simulator.testing.stage import MARKET, ROWS, Arrays, K, Stage, StandIn


class ContractError(Exception):
    """A plug-in broke the contract; one line that names it, the simulated time and what was wrong."""


class Note(NamedTuple):
    """What was served: at the simulated time, after which verb."""

    time: int
    verb: str
    answer: Arrays


class Watched(ABC):
    """A plug-in whose calls are guarded, whose answers are checked for form, and written down."""

    def __init__(self, name: str, inner: Any, stage: Stage) -> None:
        self.name = name
        self.inner = inner
        self.stage = stage
        self.now = 0
        self.notes: list[Note] = []

    def broken(self, what: str) -> NoReturn:
        """End the clause with one line."""
        raise ContractError(f"{self.name} at time {self.now}: {what}")

    def call(self, verb: str, *args: Any) -> Any:
        """One of the plug-in's verbs."""
        try:
            return getattr(self.inner, verb)(*args)
        except Exception as error:
            # Whatever a stranger's code raises becomes one line that says where.
            self.broken(f"{verb} raised {one_line(error)}")

    def form(self, what: str, value: Any, kind: type[np.generic], shape: tuple[int | None, ...]) -> None:
        """Refuse what is not an array of this dtype and shape; None stands for any length."""
        wanted = f"{np.dtype(kind).name} [{', '.join('any' if n is None else str(n) for n in shape)}]"
        if not isinstance(value, np.ndarray):
            self.broken(f"{what} is a {type(value).__name__}, must be a numpy array, {wanted}")
        fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
        if not fits or value.dtype != kind:
            self.broken(f"{what} is {value.dtype.name} {list(value.shape)}, must be {wanted}")

    def update(self, impressions: Impressions) -> None:
        """Let it learn, and write down what it serves then."""
        self.now = int(impressions.ready_at[-1])
        self.call("update", impressions)
        self.note("update", self.answer())

    def sync(self, now: int) -> None:
        """Let it publish, and write down what it serves then."""
        self.now = now
        self.call("sync", now)
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
    def market(self) -> Marketplace:
        """A market in which it serves, with a stand-in for the other stage."""


class WatchedRetriever(Watched):
    """A retriever under watch."""

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Candidates of the right form."""
        self.now = int(requests.time[0])
        found = self.call("retrieve", requests, offers, k)
        for field, kind in (("ad", np.int32), ("logit", np.float32), ("explored", np.bool_)):
            if not hasattr(found, field):
                self.broken(f"retrieve returned a {type(found).__name__} without '{field}', must be like Candidates")
            self.form(f"candidates.{field}", getattr(found, field), kind, (len(requests), None))
        ad, logit, explored = found.ad, found.logit, found.explored
        if not ad.shape == logit.shape == explored.shape or ad.shape[1] > k:
            shapes = f"ad {list(ad.shape)}, logit {list(logit.shape)}, explored {list(explored.shape)}"
            self.broken(f"candidates have {shapes}, must be [{len(requests)}, <= {k}] all three")
        self.note("retrieve", (ad.copy(), logit.copy()))
        return Candidates(ad=ad, logit=logit, explored=explored)

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Logits of the right form."""
        self.now = int(requests.time[0])
        logit: Floats = self.call("score", requests, ads)
        self.form("score", logit, np.float32, ads.shape)
        return logit

    def answer(self) -> Arrays:
        """Candidates and logits of everything."""
        found = self.call("retrieve", self.probe(), self.stage.offers, K)
        return np.array(found.ad), np.array(found.logit), np.array(self.score(self.probe(), self.everything()))

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
        self.now = int(requests.time[0])
        ranked = self.call("rank", requests, ads)
        for field, shape in (("pctr", ads.shape), ("hidden", (*ads.shape, None))):
            if not hasattr(ranked, field):
                self.broken(f"rank returned a {type(ranked).__name__} without '{field}', must be like Ranked")
            self.form(f"ranked.{field}", getattr(ranked, field), np.float32, shape)
        self.note("rank", (ranked.pctr.copy(), ranked.hidden.copy()))
        return Ranked(pctr=ranked.pctr, hidden=ranked.hidden)

    def answer(self) -> Arrays:
        """Predictions of everything."""
        ranked = self.call("rank", self.probe(), self.everything())
        return np.array(ranked.pctr), np.array(ranked.hidden)

    def market(self) -> Marketplace:
        """It ranks what was retrieved at random."""
        return Marketplace(self.stage.world, MARKET, RandomRetriever(self.stage.world.catalog, 0), self)


def one_line(error: Exception) -> str:
    """Type and first line of an exception, and the last line of the plug-in's own file that led to it."""
    said = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}{': ' if said else ''}{said}{where}"
