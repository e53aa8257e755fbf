"""What a live test would say: the lift of a ratio with its interval, from every unit's influence on it.

Letters: n units (users, blocks, campaigns). A lift is a ratio of two ratios, treatment over control, minus 1.
Intervals are on its logarithm: log lift +- t se, as in tea-tasting's `RatioOfMeans`, against which these are tested.
The se comes from the influence of every unit on the log lift, so that one formula serves users (the delta method),
blocks and campaigns, and users and campaigns at once (docs/formulas.md 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.rounding import Floats as Floats
from reports.numbers.rounding import near_one, no_rounding, spread_of


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


def ratio_lift(
    numer: npt.ArrayLike,
    denom: npt.ArrayLike,
    arm: npt.ArrayLike,
    *,
    covariate: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    level: float = 0.95,
) -> Lift:
    """Lift of sum(numer) / sum(denom) by the delta method at the unit, with CUPED if there is a covariate.

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


def winsorised(values: npt.ArrayLike, before: npt.ArrayLike, quantile: float = 0.99) -> Floats:
    """Values capped at a quantile of the same measure from before the arms parted: no arm moves the cap.

    Without anything from before there is no cap.
    """
    if not np.size(before):
        return np.asarray(values, dtype=np.float64)
    return np.minimum(np.asarray(values, dtype=np.float64), np.quantile(np.asarray(before, dtype=np.float64), quantile))


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
