"""Paired worlds: effects with t intervals, sign flips, lifts period by period (docs/formulas.md 14).

Letters: W worlds, T periods (days). The world is the unit: both arms live through the same world under common keys, so
every effect is a difference within a world and the worlds are the independent repeats. One world shows an effect but
no uncertainty: its interval and p are NaN. So do worlds that all show the same effect, unless it is none
(``reports.numbers.rounding``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.rounding import Floats as Floats
from reports.numbers.rounding import no_rounding, spread_of

PERMUTATION_WORLDS = 8
"""Fewest worlds for the sign-flip test: 5 worlds cannot go below p = 2/2^5 = 0.0625 whatever the effect."""
_EXACT_WORLDS = 16
"""Up to here all 2^W sign flips are counted; beyond, a fixed sample of them."""
_SAMPLED_FLIPS = 1 << 16


class PairedLift(NamedTuple):
    """Relative effect over paired worlds; 0.1 is +10 %.

    Attributes:
        rel_effect: exp(mean D_w) - 1 with D_w = log(treatment / control) in world w, i.e. of the geometric means.
        lo: lower end of the t interval on D_w, back-transformed; NaN without a spread: see ``why_no_interval``.
        hi: upper end; NaN likewise.
        p: two-sided p of the t test on D_w; 1 if the arms are identical, NaN without a spread.
        n_worlds: W.
        per_world: float64 [W], relative effect in each world.
        p_permutation: two-sided p of the sign-flip test on D_w; NaN below 8 worlds.
        level: coverage of the interval.
    """

    rel_effect: float
    lo: float
    hi: float
    p: float
    n_worlds: int
    per_world: Floats
    p_permutation: float
    level: float

    @property
    def why_no_interval(self) -> str:
        """Why there is no interval; "" where there is one."""
        return _why_no_interval(self.rel_effect, self.p, self.n_worlds)


class PairedDifference(NamedTuple):
    """Absolute effect over paired worlds, in the measure's own unit.

    Attributes:
        effect: mean over worlds of treatment - control.
        lo: lower end of its t interval; NaN without a spread: see ``why_no_interval``.
        hi: upper end; NaN likewise.
        p: two-sided p of the paired t test; 1 if the arms are identical, NaN without a spread.
        n_worlds: W.
        per_world: float64 [W], difference in each world.
        p_permutation: two-sided p of the sign-flip test; NaN below 8 worlds.
        level: coverage of the interval.
    """

    effect: float
    lo: float
    hi: float
    p: float
    n_worlds: int
    per_world: Floats
    p_permutation: float
    level: float

    @property
    def why_no_interval(self) -> str:
        """Why there is no interval; "" where there is one."""
        return _why_no_interval(self.effect, self.p, self.n_worlds)


class LiftByPeriod(NamedTuple):
    """Relative effect of each period with its own t interval; pointwise, so not a band for the whole curve.

    Attributes:
        lift: float64 [T]; NaN in a period where some world earned nothing in an arm.
        lo: float64 [T]; NaN with one world, and where all worlds show one effect that is not 0.
        hi: float64 [T]; NaN likewise.
        p: float64 [T]; NaN likewise.
        n_worlds: W.
    """

    lift: Floats
    lo: Floats
    hi: Floats
    p: Floats
    n_worlds: int


def paired_lift(control: npt.ArrayLike, treatment: npt.ArrayLike, level: float = 0.95) -> PairedLift:
    """Relative effect over paired worlds: t on log ratios. For measures > 0, such as money and counts.

    Args:
        control: [W] > 0, the measure with all traffic on the control.
        treatment: [W] > 0, the same worlds with all traffic on the treatment.
        level: coverage of the interval.

    Returns:
        The effect; arms that are identical, up to rounding, give exactly 0, interval [0, 0] and p 1.

    Raises:
        ValueError: if shapes differ, there is no world, a value is not finite and positive, or ``level`` is outside
            (0, 1).
    """
    d, size = _log_ratio(*_worlds(control, treatment, ndim=1))
    mean, lo, hi, p = (float(x) for x in t_test(d, size, level))
    rel, lo, hi = (float(np.expm1(x)) for x in (mean, lo, hi))
    return PairedLift(rel, lo, hi, p, d.size, np.expm1(d), _sign_flip(d), level)


def lift_if_any(control: npt.ArrayLike, treatment: npt.ArrayLike, level: float = 0.95) -> PairedLift:
    """``paired_lift``, NaN throughout where a value is 0: there is no lift over nothing."""
    c, t = _worlds(control, treatment, ndim=1)
    if np.minimum(c, t).min() > 0:
        return paired_lift(c, t, level)
    unknown = float("nan")
    return PairedLift(unknown, unknown, unknown, unknown, c.size, np.full(c.size, unknown), unknown, level)


def paired_difference(control: npt.ArrayLike, treatment: npt.ArrayLike, level: float = 0.95) -> PairedDifference:
    """Absolute effect over paired worlds. For measures that may be 0 or negative, or that are read as points.

    Args:
        control: [W].
        treatment: [W], the same worlds.
        level: coverage of the interval.

    Returns:
        The effect; arms that are identical, up to rounding, give exactly 0, interval [0, 0] and p 1.

    Raises:
        ValueError: if shapes differ, there is no world, a value is not finite, or ``level`` is outside (0, 1).
    """
    c, t = _worlds(control, treatment, ndim=1)
    size = np.maximum(np.abs(c), np.abs(t))
    d = no_rounding(t - c, size)
    mean, lo, hi, p = (float(x) for x in t_test(d, size, level))
    return PairedDifference(mean, lo, hi, p, d.size, d, _sign_flip(d), level)


def lift_by_period(control: npt.ArrayLike, treatment: npt.ArrayLike, level: float = 0.95) -> LiftByPeriod:
    """``paired_lift`` of every period at once; give cumulative sums for the lift so far.

    Args:
        control: [W, T] >= 0.
        treatment: [W, T] >= 0.
        level: coverage of each interval by itself.

    Returns:
        Arrays over periods; all NaN in a period in which any value is 0, since no ratio exists there.

    Raises:
        ValueError: if shapes differ, there is no world, a value is negative or not finite, or ``level`` is outside
            (0, 1).
    """
    c, t = _worlds(control, treatment, ndim=2)
    if (np.minimum(c, t) < 0).any():
        raise ValueError(f"control, treatment == {np.minimum(c, t).min()}, must be at least 0")
    out = np.full((4, c.shape[1]), np.nan)
    kept = (np.minimum(c, t) > 0).all(axis=0)
    out[:, kept] = t_test(*_log_ratio(c[:, kept], t[:, kept]), level)
    lift, lo, hi = np.expm1(out[:3])
    return LiftByPeriod(lift, lo, hi, out[3], c.shape[0])


def _worlds(control: npt.ArrayLike, treatment: npt.ArrayLike, ndim: int) -> tuple[Floats, Floats]:
    c, t = np.asarray(control, dtype=np.float64), np.asarray(treatment, dtype=np.float64)
    wanted = "[W]" if ndim == 1 else "[W, T]"
    if c.ndim != ndim or c.shape != t.shape or c.shape[0] < 1:
        raise ValueError(f"control.shape == {c.shape}, must be {wanted} and equal to treatment's {t.shape}")
    if not (np.isfinite(c).all() and np.isfinite(t).all()):
        raise ValueError("control, treatment == nan or inf in a world, must be finite")
    return c, t


def _log_ratio(control: Floats, treatment: Floats) -> tuple[Floats, Floats]:
    """log(treatment / control), and the size of what it was computed from: the logarithms, and 1 for a ratio's bits."""
    least = np.minimum(control, treatment).min(initial=np.inf)
    if least <= 0:
        raise ValueError(f"control, treatment == {least}, must be positive (paired_difference takes any number)")
    c, t = np.log(control), np.log(treatment)
    size = np.maximum(np.maximum(np.abs(c), np.abs(t)), 1.0)
    return no_rounding(t - c, size), size


def t_test(d: Floats, size: Floats, level: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, interval and two-sided p over axis 0 of d [W, ...], each [...]; ``size`` is that of what d came from."""
    _check_level(level)
    worlds = d.shape[0]
    mean = d.mean(axis=0)
    if worlds == 1:
        unknown = np.full_like(mean, np.nan)
        return mean, unknown, unknown, unknown
    largest = size.max(axis=0)
    spread = spread_of(d, largest) / np.sqrt(worlds)
    mean = np.where(spread == 0, no_rounding(mean, largest), mean)
    tested = (spread > 0) | (mean == 0)
    half = np.where(tested, stats.t.ppf((1 + level) / 2, worlds - 1) * spread, np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        p = np.where(mean == 0, 1.0, 2 * stats.t.sf(np.abs(mean / spread), worlds - 1))
    return mean, mean - half, mean + half, np.where(tested, p, np.nan)


def _why_no_interval(effect: float, p: float, n_worlds: int) -> str:
    if not np.isnan(p):
        return ""
    if np.isnan(effect):
        return "a world in which an arm earned nothing has no lift"
    return "one world has no spread" if n_worlds == 1 else f"all {n_worlds} worlds show the same effect, without spread"


def _sign_flip(d: Floats) -> float:
    """Two-sided p of the mean under independent sign flips of d [W]; NaN below 8 worlds."""
    worlds = d.size
    if worlds < PERMUTATION_WORLDS:
        return float("nan")
    if worlds <= _EXACT_WORLDS:
        flips = (np.arange(1 << worlds)[:, None] >> np.arange(worlds)) & 1
    else:
        # A fixed seed: the same worlds must give the same p; the identity is counted as one of the flips.
        flips = np.random.default_rng(0).integers(2, size=(_SAMPLED_FLIPS, worlds))
        flips[0] = 1
    sums = np.abs((2 * flips - 1) @ d)
    # Flips that are equal on paper may differ in the last bit.
    return float(np.mean(sums >= np.abs(d.sum()) - 1e-12 * np.abs(d).sum()))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level == {level}, must be in (0, 1)")
