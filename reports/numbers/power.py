"""How many units or worlds an effect needs to be found (docs/formulas.md 17)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from reports.numbers.rounding import Floats as Floats


def power_of(log_effect: npt.ArrayLike, se: npt.ArrayLike, alpha: float = 0.05) -> Floats:
    """Chance that a two-sided z test finds an effect of that size with that standard error; NaN where it is 0."""
    known = np.where(np.asarray(se, dtype=np.float64) > 0, se, np.nan)
    z, ahead = special.ndtri(1 - alpha / 2), np.abs(np.asarray(log_effect)) / known
    return np.asarray(special.ndtr(ahead - z) + special.ndtr(-ahead - z))


def units_needed(log_effect: float, se: float, units: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Units that bring a design's power to ``power``: (z_(1-alpha/2) + z_power)^2 se^2 units / effect^2.

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
