"""Does the score tell positives from negatives: AUC over all rows, and within groups (docs/formulas.md 13).

Letters: n rows of a log. ``label`` is 0 or 1 per row. AUC of one class is NaN, never an error, because slices may be
empty; wrong input is a ValueError.

``auc_by_weight`` and its sister sort once and then answer for any row weights: a bootstrap over users calls them
hundreds of times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.numbers.labelled import Ints, rows_of
from reports.numbers.rounding import Floats

ByWeight = Callable[[npt.ArrayLike], float]
"""A measure of fixed scores and labels as a function of the weight of each row, float [n]."""


class Gauc(NamedTuple):
    """AUC within groups.

    Attributes:
        value: mean of the groups' AUC, weighted by their rows (impressions); NaN if no group has both classes.
        covered: share of all rows that lie in groups with both classes, in [0, 1]; NaN without rows.
    """

    value: float
    covered: float


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
    s, y = rows_of(score, label)
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
