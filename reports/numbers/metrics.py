"""Measures of one arm in one world: prediction, calibration, retrieval, latency quantiles. Arrays in, numbers out.

Letters: n rows of a log, R requests, K candidates, A ads. ``label`` is 0 or 1 per row. A measure that its data do not
define (AUC of one class, PCOC without a click) is NaN, never an error, because slices may be empty; wrong input is a
ValueError.

``auc_by_weight`` and its sisters sort once and then answer for any row weights: the user bootstrap of
``reports.numbers.statistics`` calls them a thousand times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
ByWeight = Callable[[npt.ArrayLike], float]
"""A measure of fixed scores and labels as a function of the weight of each row, float [n]."""

CLIP = 1e-7
"""Predictions are kept this far from 0 and 1 before their log is taken."""

_BLOCK = 1 << 22
"""Pairs compared at a time by ``kendall_tau_b``: about 30 MB of temporaries."""


class Gauc(NamedTuple):
    """AUC within groups.

    Attributes:
        value: mean of the groups' AUC, weighted by their rows (impressions); NaN if no group has both classes.
        covered: share of all rows that lie in groups with both classes, in [0, 1]; NaN without rows.
    """

    value: float
    covered: float


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


# --- Prediction ---


def auc(score: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Area under the ROC curve, pooled over rows: P(a positive outscores a negative), ties count 0.5.

    Args:
        score: real [n], any monotone scale; infinities are allowed.
        label: 0 or 1 [n].

    Returns:
        AUC in [0, 1]; NaN unless both classes are present.

    Raises:
        ValueError: if shapes differ, a score is NaN or a label is not 0 or 1.
    """
    return auc_by_weight(score, label)(np.ones(np.size(score)))


def gauc(score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike) -> Gauc:
    """AUC per group, averaged with the groups' rows as weights; groups with one class are dropped (DIN, 1706.06978).

    Args:
        score: real [n].
        label: 0 or 1 [n].
        group: [n], the user or the request of each row.

    Returns:
        The mean and the share of rows that it covers.

    Raises:
        ValueError: as ``auc``.
    """
    pairs = _compare(score, label, group)
    return _mean_auc(pairs, np.ones(pairs.group.size))


def auc_by_weight(score: npt.ArrayLike, label: npt.ArrayLike) -> ByWeight:
    """``auc`` of these rows as a function of their weights; sorts once.

    Args:
        score: real [n].
        label: 0 or 1 [n].

    Returns:
        Function of weights [n] >= 0 (multiplicities of a bootstrap) to the weighted AUC.

    Raises:
        ValueError: as ``auc``.
    """
    return gauc_by_weight(score, label, np.zeros(np.size(score), dtype=np.int64))


def gauc_by_weight(score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike) -> ByWeight:
    """``gauc(...).value`` of these rows as a function of their weights; bind ``group`` with ``functools.partial``.

    Args:
        score: real [n].
        label: 0 or 1 [n].
        group: [n].

    Returns:
        Function of weights [n] >= 0 to the weighted GAUC.

    Raises:
        ValueError: as ``auc``.
    """
    pairs = _compare(score, label, group)
    return lambda weight: _mean_auc(pairs, np.asarray(weight, dtype=np.float64)).value


class _Pairs(NamedTuple):
    """Which negatives each positive beats, as positions in the negatives ordered by (group, score).

    ``below``, ``upto`` and ``first`` are [positives]: how many negatives come before it, how many come before it or tie
    with it, and how many belong to earlier groups.
    """

    positive: Ints
    negative: Ints
    below: Ints
    upto: Ints
    first: Ints
    group: Ints


def _compare(score: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike) -> _Pairs:
    s, y = _rows(score, label)
    g = np.unique(np.asarray(group), return_inverse=True)[1].astype(np.int64)
    if g.shape != s.shape:
        raise ValueError(f"group.shape == {g.shape}, must be the scores' {s.shape}")
    order = np.lexsort((s, g))
    s, g_sorted, y = s[order], g[order], y[order]
    new = np.ones(s.size, dtype=np.bool_)
    new[1:] = (s[1:] != s[:-1]) | (g_sorted[1:] != g_sorted[:-1])
    key = np.cumsum(new)
    return _Pairs(
        positive=order[y],
        negative=order[~y],
        below=np.searchsorted(key[~y], key[y], side="left"),
        upto=np.searchsorted(key[~y], key[y], side="right"),
        first=np.searchsorted(g_sorted[~y], g_sorted[y], side="left"),
        group=g,
    )


def _mean_auc(pairs: _Pairs, weight: Floats) -> Gauc:
    if weight.shape != pairs.group.shape:
        raise ValueError(f"weight.shape == {weight.shape}, must be the scores' {pairs.group.shape}")
    w_pos, w_neg = weight[pairs.positive], weight[pairs.negative]
    lost = np.concatenate([[0.0], np.cumsum(w_neg)])
    wins = w_pos * ((lost[pairs.below] + lost[pairs.upto]) / 2 - lost[pairs.first])
    groups = int(pairs.group.max(initial=-1)) + 1
    g_pos, g_neg = pairs.group[pairs.positive], pairs.group[pairs.negative]
    positives = np.bincount(g_pos, w_pos, minlength=groups)
    negatives = np.bincount(g_neg, w_neg, minlength=groups)
    won = np.bincount(g_pos, wins, minlength=groups)
    rows = positives + negatives
    kept = (positives > 0) & (negatives > 0)
    if not kept.any():
        return Gauc(float("nan"), 0.0 if rows.sum() > 0 else float("nan"))
    per_group = won[kept] / (positives[kept] * negatives[kept])
    return Gauc(float(np.average(per_group, weights=rows[kept])), float(rows[kept].sum() / rows.sum()))


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
    return _mean(_surprise(*_predictions(p, label)))


def logloss_by_weight(p: npt.ArrayLike, label: npt.ArrayLike) -> ByWeight:
    """``logloss`` of these rows as a function of their weights.

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].

    Returns:
        Function of weights [n] >= 0 to the weighted log loss; NaN where the weights sum to 0.

    Raises:
        ValueError: as ``logloss``.
    """
    surprise = _surprise(*_predictions(p, label))

    def weighted(weight: npt.ArrayLike) -> float:
        w = np.asarray(weight, dtype=np.float64)
        if w.shape != surprise.shape:
            raise ValueError(f"weight.shape == {w.shape}, must be the predictions' {surprise.shape}")
        return _ratio(float(w @ surprise), float(w.sum()))

    return weighted


def normalised_entropy(p: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Log loss over the entropy of the base rate; 1 means no better than always predicting it (He et al., ADKDD 2014).

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].

    Returns:
        NE >= 0; NaN unless both classes are present.

    Raises:
        ValueError: as ``logloss``.
    """
    probability, y = _predictions(p, label)
    base = _mean(y)
    return _ratio(_mean(_surprise(probability, y)), float(stats.entropy([base, 1 - base])) if 0 < base < 1 else 0.0)


def _surprise(p: Floats, y: Flags) -> Floats:
    kept = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(-np.log(np.where(y, kept, 1 - kept)))


# --- Calibration ---


def pcoc(p: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Predicted over observed clicks, ``sum p / sum y`` (S15); 1 is calibrated, above 1 is too confident.

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].

    Returns:
        PCOC >= 0; NaN without a positive.

    Raises:
        ValueError: as ``logloss``.
    """
    probability, y = _predictions(p, label)
    return _ratio(float(probability.sum()), float(y.sum()))


def ece(p: npt.ArrayLike, label: npt.ArrayLike, bins: int = 20) -> float:
    """Expected calibration error: mean over rows of |mean p - mean y| of the row's equal-mass bin.

    Args:
        p: probabilities [n].
        label: 0 or 1 [n].
        bins: at most this many bins; rows with equal predictions stay together.

    Returns:
        ECE in [0, 1]; NaN without rows.

    Raises:
        ValueError: as ``logloss``, or if ``bins < 1``.
    """
    curve = reliability(p, label, bins=bins)
    return _ratio(float(curve.n @ np.abs(curve.p - curve.y)), float(curve.n.sum()))


def reliability(
    p: npt.ArrayLike, label: npt.ArrayLike, true_p: npt.ArrayLike | None = None, bins: int = 10
) -> Reliability:
    """Reliability curve in equal-mass bins (S15), also against the true probability where a world knows it.

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
    probability, y = _predictions(p, label)
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


# --- Retrieval ---


def recall_at_k(
    candidates: npt.ArrayLike, value: npt.ArrayLike, eligible: npt.ArrayLike, k: int | None = None
) -> Floats:
    """Share of the k eligible ads of greatest value that retrieval found, per request (S16).

    Args:
        candidates: int [R, K], ad ids; -1 pads are ignored, and so are repeats.
        value: real [R, A], what each ad is worth to each request, e.g. bid x true click rate.
        eligible: bool [A] (or [R, A]), may compete; others are in no top-k.
        k: size of the top; K where not given. Ties at its edge go to the lowest ids. With fewer eligible ads than k,
            the top is all of them.

    Returns:
        float64 [R] in [0, 1]; NaN where nothing is eligible.

    Raises:
        ValueError: if shapes disagree, an id is out of range, k < 1, or the value of an eligible ad is not finite.
    """
    found, worth, allowed = _retrieved(candidates, value, eligible)
    top = _top(worth, allowed, np.shape(candidates)[1] if k is None else k)
    return _rowwise_ratio((found & top).sum(axis=1), top.sum(axis=1))


def captured(candidates: npt.ArrayLike, value: npt.ArrayLike, eligible: npt.ArrayLike) -> Floats:
    """Value of the eligible ads retrieved over the most that K ads could be worth, per request (models.md 7.2).

    Args:
        candidates: int [R, K], ad ids; -1 pads are ignored, and so are repeats.
        value: real [R, A] >= 0.
        eligible: bool [A] (or [R, A]).

    Returns:
        float64 [R] in [0, 1]; NaN where the best possible is 0.

    Raises:
        ValueError: as ``recall_at_k``, or if the value of an eligible ad is negative.
    """
    found, worth, allowed = _retrieved(candidates, value, eligible)
    if (worth[allowed] < 0).any():
        raise ValueError(f"value == {worth[allowed].min()}, must be at least 0")
    top = _top(worth, allowed, np.shape(candidates)[1])
    got, best = (np.where(ads, worth, 0.0).sum(axis=1) for ads in (found & allowed, top))
    return np.minimum(_rowwise_ratio(got, best), 1.0)  # ties summed in another order may exceed 1 by a rounding


def _retrieved(candidates: npt.ArrayLike, value: npt.ArrayLike, eligible: npt.ArrayLike) -> tuple[Flags, Floats, Flags]:
    """Checked input: bool [R, A] retrieved, float64 [R, A] value, bool [R, A] eligible."""
    ids, worth = np.asarray(candidates), np.asarray(value, dtype=np.float64)
    if ids.ndim != 2 or worth.ndim != 2 or len(ids) != len(worth) or ids.shape[1] == 0:
        raise ValueError(f"candidates.shape == {ids.shape}, must be [R, K] beside value [R, A] of {worth.shape}")
    if ids.size and not (ids.min() >= -1 and ids.max() < worth.shape[1]):
        raise ValueError(f"candidates == {ids.min()}..{ids.max()}, must be -1 or an ad below {worth.shape[1]}")
    flags = np.asarray(eligible, dtype=np.bool_)
    if flags.shape not in ((worth.shape[1],), worth.shape):
        raise ValueError(f"eligible.shape == {flags.shape}, must be {(worth.shape[1],)} or {worth.shape}")
    allowed = np.broadcast_to(flags, worth.shape)
    if not np.isfinite(worth[allowed]).all():
        raise ValueError("value == nan or inf at an eligible ad, must be finite")
    # One column more than ads: pads (-1) mark it, and it is cut off.
    found = np.zeros((len(ids), worth.shape[1] + 1), dtype=np.bool_)
    np.put_along_axis(found, np.where(ids < 0, worth.shape[1], ids), True, axis=1)
    return found[:, :-1], worth, allowed


def _top(value: Floats, allowed: Flags, k: int) -> Flags:
    """Flags [R, A]: the k allowed ads of greatest value, ties at the edge to the lowest ids."""
    if k < 1:
        raise ValueError(f"k == {k}, must be at least 1")
    ads = value.shape[1]
    if k >= ads:
        return allowed
    worth = np.where(allowed, value, -np.inf)
    edge = np.partition(worth, ads - k, axis=1)[:, ads - k, None]
    above, tied = worth > edge, worth == edge
    room = k - above.sum(axis=1, keepdims=True)
    return np.asarray((above | (tied & (np.cumsum(tied, axis=1) <= room))) & allowed)


def kendall_tau_b(x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """Kendall's tau-b of each row, by comparing all pairs in blocks of bounded memory (S16).

    Args:
        x: real [R, n].
        y: real [R, n]. A NaN in either leaves that entry out of its row, so short rows can be padded.

    Returns:
        float64 [R] in [-1, 1]; NaN where a row of ``x`` or ``y`` is constant.

    Raises:
        ValueError: if the shapes are not two equal [R, n].
    """
    a, b = np.asarray(x), np.asarray(y)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"x.shape == {a.shape}, must be [R, n] and equal to y's {b.shape}")
    rows, n = a.shape
    # An entry absent from both sides compares as a tie on both, and such pairs count nowhere in tau-b.
    absent = np.isnan(a) | np.isnan(b)
    a, b = np.where(absent, np.nan, a), np.where(absent, np.nan, b)
    step, left = max(1, _BLOCK // max(1, n * n)), max(1, _BLOCK // max(1, n))
    agree, untied_x, untied_y = (np.zeros(rows, dtype=np.int64) for _ in range(3))
    for r in range(0, rows, step):
        block = slice(r, r + step)
        for i in range(0, n, left):
            sx, sy = _order(a[block], slice(i, i + left)), _order(b[block], slice(i, i + left))
            agree[block] += (sx * sy).sum(axis=(1, 2), dtype=np.int64)
            untied_x[block] += np.count_nonzero(sx, axis=(1, 2))
            untied_y[block] += np.count_nonzero(sy, axis=(1, 2))
    return _rowwise_ratio(agree, np.sqrt(untied_x.astype(np.float64) * untied_y))


def _order(x: npt.NDArray[Any], left: slice) -> npt.NDArray[np.int8]:
    """int8 [r, left, n]: 1 where the left entry is the greater, -1 where it is the less, 0 at ties and NaN."""
    i, j = x[:, left, None], x[:, None, :]
    return np.asarray((i > j).view(np.int8) - (i < j).view(np.int8))


# --- Distributions ---


def quantile_ci(samples: npt.ArrayLike, q: float, level: float = 0.95) -> QuantileCI:
    """Sample quantile with a distribution-free interval from two order statistics (S17).

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


def gini(x: npt.ArrayLike) -> float:
    """Gini coefficient: 0 where all have the same, towards 1 where one has all.

    Args:
        x: real [n] >= 0, e.g. impressions per ad.

    Returns:
        Gini in [0, 1 - 1/n]; NaN where the sum is 0.

    Raises:
        ValueError: if an entry is negative or NaN.
    """
    v = np.sort(np.asarray(x, dtype=np.float64).ravel())
    if not (v >= 0).all():
        raise ValueError(f"x == {v.min()}, must be at least 0")
    n = v.size
    return _ratio(float((2 * np.arange(1, n + 1) - n - 1) @ v), n * float(v.sum()))


# --- Input ---


def _rows(score: npt.ArrayLike, label: npt.ArrayLike) -> tuple[npt.NDArray[Any], Flags]:
    s, y = np.asarray(score), np.asarray(label)
    if s.ndim != 1 or s.shape != y.shape:
        raise ValueError(f"score.shape == {s.shape}, must be [n] and equal to the labels' {y.shape}")
    if np.isnan(s).any():
        raise ValueError(f"score == nan in {int(np.isnan(s).sum())} rows, must be a number")
    if y.dtype != np.bool_ and not ((y == 0) | (y == 1)).all():
        raise ValueError(f"label == {y[(y != 0) & (y != 1)][0]}, must be 0 or 1")
    return s, y.astype(np.bool_)


def _predictions(p: npt.ArrayLike, label: npt.ArrayLike) -> tuple[Floats, Flags]:
    s, y = _rows(p, label)
    probability = s.astype(np.float64)
    outside = (probability < 0) | (probability > 1)
    if outside.any():
        raise ValueError(f"p == {probability[outside][0]}, must be in [0, 1]")
    return probability, y


def _mean(x: npt.NDArray[Any]) -> float:
    return _ratio(float(x.sum()), float(x.size))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole != 0 else float("nan")


def _rowwise_ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    """float64 [R]: part / whole, NaN where the whole is 0."""
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole != 0)
    return out
