"""Budgets of an arm by test day, over worlds: spend, the part of it on ads that ran dry, and over-delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Facts = Mapping[str, Any]
Curve = Callable[[npt.NDArray[np.float64]], dict[str, Any]]


def budgets(arm: Sequence[Facts], curve: Curve) -> dict[str, Any]:
    """Curves over the test days [T] of an arm.

    Args:
        arm: its facts, a row per world.
        curve: worlds and days [W, T] -> mean and ends of the interval [T].

    Returns:
        `day` from 1; `spend` in currency units; `bound` and `unpaid` as shares of the day's spend, 0 where nothing was
        spent.
    """
    spend, bound, unpaid = (
        np.array([[day[key] for day in facts["days"]] for facts in arm], dtype=np.float64)
        for key in ("revenue", "bound_spend", "unpaid")
    )
    whole = np.where(spend > 0, spend, 1.0)
    return {
        "day": list(range(1, spend.shape[1] + 1)),
        "spend": curve(spend),
        "bound": curve(bound / whole),
        "unpaid": curve(unpaid / whole),
    }
