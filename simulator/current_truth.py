"""The truth as of now: who would click on what, after all that was shown. For market, oracles and metrics only."""

from __future__ import annotations

import numpy as np

from simulator.exposure import Exposures, fatigue
from simulator.feedback import FeedbackConfig
from simulator.records import Floats, Keys, Requests
from simulator.world import World


class CurrentTruth:
    """A world's truth less the fatigue of what one market has shown.

    It is made before its market and handed to it and to the oracles that serve in it: the market counts what it shows,
    the others only read.

    Args:
        world: whose truth.
        feedback: how strong fatigue is, and after how many days it is gone.
    """

    def __init__(self, world: World, feedback: FeedbackConfig) -> None:
        self.world = world
        self.feedback = feedback
        self.exposures = Exposures(world.catalog.ads.rows, feedback.fatigue_days)

    def pairs(self, requests: Requests, ads: Keys) -> Floats:
        """True logit of P(click | examined) of ads [R, n] -> float32 [R, n]. Pads yield some number: mask them."""
        return self._tired(self.world.truth.pairs(requests.user, ads, requests.time), requests, ads)

    def everything(self, requests: Requests) -> Floats:
        """The same for all ads -> float32 [R, A]."""
        ads = np.arange(self.world.catalog.ads.rows, dtype=np.int32)[None, :]
        return self._tired(self.world.truth.everything(requests), requests, ads)

    def _tired(self, logit: Floats, requests: Requests, ads: Keys) -> Floats:
        """Take the fatigue off logits [R, n] in place; few pairs have any."""
        strength = self.feedback.fatigue
        if strength:
            counts = self.exposures.counts(requests.user[:, None], ads).reshape(-1)
            seen = np.flatnonzero(counts)
            flat = logit.reshape(-1)
            flat[seen] -= fatigue(counts[seen], strength)
        return logit
