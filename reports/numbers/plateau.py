"""Is a learning curve flat at its end (docs/formulas.md 14)?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.numbers.paired import t_test
from reports.numbers.rounding import Floats as Floats
from reports.numbers.rounding import no_rounding


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
    change, lo, hi, _ = (float(v) for v in t_test(found, np.maximum(np.abs(found), 1.0), 0.95))
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
