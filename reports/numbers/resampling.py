"""The bootstrap over users: multiplicities, drawn once for all models, and an interval from what they give.

Whole users are resampled, never rows, since the rows of one user are alike (docs/formulas.md 14). A resample is a
multiplicity per user, handed to a measure as row weights: nothing is sorted or copied again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reports.numbers.rounding import Floats as Floats
from reports.numbers.rounding import no_rounding


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
