"""How unequally something is shared out (docs/formulas.md 13)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reports.numbers.labelled import ratio


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
    return ratio(float((2 * np.arange(1, n + 1) - n - 1) @ v), n * float(v.sum()))
