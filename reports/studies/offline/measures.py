"""Measures of one model's scores, and their means with t intervals over seeds. Letter: T test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from reports.numbers.calibration import logloss, pcoc
from reports.numbers.discrimination import auc, gauc
from reports.numbers.paired import paired_difference
from reports.studies.offline.scored import Array, Scored
from simulator.records import Impressions

MEASURES = ("auc", "gauc", "logloss", "pcoc")


def measured_on(logit: Array, rows: Impressions) -> dict[str, float]:
    """AUC, GAUC by user, log loss and PCOC of rows [T]."""
    p = expit(logit.astype(np.float64))
    return {
        "auc": auc(logit, rows.label),
        "gauc": gauc(logit, rows.label, rows.user).value,
        "logloss": logloss(p, rows.label),
        "pcoc": pcoc(p, rows.label),
    }


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean with its t interval over seeds; no interval with one value."""
    known = np.asarray(values, dtype=np.float64)
    if not np.isfinite(known).all():
        return {"mean": None, "ci": None, "per_seed": list(values)}
    around = paired_difference(np.zeros_like(known), known)
    return {"mean": around.effect, "ci": [around.lo, around.hi], "per_seed": list(values)}


def measures_over_seeds(values: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Every measure of a model, from those of each of its seeds."""
    return {key: over_seeds([one[key] for one in values]) for key in MEASURES}


def tau_over_seeds(cells: Sequence[Scored]) -> dict[str, Any] | None:
    """Tau of a model that orders the panel; None for a ranker, which is what the others are held against."""
    known = [one.tau for one in cells if one.tau is not None]
    return over_seeds(known) if known else None
