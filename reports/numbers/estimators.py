"""What a live test would say: lifts with intervals, always-valid looks, SRM, power; and how good an estimator is.

Letters: n units (users, blocks, campaigns), T looks. A lift is a ratio of two ratios, treatment over control, minus 1.
Intervals are on its logarithm: log lift +- t se, as in tea-tasting's `RatioOfMeans`, against which these are tested.
The se comes from the influence of every unit on the log lift, so that one formula serves users (delta method, S4),
blocks and campaigns, and users and campaigns at once. Numbers S.. are those of the design's list of formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from reports.numbers.rounding import Floats as Floats
from reports.numbers.rounding import near_one, no_rounding, spread_of

SRM_ALARM = 0.001
"""p below which the split of units is called broken (S9)."""


class Lift(NamedTuple):
    """A relative effect as a live test reports it; 0.1 is +10 %.

    Attributes:
        rel_effect: treatment / control - 1; NaN where an arm earned nothing.
        lo, hi: ends of its interval; NaN without a spread, unless the effect is 0.
        p: two-sided, for no effect; 1 without effect and spread, NaN without a spread alone.
        se: standard error of log(1 + rel_effect); exactly 0 where it is rounding alone (``reports.numbers.rounding``).
        n: units, both arms together.
    """

    rel_effect: float
    lo: float
    hi: float
    p: float
    se: float
    n: int

    @property
    def why_no_interval(self) -> str:
        """Why there is no interval; "" where there is one."""
        if not np.isnan(self.p):
            return ""
        if np.isnan(self.rel_effect):
            return "an arm has fewer than 2 units, or earned nothing"
        return "the units of each arm are all alike, without spread"


class Quality(NamedTuple):
    """How good an estimator is, over worlds in which the truth is known (S2).

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


def ratio_lift(
    numer: npt.ArrayLike,
    denom: npt.ArrayLike,
    arm: npt.ArrayLike,
    *,
    covariate: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    level: float = 0.95,
) -> Lift:
    """Lift of sum(numer) / sum(denom) by the delta method at the unit (S4), with CUPED if there is a covariate (S5).

    Args:
        numer: [n], e.g. a user's revenue.
        denom: [n], e.g. her requests; ones for a mean.
        arm: [n], 0 or 1.
        covariate: numerator and denominator of the same ratio from before the arms parted. The coefficient is pooled
            over arms; a covariate that is constant, up to rounding, or unknown of an arm changes nothing. Source: Deng
            et al., WSDM 2013.
        level: coverage of the interval.

    Returns:
        The lift; NaN throughout if an arm has fewer than 2 units or a ratio that is not positive and finite.

    Raises:
        ValueError: for shapes that differ.
    """
    y, m, a = np.asarray(numer, dtype=np.float64), np.asarray(denom, dtype=np.float64), np.asarray(arm)
    if not y.shape == m.shape == a.shape or y.ndim != 1:
        raise ValueError(f"numer.shape == {y.shape}, must be [n] and equal to those of denom and arm")
    sides = [a == 0, a == 1]
    if min(int(side.sum()) for side in sides) < 2:
        return _nothing(y.size)
    y, m = near_one(y), near_one(m)  # their units cancel
    ratio = np.array([_ratio(y[side], m[side]) for side in sides])
    if not _positive(ratio):
        return _nothing(y.size)
    values = [_linear(y[side], m[side]) for side in sides]
    sizes = [_size(y[side], m[side]) for side in sides]
    if covariate is not None:
        x, w = (np.asarray(part, dtype=np.float64) for part in covariate)
        if not x.shape == w.shape == y.shape:
            raise ValueError(f"covariate.shape == {x.shape}, must be that of numer, {y.shape}")
        x, w = near_one(x), near_one(w)
        theta = _theta(y, m, x, w) if all(w[side].any() for side in sides) else 0.0
        if theta:
            ratio = ratio - theta * (np.array([_ratio(x[side], w[side]) for side in sides]) - _ratio(x, w))
            values = [value - theta * _linear(x[side], w[side]) for value, side in zip(values, sides, strict=True)]
            sizes = [size + abs(theta) * _size(x[side], w[side]) for size, side in zip(sizes, sides, strict=True)]
    if not _positive(ratio):
        return _nothing(y.size)
    return from_influence(
        float(np.log(ratio[1] / ratio[0])),
        [value / r / value.size for value, r in zip(values, ratio, strict=True)],
        level,
        sizes=[size / r / value.size for size, value, r in zip(sizes, values, ratio, strict=True)],
    )


def _positive(ratio: Floats) -> bool:
    return bool((np.isfinite(ratio) & (ratio > 0)).all())


def _theta(y: Floats, m: Floats, x: Floats, w: Floats) -> float:
    """CUPED's coefficient: covariance over variance of the linear parts; 0 where the covariate has no variance."""
    of_x = _linear(x, w)
    if not spread_of(of_x, _size(x, w)) > 0:
        return 0.0
    return float(_linear(y, m) @ of_x / (of_x @ of_x))


def two_sided_lift(
    money: npt.ArrayLike,
    user: npt.ArrayLike,
    campaign: npt.ArrayLike,
    *,
    asked: npt.ArrayLike,
    side: npt.ArrayLike,
    requests: npt.ArrayLike,
    ads: npt.ArrayLike,
    level: float = 0.95,
) -> Lift:
    """Lift of a two-sided design: treated pairs against pairs with one treated side, money per (request, ad).

    With Q_ij the money of users on side i with ads on side j per request and ad, log lift = log Q_11 - (log Q_01 +
    log Q_10) / 2: the customer-side and the listing-side comparison, averaged (TSRI of arXiv 2104.12222 without its
    competition terms). The variance clusters by user and by campaign; their overlap is counted twice, on the safe side.

    Args:
        money: [rows], of each impression.
        user: [rows], index of the user.
        campaign: [rows], index of the campaign.
        asked: [U], the user's side.
        side: [C], the campaign's side.
        requests: [U], the user's requests.
        ads: [C], the campaign's ads.
        level: coverage of the interval.
    """
    paid = np.asarray(money, dtype=np.float64)
    who, whose = np.asarray(user), np.asarray(campaign)
    sides = (np.asarray(asked), np.asarray(side))
    sizes = (np.asarray(requests, dtype=np.float64), np.asarray(ads, dtype=np.float64))
    total = np.zeros((2, 2))
    np.add.at(total, (sides[0][who], sides[1][whose]), paid)
    mass = [np.array([size[s == i].sum() for i in (0, 1)]) for s, size in zip(sides, sizes, strict=True)]
    n = sides[0].size + sides[1].size
    if min(total[1, 1], total[0, 1], total[1, 0]) <= 0 or min(np.bincount(s, minlength=2).min() for s in sides) < 2:
        return _nothing(n)
    weight = np.array([[0.0, -0.5], [-0.5, 1.0]])
    log_q = np.log(np.where(weight != 0, total, 1.0)) - np.log(mass[0])[:, None] - np.log(mass[1])[None, :]
    influences, largest = [], []
    for unit, other, s, size, own_mass, w, t in (
        (who, sides[1][whose], sides[0], sizes[0], mass[0], weight, total),
        (whose, sides[0][who], sides[1], sizes[1], mass[1], weight.T, total.T),
    ):
        of_unit = np.zeros((s.size, 2))
        np.add.at(of_unit, (unit, other), paid)
        # d log Q_ij = the unit's share of the money - its share of the requests (or ads)
        earned, held = of_unit / np.where(w[s] != 0, t[s], 1.0), (size / own_mass[s])[:, None]
        effect = (w[s] * (earned - held)).sum(axis=1)
        influences += [effect[s == 0], effect[s == 1]]
        parts = (np.abs(w[s]) * np.maximum(earned, held)).max(axis=1)
        largest += [float(parts[s == 0].max()), float(parts[s == 1].max())]
    return from_influence(float((weight * log_q).sum()), influences, level, sizes=largest)


def from_influence(
    log_effect: float, influences: Sequence[Floats], level: float = 0.95, *, sizes: Sequence[float] | None = None
) -> Lift:
    """A lift from its logarithm and the first-order change of that logarithm by every unit.

    Args:
        log_effect: log of treatment over control.
        influences: one array per group of independent units; groups are independent. Degrees of freedom are Welch's.
        level: coverage of the interval.
        sizes: per group, the largest magnitude of the terms that its influences are differences of; below their
            rounding an influence has no spread. By default that of an average unit, 1 / size.
    """
    counts = np.array([one.size for one in influences])
    scales = 1 / counts if sizes is None else np.asarray(sizes)
    spread = [one.size > 1 and bool(spread_of(one, size) > 0) for one, size in zip(influences, scales, strict=True)]
    variances = np.array(
        [one.size * one.var(ddof=1) if has else 0.0 for one, has in zip(influences, spread, strict=True)]
    )
    se = float(np.sqrt(variances.sum()))
    n = int(counts.sum())
    if se == 0:
        return _without_spread(float(no_rounding(log_effect, 1.0)), n)
    freedom = variances.sum() ** 2 / (variances**2 / (counts - 1)).sum()
    half = stats.t.ppf((1 + level) / 2, freedom) * se
    p = 2 * stats.t.sf(abs(log_effect) / se, freedom)
    lo, hi = (float(np.expm1(log_effect + sign * half)) for sign in (-1, 1))
    return Lift(float(np.expm1(log_effect)), lo, hi, float(p), se, n)


def _without_spread(log_effect: float, n: int) -> Lift:
    """No effect is no effect; of any other effect nobody can say how sure it is."""
    unknown = float("nan")
    return (
        Lift(0.0, 0.0, 0.0, 1.0, 0.0, n)
        if log_effect == 0
        else Lift(float(np.expm1(log_effect)), *(unknown,) * 3, 0.0, n)
    )


def bootstrap_lift(
    numer: npt.ArrayLike,
    denom: npt.ArrayLike,
    arm: npt.ArrayLike,
    *,
    replicates: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> tuple[float, float]:
    """BCa interval of a ratio's lift over resampled units, for heavy tails (S12); the rest as :func:`ratio_lift`.

    NaN where there is nothing to resample: fewer than 2 units in an arm, no money, or no spread.
    """
    if not ratio_lift(numer, denom, arm).se > 0:
        return float("nan"), float("nan")
    y, m, a = np.asarray(numer, dtype=np.float64), np.asarray(denom, dtype=np.float64), np.asarray(arm)

    def lift(control: npt.NDArray[Any], treatment: npt.NDArray[Any], axis: int = -1) -> Floats:
        # What is resampled are row numbers, which keeps a unit's numerator and denominator together.
        rows = (side.astype(np.intp) for side in (control, treatment))
        c, t = (y[of].sum(axis=axis) / m[of].sum(axis=axis) for of in rows)
        return np.asarray(t / c - 1)

    groups = (np.flatnonzero(a == 0), np.flatnonzero(a == 1))
    found = stats.bootstrap(
        groups, lift, n_resamples=replicates, vectorized=True, batch=200, method="BCa", confidence_level=level, rng=rng
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def winsorised(values: npt.ArrayLike, before: npt.ArrayLike, quantile: float = 0.99) -> Floats:
    """Values capped at a quantile of the same measure from before the arms parted (S12): no arm moves the cap.

    Without anything from before there is no cap.
    """
    if not np.size(before):
        return np.asarray(values, dtype=np.float64)
    return np.minimum(np.asarray(values, dtype=np.float64), np.quantile(np.asarray(before, dtype=np.float64), quantile))


def always_valid_p(effect: npt.ArrayLike, se: npt.ArrayLike, tau: float) -> Floats:
    """p values that may be looked at after every batch: the mixture sequential probability ratio test (S7).

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
    """Half width of an interval that holds at all looks at once (S8), arXiv 2103.06476, theorem 2.2.

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


def srm(counts: Sequence[int], weights: Sequence[float]) -> float:
    """p of a sample ratio mismatch: chi-square of the units' counts against the configured weights (S9).

    NaN without units.
    """
    share = np.asarray(weights, dtype=np.float64)
    if len(counts) != share.size or not (share > 0).all():
        raise ValueError(f"weights == {list(weights)}, must be positive, one for each of {len(counts)} counts")
    if not np.sum(counts):
        return float("nan")
    return float(stats.chisquare(counts, share / share.sum() * np.sum(counts)).pvalue)


def power_of(log_effect: npt.ArrayLike, se: npt.ArrayLike, alpha: float = 0.05) -> Floats:
    """Chance that a two-sided z test finds an effect of that size with that standard error (S10); NaN where it is 0."""
    known = np.where(np.asarray(se, dtype=np.float64) > 0, se, np.nan)
    z, ahead = special.ndtri(1 - alpha / 2), np.abs(np.asarray(log_effect)) / known
    return np.asarray(special.ndtr(ahead - z) + special.ndtr(-ahead - z))


def units_needed(log_effect: float, se: float, units: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Units that bring a design's power to ``power``: (z_(1-alpha/2) + z_power)^2 se^2 units / effect^2 (S10).

    Args:
        log_effect: the effect to be found, as a log ratio, not 0.
        se: standard error with ``units`` units.
        units: what se was measured with: users, days, worlds.
        power: wanted.
        alpha: of the test.

    Returns:
        NaN where ``se`` is 0 or unknown: what does not vary cannot say how much more of it is needed.
    """
    if not log_effect:
        raise ValueError(f"log_effect == {log_effect}, must differ from 0")
    if not se > 0:
        return float("nan")
    z = special.ndtri(1 - alpha / 2) + special.ndtri(power)
    return float(units * (z * se / log_effect) ** 2)


def worlds_needed(
    log_effect: float, sd: float, power: float = 0.8, alpha: float = 0.05, most: int = 100_000
) -> int | None:
    """Fewest paired worlds whose t test finds the effect with that power, by the noncentral t; ``most`` if more.

    Args:
        log_effect: the effect, as a log ratio, not 0.
        sd: of the worlds' log ratios, > 0.
        power: wanted.
        alpha: of the test.
        most: where the search ends.

    Returns:
        None where ``sd`` is 0 or unknown.
    """
    if not log_effect:
        raise ValueError(f"log_effect == {log_effect}, must differ from 0")
    if not sd > 0:
        return None
    low, high = 2, 2
    while high < most and _t_power(log_effect, sd, high, alpha) < power:
        low, high = high, min(2 * high, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _t_power(log_effect, sd, middle, alpha) >= power else (middle + 1, high)
    return high


def _t_power(log_effect: float, sd: float, worlds: int, alpha: float) -> float:
    freedom, ahead = worlds - 1, abs(log_effect) / sd * np.sqrt(worlds)
    critical = stats.t.ppf(1 - alpha / 2, freedom)
    # Far out the noncentral t underflows, where the power is 1.
    return 1.0 if ahead > critical + 10 else float(stats.nct.sf(critical, freedom, ahead))


def quality(estimate: npt.ArrayLike, lo: npt.ArrayLike, hi: npt.ArrayLike, truth: npt.ArrayLike) -> Quality:
    """Bias, spread, coverage and sign errors of an estimator over worlds (S2); worlds without an estimate are left out.

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


def _ratio(numer: Floats, denom: Floats) -> float:
    total = float(denom.sum())
    return float(numer.sum()) / total if total else float("nan")


def _linear(numer: Floats, denom: Floats) -> Floats:
    """The linear part of a ratio of sums, unit by unit: (Y - R N) / mean(N)."""
    return np.asarray((numer - _ratio(numer, denom) * denom) / denom.mean())


def _size(numer: Floats, denom: Floats) -> float:
    """Largest magnitude of the two terms of :func:`_linear`, which cancel where the ratio is the same for all."""
    return float(np.maximum(np.abs(numer), np.abs(_ratio(numer, denom) * denom)).max() / abs(denom.mean()))


def _nothing(n: int) -> Lift:
    return Lift(*(float("nan"),) * 5, n)
