"""Looking before the end: how often a live test's interval has missed the truth by then, with and without a guard.

A test that is looked at every few hours gives its plain 95 % interval many chances to be wrong. The always-valid band
and the always-valid p (docs/formulas.md 16) are made for that, and pay for it with width. Here both are held against
the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from reports.numbers.quality import wilson
from reports.numbers.sequential import always_valid_half_width, always_valid_p

LOOKS = 12
"""Looks over the test, evenly spaced."""
TAU = 0.05
"""Sd of the effects that the always-valid p expects, on the log scale; fixed in advance."""
LEVEL = 0.05
Values = npt.NDArray[np.float64]


def guarded(looks: Sequence[Mapping[str, float | None]], planned: int) -> dict[str, Values]:
    """One world's looks with their plain interval and the always-valid one.

    Args:
        looks: ``rel_effect``, ``se`` and ``requests`` at each look, None where nothing could be said yet.
        planned: requests of the whole test; the band is narrowest at half of them, which is fixed in advance.

    Returns:
        float64 [T] each: ``effect`` (log), ``plain`` and ``band`` half widths (log), ``p`` always valid; looks that
        could say nothing are NaN, and p is 1.
    """
    rel, se, n = (
        np.array([np.nan if one[key] is None else one[key] for one in looks], dtype=np.float64)
        for key in ("rel_effect", "se", "requests")
    )
    effect = np.log1p(rel)
    plain, band, p = (np.full(effect.shape, np.nan) for _ in range(3))
    told = np.isfinite(effect) & (se > 0)
    plain[told] = stats.norm.ppf(1 - LEVEL / 2) * se[told]
    band[told] = always_valid_half_width(se[told], n[told], planned / 2, LEVEL)
    p[:] = 1.0
    p[told] = always_valid_p(effect[told], se[told], TAU)
    return {"effect": effect, "plain": plain, "band": band, "p": np.minimum.accumulate(p)}


def judged(worlds: Sequence[Mapping[str, Values]], truth: npt.ArrayLike) -> dict[str, Any]:
    """Over worlds: how often an interval missed the truth, at the end or at any look, and how often the p stopped it.

    A world without an interval, at the end or at any look, can't miss: it does not count for that share.

    Args:
        worlds: of :func:`guarded`, all with the same number of looks.
        truth: [W], the true log effect of the whole test in each.

    Returns:
        ``at_the_end``, ``ever``, ``band_ever`` as shares with 95 % Wilson ends, ``stopped`` likewise, ``wrong_sign``
        (share of the stopped whose effect then has the other sign), ``mean_look`` at which they stopped (1 is the
        first), ``n``.
    """
    t = np.asarray(truth, dtype=np.float64)[:, None]
    effect, plain, band, p = (np.stack([one[key] for one in worlds]) for key in ("effect", "plain", "band", "p"))
    away = np.abs(effect - t)
    told = np.isfinite(plain)
    at_the_end, ever = told[:, -1], told.any(axis=1)
    missed, outside = away > plain, away > band
    stop = p < LEVEL
    stopped = stop.any(axis=1)
    first = stop.argmax(axis=1)
    sign = np.sign(np.take_along_axis(effect, first[:, None], axis=1)[:, 0])
    wrong = (sign * np.sign(t[:, 0]) < 0)[stopped]
    return {
        "n": len(worlds),
        "looks": effect.shape[1],
        "at_the_end": _share(missed[at_the_end, -1]),
        "ever": _share(missed[ever].any(axis=1)),
        "band_ever": _share(outside[ever].any(axis=1)),
        "stopped": _share(stopped),
        "wrong_sign": float(wrong.mean()) if wrong.size else None,
        "mean_look": float(first[stopped].mean() + 1) if stopped.any() else None,
    }


def _share(given: npt.ArrayLike) -> dict[str, float]:
    return dict(zip(("value", "lo", "hi"), wilson(given), strict=True))
