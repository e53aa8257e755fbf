"""A plug-in at work: what it raises, or answers against the contract, becomes one line with its name and the time.

``GuardedRetriever`` and ``GuardedRanker`` stand before a plug-in and let its answers through unchanged. The contract
check (``simulator.testing``) builds on the same guard.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

import numpy as np

from simulator.blame import ContractError, blamed
from simulator.records import PAD, Candidates, Floats, Impressions, Keys, Offers, Ranked, Requests
from simulator.retrieval import check_legal

LARGEST_HALF = float(np.finfo(np.float16).max)
"""The log holds hidden vectors in half precision."""
BESIDE_THE_VERBS = frozenset({"snapshot", "restore", "cost"})
"""What a plug-in may offer beyond the protocol, guarded likewise."""


class Guard:
    """Stands before a plug-in; what it does not know itself, it asks the plug-in for.

    Args:
        name: how errors call the plug-in.
        inner: the plug-in.
    """

    def __init__(self, name: str, inner: Any) -> None:
        self.name = name
        self.inner = inner
        self.now = 0

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "inner" or attribute.startswith("__"):
            raise AttributeError(attribute)
        found = getattr(self.inner, attribute)
        return partial(self.call, attribute) if attribute in BESIDE_THE_VERBS else found

    def where(self) -> str:
        """Name and simulated time of the last call."""
        return f"{self.name} at time {self.now}"

    def broken(self, what: str) -> NoReturn:
        """Refuse an answer."""
        raise ContractError(f"{self.where()}: {what}")

    def call(self, verb: str, *args: Any) -> Any:
        """One of the plug-in's verbs."""
        with blamed(f"{self.where()}: {verb}"):
            return getattr(self.inner, verb)(*args)

    def form(self, what: str, value: Any, kind: type[np.generic], shape: tuple[int | None, ...]) -> None:
        """Refuse what is not an array of this dtype and shape; None stands for any length."""
        wanted = f"{np.dtype(kind).name} [{', '.join('any' if n is None else str(n) for n in shape)}]"
        if not isinstance(value, np.ndarray):
            self.broken(f"{what} is a {type(value).__name__}, must be a numpy array, {wanted}")
        fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
        if not fits or value.dtype != kind:
            self.broken(f"{what} is {value.dtype.name} {list(value.shape)}, must be {wanted}")

    def opinion(self, what: str, logit: Floats) -> None:
        """Refuse logits that are neither all finite nor all NaN."""
        finite = np.isfinite(logit)
        if not finite.all() and not np.isnan(logit).all():
            bad = int(finite.size - finite.sum())
            self.broken(f"{what} has {bad} of {logit.size} values not finite, must be all finite or always NaN")

    def update(self, impressions: Impressions) -> None:
        """Let it learn."""
        self.now = int(impressions.ready_at[-1])
        self.call("update", impressions)

    def sync(self, now: int) -> None:
        """Let it publish."""
        self.now = now
        self.call("sync", now)

    def candidates(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """What ``retrieve`` returns, its form checked."""
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
        return Candidates(ad=ad, logit=logit, explored=explored)

    def logits(self, requests: Requests, ads: Keys) -> Floats:
        """What ``score`` returns, its form checked."""
        self.now = int(requests.time[0])
        logit: Floats = self.call("score", requests, ads)
        self.form("score", logit, np.float32, ads.shape)
        return logit

    def predictions(self, requests: Requests, ads: Keys) -> Ranked:
        """What ``rank`` returns, its form checked."""
        self.now = int(requests.time[0])
        ranked = self.call("rank", requests, ads)
        for field, shape in (("pctr", ads.shape), ("hidden", (*ads.shape, None))):
            if not hasattr(ranked, field):
                self.broken(f"rank returned a {type(ranked).__name__} without '{field}', must be like Ranked")
            self.form(f"ranked.{field}", getattr(ranked, field), np.float32, shape)
        return Ranked(pctr=ranked.pctr, hidden=ranked.hidden)


class GuardedRetriever(Guard):
    """A retriever whose answers are legal, or it is named."""

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Legal candidates with logits, or without any."""
        found = self.candidates(requests, offers, k)
        try:
            check_legal(found, offers, requests, k)
        except ValueError as error:
            self.broken(str(error))
        self.opinion("candidates.logit", found.logit[found.ad != PAD])
        return found

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Logits, or none."""
        logit = self.logits(requests, ads)
        self.opinion("score", logit[ads != PAD])
        return logit


class GuardedRanker(Guard):
    """A ranker whose predictions are probabilities, or it is named."""

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """Probabilities, and hidden vectors that the log can hold."""
        ranked = self.predictions(requests, ads)
        inside = (ranked.pctr >= 0) & (ranked.pctr <= 1)  # NaN is neither
        if not inside.all():
            self.broken(f"ranked.pctr == {ranked.pctr[~inside][0]}, must be in [0, 1]")
        hidden = ranked.hidden
        # Two passes without a temporary array; a NaN fails the comparison.
        if hidden.size and not (hidden.min() >= -LARGEST_HALF and hidden.max() <= LARGEST_HALF):
            bad = hidden[~(np.abs(hidden) <= LARGEST_HALF)]
            self.broken(f"ranked.hidden == {bad[0]}, must be finite in half precision")
        return ranked
