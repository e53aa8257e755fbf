"""A control: a ranker that never learns. Its hidden vectors know the pair and nothing of its clicks."""

from __future__ import annotations

from typing import Any

from baselines.rankers.dnn import dnn
from baselines.rankers.network import RankerConfig
from baselines.rankers.online import OnlineRanker
from simulator.plugins import takes
from simulator.records import Catalog, Impressions, Keys, Ranked, Requests


class Untrained:
    """A ranker as it was initialised, whatever it is shown.

    Args:
        ranker: what is wrapped.
    """

    def __init__(self, ranker: OnlineRanker) -> None:
        self._ranker = ranker

    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """As the wrapped one does."""
        return self._ranker.rank(requests, ads)

    def update(self, impressions: Impressions) -> None:
        """Learns nothing, counts nothing."""

    def sync(self, now: int) -> None:
        """As the wrapped one does."""
        self._ranker.sync(now)

    def snapshot(self) -> dict[str, Any]:
        """As the wrapped one does."""
        return self._ranker.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        """As the wrapped one does."""
        self._ranker.restore(state)


@takes(RankerConfig)
def dnn_untrained(catalog: Catalog, seed: int, **params: Any) -> Untrained:
    """Entry point ``dnn-untrained``: ``dnn`` without any training, for ``dssm+cms@dnn-untrained``."""
    return Untrained(dnn(catalog, seed, **params))
