"""Rankers without a model, for references and benchmarks, and two mishaps of any; ``baselines`` has learned ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from simulator.keyed_random import integers, normals
from simulator.records import PAD, Floats, Impressions, Keys, Ranked, Requests


class OracleRanker:
    """Predicts the true click rate at slot 0. A study or a benchmark builds it with the world in hand.

    Args:
        true_logit: (requests, ads [R, K]) -> float32 [R, K], true logit of P(click | examined), fatigue included.
    """

    def __init__(self, true_logit: Callable[[Requests, Keys], Floats]) -> None:
        self._true_logit = true_logit

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """The truth, and a hidden vector of width 0."""
        pctr = expit(self._true_logit(requests, ads)).astype(np.float32, copy=False)
        np.putmask(pctr, ads == PAD, 0.0)
        return Ranked(pctr=pctr, hidden=np.zeros((*ads.shape, 0), dtype=np.float32))

    def update(self, impressions: Impressions) -> None:
        """Nothing to learn: it knows."""

    def sync(self, now: int) -> None:
        """Nothing to publish."""


class TableRanker:
    """Looks an ad's rate up and learns nothing: what is left of a market's time is the market itself.

    Args:
        rate: float32 [A], in [0, 1].
    """

    def __init__(self, rate: Floats) -> None:
        self._rate = rate

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """The ads' rates, and a hidden vector of width 0."""
        pctr = self._rate.take(ads, mode="clip")
        np.putmask(pctr, ads == PAD, 0.0)
        return Ranked(pctr=pctr, hidden=np.zeros((*ads.shape, 0), dtype=np.float32))

    def update(self, impressions: Impressions) -> None:
        """Nothing is learned."""

    def sync(self, now: int) -> None:
        """Nothing to publish."""


def handicapped(seed: int, requests: Requests, ads: Keys, ranked: Ranked, sd: float) -> Ranked:
    """A worse ranker: keyed noise on the logit of its pctr and, in units of each row's rms, on its hidden vector.

    Args:
        seed: the world's seed.
        requests: R requests.
        ads: int32 [R, K].
        ranked: what the ranker said.
        sd: of the noise.
    """
    request = requests.id[:, None]
    noisy = logit(np.clip(ranked.pctr, 1e-7, 1 - 1e-7)) + sd * normals(seed, "ranker noise", request, ads)
    pctr = np.where(ranked.pctr > 0, expit(noisy), 0.0).astype(np.float32)
    hidden = ranked.hidden
    if hidden.shape[2]:
        rms = np.sqrt(np.square(hidden).mean(axis=2, keepdims=True))
        place = np.arange(hidden.shape[2])
        noise = normals(seed, "hidden noise", request[..., None], ads[..., None], place)
        hidden = (hidden + sd * rms * noise).astype(np.float32)
    return Ranked(pctr=pctr, hidden=hidden)


def redesigned(seed: int, ranked: Ranked) -> Ranked:
    """The ranker after a redesign of its hidden space: the same predictions from hidden vectors in another order.

    The coordinates [H] change places by a keyed permutation. Nothing else changes, so whatever a retriever loses, it
    loses because it had stored vectors of the old space.
    """
    width = ranked.hidden.shape[2]
    place = np.argsort(integers(seed, "redesign", 1 << 40, np.arange(width)), kind="stable")
    return replace(ranked, hidden=ranked.hidden[:, :, place])
