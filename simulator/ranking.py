"""The reference ranker that knows the truth; learned rankers live in ``baselines``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit

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
