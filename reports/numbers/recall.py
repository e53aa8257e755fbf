"""What retrieval found of the best: recall at k and captured value (docs/formulas.md 13).

Letters: R requests, K candidates, A ads. A request without an eligible ad is NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reports.numbers.labelled import Flags, rowwise_ratio
from reports.numbers.rounding import Floats


def recall_at_k(
    candidates: npt.ArrayLike, value: npt.ArrayLike, eligible: npt.ArrayLike, k: int | None = None
) -> Floats:
    """Share of the k eligible ads of greatest value that retrieval found, per request.

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
    return rowwise_ratio((found & top).sum(axis=1), top.sum(axis=1))


def captured(candidates: npt.ArrayLike, value: npt.ArrayLike, eligible: npt.ArrayLike) -> Floats:
    """Value of the eligible ads retrieved over the most that K ads could be worth, per request.

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
    return np.minimum(rowwise_ratio(got, best), 1.0)  # ties summed in another order may exceed 1 by a rounding


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
