"""Tests and intervals that may be looked at after every batch (docs/formulas.md 16). Letters: T looks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from reports.numbers.rounding import Floats as Floats


def always_valid_p(effect: npt.ArrayLike, se: npt.ArrayLike, tau: float) -> Floats:
    """p values that may be looked at after every batch: the mixture sequential probability ratio test.

    With v = se^2, Lambda = sqrt(v / (v + tau^2)) exp(tau^2 d^2 / (2 v (v + tau^2))), and p_t is the least 1 / Lambda so
    far. Source: Johari, Koomen, Pekelis, Walsh, KDD 2017.

    Args:
        effect: [T], the effect so far at every look.
        se: [T], its standard error > 0: there is no test without a spread.
        tau: sd of the effects that are expected, in the effect's unit, > 0; fixed in advance.
    """
    if not tau > 0:
        raise ValueError(f"tau == {tau}, must be positive")
    d, v = np.asarray(effect, dtype=np.float64), _known_error(se) ** 2
    log_ratio = 0.5 * np.log(v / (v + tau**2)) + tau**2 * d**2 / (2 * v * (v + tau**2))
    return np.minimum.accumulate(np.exp(-np.maximum(log_ratio, 0.0)))


def always_valid_half_width(se: npt.ArrayLike, n: npt.ArrayLike, best_at: float, alpha: float = 0.05) -> Floats:
    """Half width of an interval that holds at all looks at once, arXiv 2103.06476, theorem 2.2.

    se sqrt(n) sqrt(2 (n r^2 + 1) / (n r)^2 log(sqrt(n r^2 + 1) / alpha)), with the r that is narrowest at ``best_at``
    units (their equation 22, exact by Lambert's W).

    Args:
        se: [T], the standard error at every look, > 0.
        n: [T], units so far, >= 1.
        best_at: number of units at which it is narrowest; fixed in advance.
        alpha: chance that it ever misses.
    """
    units = np.asarray(n, dtype=np.float64)
    r2 = (-special.lambertw(-(alpha**2) / np.e, -1).real - 1) / best_at
    inside = 2 * (units * r2 + 1) / (units**2 * r2) * np.log(np.sqrt(units * r2 + 1) / alpha)
    return np.asarray(_known_error(se) * np.sqrt(units) * np.sqrt(inside))


def _known_error(se: npt.ArrayLike) -> Floats:
    values = np.asarray(se, dtype=np.float64)
    if not (values > 0).all():
        raise ValueError(f"se == {values.min(initial=np.inf)}, must be positive: there is no test without a spread")
    return values
