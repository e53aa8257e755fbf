"""How good an estimator is, over worlds in which the truth is known (docs/formulas.md 17)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.rounding import Floats as Floats


class Quality(NamedTuple):
    """How good an estimator is, over worlds in which the truth is known.

    Attributes:
        bias: mean of estimate - truth; bias_se: its standard error; bias_lo, bias_hi: its 95 % t interval.
        sd: standard deviation of estimate - truth over worlds.
        coverage: share of the intervals that hold the truth; coverage_lo, coverage_hi: its 95 % binomial interval.
        sign_errors: share of worlds whose estimate has the other sign than the truth.
        n: worlds that have an estimate.
    """

    bias: float
    bias_se: float
    bias_lo: float
    bias_hi: float
    sd: float
    coverage: float
    coverage_lo: float
    coverage_hi: float
    sign_errors: float
    n: int


def quality(estimate: npt.ArrayLike, lo: npt.ArrayLike, hi: npt.ArrayLike, truth: npt.ArrayLike) -> Quality:
    """Bias, spread, coverage and sign errors of an estimator over worlds; worlds without an estimate are left out.

    Args:
        estimate: [W], what the design reported in each world, NaN where it could not.
        lo: [W], lower ends of its intervals.
        hi: [W], upper ends.
        truth: [W], the true effect in the same worlds.
    """
    e, low, high, t = (np.asarray(x, dtype=np.float64) for x in (estimate, lo, hi, truth))
    kept = np.isfinite(e) & np.isfinite(t)
    e, low, high, t = (x[kept] for x in (e, low, high, t))
    n = int(e.size)
    if not n:
        return Quality(*(float("nan"),) * 9, 0)
    gap = e - t
    sd = float(gap.std(ddof=1)) if n > 1 else float("nan")
    se = sd / np.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * se if n > 1 else float("nan")
    told = np.isfinite(low) & np.isfinite(high)
    covered = wilson(((low <= t) & (t <= high))[told])
    wrong = float((np.sign(e) * np.sign(t) < 0).mean())
    bias = float(gap.mean())
    return Quality(bias, float(se), bias - half, bias + half, sd, *covered, wrong, n)


def wilson(flags: npt.ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Share of the flags that are true, with the ends of its Wilson interval; NaN without flags."""
    found = np.asarray(flags, dtype=bool)
    if not found.size:
        return (float("nan"),) * 3
    ends = stats.binomtest(int(found.sum()), int(found.size)).proportion_ci(level, method="wilson")
    return float(found.mean()), float(ends.low), float(ends.high)
