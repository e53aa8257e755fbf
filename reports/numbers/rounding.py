"""What rounding alone can do: the one rule by which a difference or a spread is called zero.

Numbers that are equal on paper differ in their last bits, so that constant data show a standard deviation of 1e-17 and
a test of it any p it likes. The rule: what is at most ``ROUNDING`` times the size of the numbers that it was computed
from is zero. Without a spread there is no test: an effect that is zero as well has p 1; any other is without interval
and without p, since equal repeats do not say how much an effect varies, only that they could not show it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""1.4e-14. Sums of n terms are off by about sqrt(n) roundings: some thousand terms fit."""


def no_rounding(x: npt.ArrayLike, size: npt.ArrayLike) -> Floats:
    """``x`` with 0 for what rounding alone could have made of 0.

    Args:
        x: [...].
        size: broadcasts against ``x``: magnitude of the numbers that each was computed from, e.g. of both terms of a
            difference.
    """
    values = np.asarray(x, dtype=np.float64)
    return np.where(np.abs(values) <= ROUNDING * np.asarray(size), 0.0, values)


def spread_of(x: npt.ArrayLike, size: npt.ArrayLike | None = None) -> Floats:
    """Standard deviation over axis 0 of x [n, ...] -> [...], n - 1 below; exactly 0 where it is rounding alone.

    Args:
        x: finite, of any magnitude.
        size: [...], largest magnitude of the numbers that ``x`` was computed from; of ``x`` itself if None.

    Returns:
        NaN with fewer than 2 values.
    """
    values = np.asarray(x, dtype=np.float64)
    if values.shape[0] < 2:
        return np.full(values.shape[1:], np.nan)
    largest = np.abs(values).max(axis=0)
    exponent = np.frexp(largest)[1]
    found = np.ldexp(np.ldexp(values, -exponent).std(axis=0, ddof=1), exponent)
    return no_rounding(found, largest if size is None else size)


def near_one(x: npt.ArrayLike) -> Floats:
    """``x`` times the power of two that brings its largest magnitude to [0.5, 1): same bits, no square overflows."""
    values = np.asarray(x, dtype=np.float64)
    return np.asarray(np.ldexp(values, -np.frexp(np.abs(values).max(initial=0.0))[1]))
