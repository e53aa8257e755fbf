"""Which matured rows an arm may learn from, and how often: its own, all, or all by weight.

- ``own``: the rows that the arm served. The arms never touch.
- ``pooled``: every row. Each arm learns from what the other one shows: the contamination of most live tests.
- ``weighted``: every row, counted by how much likelier it is in the arm's own data than in the pool: P(arm | row) /
  share of the arm: the data that the arm would make alone from all of the traffic, estimated (arXiv 2310.17496). Rows
  have no weights at the door of a model, so a row of weight w comes floor(w + u) times, u drawn by key.

Departure from the paper: P(arm | row) is not a classifier's but the smoothed share of the ad's earlier rows that the
arm served. Requests are randomised, so the ad is what tells the arms' data apart; what depends on user and ad together
is left out.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from simulator.keyed_random import uniforms
from simulator.records import Impressions

Training = Literal["own", "pooled", "weighted"]
PRIOR = 5.0
"""Rows in the pool's proportion with which every ad starts."""


class TrainingRows:
    """Hands matured rows to arms.

    Args:
        training: the rule.
        seed: the world's seed, keys the copies of weighted rows.
        ads: number of ads.
        arms: number of arms.
    """

    def __init__(self, training: Training, seed: int, ads: int, arms: int) -> None:
        self.training = training
        self._seed = seed
        self._served = np.zeros((arms, ads))

    def see(self, rows: Impressions, arm: npt.NDArray[np.int8]) -> None:
        """Count rows [n] by the arm that served them, before any of them is handed out."""
        if self.training == "weighted":
            np.add.at(self._served, (arm, rows.ad), 1.0)

    def of(self, rows: Impressions, served: npt.NDArray[np.int8], arm: int) -> Impressions:
        """The rows that ``arm`` learns from, in event order, repeated by weight.

        Args:
            rows: [n] matured rows, in event order.
            served: int8 [n], the arm that served each.
            arm: who learns.
        """
        if self.training == "own":
            return rows[served == arm]
        if self.training == "pooled":
            return rows
        copies = np.floor(self.weight(rows, arm) + uniforms(self._seed, "copies", rows.request, rows.ad, np.int64(arm)))
        return rows[np.repeat(np.arange(len(rows)), copies.astype(np.int64))]

    def weight(self, rows: Impressions, arm: int) -> npt.NDArray[np.float64]:
        """float64 [n]: how much likelier each row is in the arm's data than in the pool."""
        total = self._served.sum()
        if not total:
            return np.ones(len(rows))
        share = self._served[arm].sum() / total
        if not share:
            return np.zeros(len(rows))
        mine, all_ = self._served[arm].take(rows.ad), self._served.sum(axis=0).take(rows.ad)
        return np.asarray((mine + PRIOR * share) / (all_ + PRIOR) / share)
