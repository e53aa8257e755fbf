"""Do two scores order the same ads alike: Kendall's tau-b, row by row (docs/formulas.md 13)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reports.numbers.labelled import rowwise_ratio
from reports.numbers.rounding import Floats

_BLOCK = 1 << 22
"""Pairs compared at a time by ``kendall_tau_b``: about 30 MB of temporaries."""


def kendall_tau_b(x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """Kendall's tau-b of each row, by comparing all pairs in blocks of bounded memory.

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
    return rowwise_ratio(agree, np.sqrt(untied_x.astype(np.float64) * untied_y))


def _order(x: npt.NDArray[Any], left: slice) -> npt.NDArray[np.int8]:
    """int8 [r, left, n]: 1 where the left entry is the greater, -1 where it is the less, 0 at ties and NaN."""
    i, j = x[:, left, None], x[:, None, :]
    return np.asarray((i > j).view(np.int8) - (i < j).view(np.int8))
