"""Many claims at once: p-values adjusted by Holm, and by Benjamini and Hochberg (docs/formulas.md 14)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.rounding import Floats as Floats


def holm(p: npt.ArrayLike) -> Floats:
    """Holm's adjusted p-values, for claims: the chance of any false claim stays under alpha.

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
    """Benjamini-Hochberg adjusted p-values, for segments and ablations: bounds the false share of finds.

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
