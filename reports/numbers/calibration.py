"""Are predicted probabilities right: log loss, PCOC, the reliability curve (docs/formulas.md 13).

Letters: n rows of a log. ``label`` is 0 or 1 per row. PCOC without a click is NaN, never an error, because slices may
be empty; wrong input is a ValueError.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.labelled import Flags, Ints, mean_of, predictions_of, ratio
from reports.numbers.rounding import Floats

CLIP = 1e-7
"""Predictions are kept this far from 0 and 1 before their log is taken."""


class Reliability(NamedTuple):
    """Predicted against observed rate in equal-mass bins, lowest predictions first; B bins are not empty.

    Attributes:
        p: float64 [B], mean prediction.
        y: float64 [B], share of positives.
        true: float64 [B], mean true probability; None where the truth was not given.
        n: int64 [B], rows.
        lo: float64 [B], lower end of the Wilson interval of ``y``.
        hi: float64 [B], upper end.
    """

    p: Floats
    y: Floats
    true: Floats | None
    n: Ints
    lo: Floats
    hi: Floats


def logloss(p: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Mean negative log likelihood in nats, predictions clipped to [1e-7, 1 - 1e-7].

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].

    Returns:
        Log loss >= 0; NaN without rows.

    Raises:
        ValueError: if shapes differ, a probability is outside [0, 1] or a label is not 0 or 1.
    """
    return mean_of(_surprise(*predictions_of(p, label)))


def _surprise(p: Floats, y: Flags) -> Floats:
    kept = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(-np.log(np.where(y, kept, 1 - kept)))


def pcoc(p: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Predicted over observed clicks, ``sum p / sum y``; 1 is calibrated, above 1 is too confident.

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].

    Returns:
        PCOC >= 0; NaN without a positive.

    Raises:
        ValueError: as ``logloss``.
    """
    probability, y = predictions_of(p, label)
    return ratio(float(probability.sum()), float(y.sum()))


def reliability(
    p: npt.ArrayLike, label: npt.ArrayLike, true_p: npt.ArrayLike | None = None, bins: int = 10
) -> Reliability:
    """Reliability curve in equal-mass bins, also against the true probability where a world knows it.

    The Wilson interval treats rows as independent draws, so it is a guide to the eye and no test.

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].
        true_p: true probabilities [n], of the same event as ``label``.
        bins: at most this many bins; rows with equal predictions stay together, so that their order never matters.

    Returns:
        One entry per bin that is not empty.

    Raises:
        ValueError: as ``logloss``, or if ``bins < 1`` or ``true_p`` has another shape.
    """
    probability, y = predictions_of(p, label)
    bin_of = _equal_mass(probability, bins)
    n = np.bincount(bin_of)
    kept = n > 0
    count = n[kept].astype(np.int64)
    positives = np.bincount(bin_of, y)[kept].astype(np.float64)
    lo, hi = _wilson(positives, count)
    true: Floats | None = None
    if true_p is not None:
        truth = np.asarray(true_p, dtype=np.float64)
        if truth.shape != y.shape:
            raise ValueError(f"true_p.shape == {truth.shape}, must be the labels' {y.shape}")
        true = np.bincount(bin_of, truth)[kept] / count
    return Reliability(np.bincount(bin_of, probability)[kept] / count, positives / count, true, count, lo, hi)


def _equal_mass(p: Floats, bins: int) -> Ints:
    """Bin of each row by the middle of its rank range: ties share a bin whatever the order of the rows."""
    if bins < 1:
        raise ValueError(f"bins == {bins}, must be at least 1")
    middle = (stats.rankdata(p, method="average") - 0.5) / max(p.size, 1)
    return np.asarray(middle * bins).astype(np.int64)


def _wilson(successes: Floats, n: Ints, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson score interval of a share; ``n`` > 0."""
    z = float(stats.norm.ppf((1 + level) / 2))
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4.0 * n * n))
    # Rounding must not push the observed share 0 or 1 outside its own interval.
    return np.where(successes == 0, 0.0, middle - half), np.where(successes == n, 1.0, middle + half)
