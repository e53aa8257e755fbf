"""What the towers read of requests and ads, besides the vectors of the slots: fields, history and online counters."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from baselines.training.counters import Counters, NoCounters
from baselines.training.features import Events, Fields, SideInput


class Inputs(NamedTuple):
    """Both sides' inputs, at any time whose version of the counters is kept.

    Attributes:
        fields: layout of the embedding table, and the static inputs.
        counters: the online rates.
    """

    fields: Fields
    counters: Counters | NoCounters

    def users(self, events: Events) -> SideInput:
        """The user side of events [n]."""
        return self.fields.user_side(events, self.counters.user_features(events.user, events.time))

    def ads(self, ads: npt.NDArray[Any], time: npt.NDArray[np.int64]) -> SideInput:
        """The ad side of ads [n] as of times [n]."""
        return self.fields.ad_side(ads, self.counters.ad_features(ads, time))

    def published(self) -> Inputs:
        """What may be read now, and nothing that is published later."""
        return self._replace(counters=self.counters.published())

    def frozen(self) -> Inputs:
        """What was published last, and nothing else."""
        return self._replace(counters=self.counters.frozen())
