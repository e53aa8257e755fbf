"""Rows with a label of 0 or 1, checked once; and ratios that are NaN over nothing.

What the data do not define is NaN and never an error, because slices may be empty; wrong input is a ValueError.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reports.numbers.rounding import Floats

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def rows_of(score: npt.ArrayLike, label: npt.ArrayLike) -> tuple[npt.NDArray[Any], Flags]:
    """Scores [n] and labels, bool [n], of any rows.

    Raises:
        ValueError: if shapes differ, a score is NaN or a label is not 0 or 1.
    """
    s, y = np.asarray(score), np.asarray(label)
    if s.ndim != 1 or s.shape != y.shape:
        raise ValueError(f"score.shape == {s.shape}, must be [n] and equal to the labels' {y.shape}")
    if np.isnan(s).any():
        raise ValueError(f"score == nan in {int(np.isnan(s).sum())} rows, must be a number")
    if y.dtype != np.bool_ and not ((y == 0) | (y == 1)).all():
        raise ValueError(f"label == {y[(y != 0) & (y != 1)][0]}, must be 0 or 1")
    return s, y.astype(np.bool_)


def predictions_of(p: npt.ArrayLike, label: npt.ArrayLike) -> tuple[Floats, Flags]:
    """Probabilities, float64 [n], and labels, bool [n].

    Raises:
        ValueError: as ``rows_of``, or if a probability is outside [0, 1].
    """
    s, y = rows_of(p, label)
    probability = s.astype(np.float64)
    outside = (probability < 0) | (probability > 1)
    if outside.any():
        raise ValueError(f"p == {probability[outside][0]}, must be in [0, 1]")
    return probability, y


def mean_of(x: npt.NDArray[Any]) -> float:
    """Mean of all entries; NaN without one."""
    return ratio(float(x.sum()), float(x.size))


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN where the whole is 0."""
    return part / whole if whole != 0 else float("nan")


def rowwise_ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    """float64 [R]: part / whole, NaN where the whole is 0."""
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole != 0)
    return out
