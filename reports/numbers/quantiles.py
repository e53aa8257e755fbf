"""A quantile with an interval that asks nothing of the distribution (docs/formulas.md 13)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats


class QuantileCI(NamedTuple):
    """A quantile with its order-statistic interval, in the units of the samples.

    Attributes:
        value: sample quantile (linear between order statistics); NaN without samples.
        lo: lower end; NaN where so few samples bound nothing.
        hi: upper end; NaN likewise.
        n: number of samples.
    """

    value: float
    lo: float
    hi: float
    n: int


def quantile_ci(samples: npt.ArrayLike, q: float, level: float = 0.95) -> QuantileCI:
    """Sample quantile with a distribution-free interval from two order statistics.

    B ~ Binomial(n, q) samples lie at or below the true quantile, so ``X_(l)..X_(u)`` misses it with probability at
    most ``P(B < l) + P(B >= u)``. Each tail may spend half of ``1 - level``; where one tail cannot be had at that
    price it may spend more, and the other what is left. So the 95 % interval of p99 has an upper end from n = 299 on
    (0.99^299 < 0.05); with fewer samples that end is NaN and the other one is a bound by itself.

    Args:
        samples: real [n].
        q: in (0, 1).
        level: coverage, in (0, 1).

    Returns:
        Value and interval; NaN where undefined.

    Raises:
        ValueError: if ``q`` or ``level`` is outside (0, 1), or a sample is NaN.
    """
    if not 0 < q < 1:
        raise ValueError(f"q == {q}, must be in (0, 1)")
    if not 0 < level < 1:
        raise ValueError(f"level == {level}, must be in (0, 1)")
    x = np.sort(np.asarray(samples, dtype=np.float64).ravel())
    if np.isnan(x).any():
        raise ValueError("samples == nan, must be numbers")
    if x.size == 0:
        return QuantileCI(float("nan"), float("nan"), float("nan"), 0)
    lower, upper = _order_statistics(x.size, q, 1 - level)
    lo = float(x[lower - 1]) if lower else float("nan")
    hi = float(x[upper - 1]) if upper <= x.size else float("nan")
    return QuantileCI(float(np.quantile(x, q)), lo, hi, x.size)


def _order_statistics(n: int, q: float, alpha: float) -> tuple[int, int]:
    """1-based ranks (l, u) of the interval's ends; l == 0 or u == n + 1 where that end is undefined."""
    below = stats.binom.cdf(np.arange(n + 1), n, q)  # P(B <= i); P(B < l) = below[l - 1]
    above = stats.binom.sf(np.arange(n), n, q)  # P(B > i); P(B >= u) = above[u - 1]

    def lower(price: float) -> int:
        return int(np.searchsorted(below[:n], price, side="right"))

    def upper(price: float) -> int:
        return n + 1 - int(np.searchsorted(above[::-1], price, side="right"))

    low, high = lower(alpha / 2), upper(alpha / 2)
    if high > n and low >= 1 and above[-1] < alpha:
        dear = lower(alpha - float(above[-1]))
        return (dear, n) if dear >= 1 else (low, high)
    if low < 1 and high <= n and below[0] < alpha:
        dear = upper(alpha - float(below[0]))
        return (1, dear) if dear <= n else (low, high)
    return low, high
