"""From worlds to claims: paired effects with intervals, many-claims corrections, the plateau light, the user bootstrap.

Letters: W worlds, T periods (days), n rows of a log. The world is the unit: both arms live through the same world
under common keys, so every effect is a difference within a world and the worlds are the independent repeats
(formulas S1, S6, S13). One world shows an effect but no uncertainty: its interval and p are NaN. So do worlds that all
show the same effect, unless it is none (``reports.numbers.rounding``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.rounding import Floats as Floats
from reports.numbers.rounding import no_rounding, spread_of

WeightedMetric = Callable[[npt.ArrayLike, npt.ArrayLike], Callable[[npt.ArrayLike], float]]
"""(scores [n], labels [n]) -> (weights [n] -> measure), e.g. ``reports.numbers.metrics.auc_by_weight``."""

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


class Plateau(NamedTuple):
    """Whether a learning curve is flat: neither improving nor worsening.

    Attributes:
        change: relative change of the last quarter's mean against the quarter before it, mean over worlds; its sign is
            the measure's own (a log loss that still improves has a negative change).
        lo: lower end of the 95 % t interval of ``change``; NaN without a spread over worlds.
        hi: upper end; NaN likewise.
        rising: improving by more than the tolerance, and (where there is an interval) surely improving at all.
        worsening: the same to the other side.
    """

    change: float
    lo: float
    hi: float
    rising: bool
    worsening: bool


class PairedBootstrap(NamedTuple):
    """Difference of a measure between two score columns on the same rows.

    Attributes:
        diff: treatment - control on the rows as they are.
        lo: lower end of the percentile interval over resampled units; NaN if no replicate defines the measure, or if
            all give the same effect and it is not 0 (one unit, for example).
        hi: upper end.
        p: two-sided, from the share of replicates on the far side of 0; never below 2 / (replicates + 1); NaN where
            there is no interval.
        replicates: replicates that define the measure (a resample may hold one class only).
    """

    diff: float
    lo: float
    hi: float
    p: float
    replicates: int


def paired_lift(control: npt.ArrayLike, treatment: npt.ArrayLike, level: float = 0.95) -> PairedLift:
    """Relative effect over paired worlds: t on log ratios (S1, S6). For measures > 0, such as money and counts.

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
    mean, lo, hi, p = (float(x) for x in _t_test(d, size, level))
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
    """Absolute effect over paired worlds (S6). For measures that may be 0 or negative, or that are read as points.

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
    mean, lo, hi, p = (float(x) for x in _t_test(d, size, level))
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
    out[:, kept] = _t_test(*_log_ratio(c[:, kept], t[:, kept]), level)
    lift, lo, hi = np.expm1(out[:3])
    return LiftByPeriod(lift, lo, hi, out[3], c.shape[0])


def holm(p: npt.ArrayLike) -> Floats:
    """Holm's adjusted p-values, for claims: the chance of any false claim stays under alpha (S13).

    Args:
        p: [m] in [0, 1]; NaN marks a test that was not done: it stays NaN and is not counted.

    Returns:
        float64 [m].

    Raises:
        ValueError: if a p is outside [0, 1].
    """
    values, tested = _p_values(p)
    order = np.argsort(values[tested], kind="stable")
    m = order.size
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(values[tested][order] * np.arange(m, 0, -1))
    return _among(tested, np.minimum(adjusted, 1.0))


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Benjamini-Hochberg adjusted p-values, for segments and ablations: bounds the false share of finds (S13).

    Args:
        p: [m] in [0, 1]; NaN stays NaN and is not counted.

    Returns:
        float64 [m].

    Raises:
        ValueError: if a p is outside [0, 1].
    """
    values, tested = _p_values(p)
    found = stats.false_discovery_control(values[tested], method="bh") if tested.any() else values[tested]
    return _among(tested, np.asarray(found, dtype=np.float64))


def plateau(series: npt.ArrayLike, higher_is_better: bool, tolerance: float = 0.01) -> Plateau:
    """Compares the last quarter of a learning curve with the quarter before it, paired over worlds.

    Args:
        series: [W, T], T >= 2, the measure at equal steps of simulated time; a quarter is T // 4 points, at least 1.
        higher_is_better: False for log loss.
        tolerance: relative improvement that is still called flat, >= 0.

    Returns:
        The relative change and whether the curve still improves, or worsens.

    Raises:
        ValueError: if the shape is not [W, T >= 2], a value is not finite, the earlier quarter averages 0 in a world
            (no relative change exists), or the tolerance is negative.
    """
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 2:
        raise ValueError(f"series.shape == {x.shape}, must be [W, T] with a world and at least 2 points")
    if not np.isfinite(x).all():
        raise ValueError("series == nan or inf, must be finite")
    if not tolerance >= 0:
        raise ValueError(f"tolerance == {tolerance}, must be at least 0")
    quarter = max(1, x.shape[1] // 4)
    last, before = x[:, -quarter:].mean(axis=1), x[:, -2 * quarter : -quarter].mean(axis=1)
    if (before == 0).any():
        raise ValueError("series == 0 in a world's last quarter but one, must differ from 0")
    found = no_rounding((last - before) / np.abs(before), 1.0)
    change, lo, hi, _ = (float(v) for v in _t_test(found, np.maximum(np.abs(found), 1.0), 0.95))
    return Plateau(change, lo, hi, *moved(change, lo, hi, higher_is_better, tolerance))


def moved(change: float, lo: float, hi: float, higher_is_better: bool, tolerance: float) -> tuple[bool, bool]:
    """Whether a relative change is an improvement, and whether it is a worsening, beyond what is still called flat.

    Args:
        change: mean over worlds.
        lo: lower end of its interval. Without one (one world, or the same change in all) the change itself decides.
        hi: upper end.
        higher_is_better: False for log loss.
        tolerance: relative change that is still called flat, >= 0.
    """
    up, down = change > tolerance and not lo <= 0, change < -tolerance and not hi >= 0
    return (up, down) if higher_is_better else (down, up)


def paired_bootstrap(
    metric: WeightedMetric,
    control_scores: npt.ArrayLike,
    treatment_scores: npt.ArrayLike,
    label: npt.ArrayLike,
    unit: npt.ArrayLike,
    replicates: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> PairedBootstrap:
    """Percentile bootstrap of treatment - control over whole units, both arms on the same resample.

    A resample is a multiplicity per unit, handed to the metric as row weights: nothing is sorted or copied again.

    Args:
        metric: e.g. ``metrics.auc_by_weight``, ``metrics.logloss_by_weight``.
        control_scores: [n].
        treatment_scores: [n], for the same rows.
        label: 0 or 1 [n].
        unit: [n], what is resampled: the user (or the day) of each row, never the row itself.
        replicates: number of resamples, >= 1.
        rng: source of the resamples.
        level: coverage of the interval.

    Returns:
        Difference, interval and p; scores that are as good, up to rounding, give exactly 0, [0, 0] and 1.

    Raises:
        ValueError: if there is no row, shapes differ, ``replicates < 1`` or ``level`` is outside (0, 1).
    """
    units, code = np.unique(np.asarray(unit), return_inverse=True)
    if units.size == 0 or code.shape != np.shape(label):
        raise ValueError(f"unit.shape == {np.shape(unit)}, must be the labels' {np.shape(label)} and not empty")
    if replicates < 1:
        raise ValueError(f"replicates == {replicates}, must be at least 1")
    _check_level(level)
    control, treatment = metric(control_scores, label), metric(treatment_scores, label)

    def difference(weight: Floats) -> float:
        return treatment(weight) - control(weight)

    def resample() -> Floats:
        drawn = rng.integers(units.size, size=units.size)
        return np.bincount(drawn, minlength=units.size).astype(np.float64)[code]

    draws = np.array([difference(resample()) for _ in range(replicates)])
    return from_draws(difference(np.ones(code.size)), draws, level)


def multiplicities(units: int, replicates: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """How often each of ``units`` is drawn in each resample of as many, uint8 [replicates, units].

    Draw once and hand to the metrics of several models: their differences are paired then.

    Raises:
        ValueError: if a number is below 1.
    """
    if units < 1 or replicates < 1:
        raise ValueError(f"units, replicates == {units}, {replicates}, must be at least 1")
    drawn = [np.bincount(rng.integers(units, size=units), minlength=units) for _ in range(replicates)]
    return np.minimum(drawn, 255).astype(np.uint8)


def from_draws(diff: float, draws: Floats, level: float = 0.95, size: float = 1.0) -> PairedBootstrap:
    """Percentile interval and two-sided p of an effect from its values on the resamples.

    Args:
        diff: the effect on the whole.
        draws: [replicates], the effect on each resample; NaN where it does not exist.
        level: coverage of the interval.
        size: magnitude of the measures that the effect is a difference of; below its rounding an effect is 0.
    """
    diff = float(no_rounding(diff, size))
    draws = no_rounding(draws[~np.isnan(draws)], size)
    if draws.size == 0 or (np.any(draws) and not no_rounding(np.ptp(draws), size)):
        return PairedBootstrap(diff, float("nan"), float("nan"), float("nan"), draws.size)
    lo, hi = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    beyond = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return PairedBootstrap(diff, float(lo), float(hi), min(1.0, 2 * (beyond + 1) / (draws.size + 1)), draws.size)


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


def _t_test(d: Floats, size: Floats, level: float) -> tuple[Floats, Floats, Floats, Floats]:
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


def _p_values(p: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    values = np.asarray(p, dtype=np.float64)
    outside = (values < 0) | (values > 1)
    if values.ndim != 1 or outside.any():
        raise ValueError(f"p == {values[outside]}, must be [m] in [0, 1]")
    return values, ~np.isnan(values)


def _among(tested: npt.NDArray[Any], adjusted: Floats) -> Floats:
    out = np.full(tested.shape, np.nan)
    out[tested] = adjusted
    return out
