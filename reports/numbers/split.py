"""Were units split as configured: the sample ratio mismatch (docs/formulas.md 17)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from reports.numbers.rounding import Floats as Floats

SRM_ALARM = 0.001
"""p below which the split of units is called broken."""


def srm(counts: Sequence[int], weights: Sequence[float]) -> float:
    """p of a sample ratio mismatch: chi-square of the units' counts against the configured weights.

    NaN without units.
    """
    share = np.asarray(weights, dtype=np.float64)
    if len(counts) != share.size or not (share > 0).all():
        raise ValueError(f"weights == {list(weights)}, must be positive, one for each of {len(counts)} counts")
    if not np.sum(counts):
        return float("nan")
    return float(stats.chisquare(counts, share / share.sum() * np.sum(counts)).pvalue)
