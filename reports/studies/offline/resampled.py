"""AUC on resamples of the users, the same ones for every model. Letter: B resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports.numbers.discrimination import auc_by_weight
from reports.numbers.resampling import PairedBootstrap, from_draws, multiplicities
from reports.studies.offline.measures import over_seeds
from reports.studies.offline.scored import Array
from simulator.records import Impressions

REPLICATES = 500
"""Resamples of the bootstrap over users."""


class Resampled:
    """AUC of every model on the same resamples of the users: any difference between two models is paired.

    Args:
        rows: the test rows, or a slice of them.
        logits: model -> [seeds] of float [rows].

    Attributes:
        models: the names in ``logits``.
    """

    def __init__(self, rows: Impressions, logits: Mapping[str, Sequence[Array]]) -> None:
        users, self._code = np.unique(rows.user, return_inverse=True)
        self._weights = multiplicities(users.size, REPLICATES, np.random.default_rng(0))
        self._label = rows.label
        self._logits = logits
        self.models = tuple(logits)
        self._known: dict[str, tuple[Array, Array]] = {}

    def auc(self, model: str) -> tuple[Array, Array]:
        """AUC of a model by seed [seeds], and on each resample [seeds, B]."""
        if model not in self._known:
            by_weight = [auc_by_weight(logit, self._label) for logit in self._logits[model]]
            whole = np.array([auc(np.ones(self._code.size)) for auc in by_weight])
            draws = np.array([[auc(w[self._code].astype(np.float64)) for w in self._weights] for auc in by_weight])
            self._known[model] = whole, draws
        return self._known[model]

    def difference(self, control: str, treatment: str) -> PairedBootstrap:
        """Treatment minus control, mean over seeds, with its interval over users."""
        (before, before_draws), (after, after_draws) = self.auc(control), self.auc(treatment)
        if self._weights.shape[1] < 2:  # one user again and again tells nothing of others
            return from_draws(float((after - before).mean()), np.zeros(0))
        return from_draws(float((after - before).mean()), (after_draws - before_draws).mean(axis=0))

    def over_seeds(self, model: str) -> dict[str, Any]:
        """Mean AUC of a model with its interval over seeds."""
        return over_seeds(self.auc(model)[0].tolist())
