"""Ranked candidates -> Slates: eCPM order, reserve, price per click. Pure functions.

Scores are bid x pctr. First price charges the bid. GSP charges the least bid that keeps the slot: the next score (or
the reserve) divided by the own pctr, never above the bid (Edelman, Ostrovsky & Schwarz 2007; Varian 2007, separable
position effects). VCG charges the harm to the others, who would each move up a slot: with slot s examined with e_s,

    price_s x pctr_s x e_s = sum over t > s of (e_(t-1) - e_t) x score_t,

where the slot after the last one has e = 0 and the site itself stands behind every loser with a score of the reserve.
Under VCG to bid the value of a click is a dominant strategy; under the other two it is not.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.config import Section
from simulator.records import MOST_SLOTS, PAD, Floats, Keys, Money, Slates


class AuctionConfig(Section):
    """Rules of the auction."""

    slots: int = Field(4, ge=1, le=MOST_SLOTS, description="ads shown per request, at most")
    reserve: float = Field(
        0.005, ge=0, le=1e30, description="least bid x pctr that may win, currency units per impression"
    )
    pricing: Literal["gsp", "first", "vcg"] = Field("gsp", description="what a click costs: see the module")


def auction(ads: Keys, pctr: Floats, bid: Money, config: AuctionConfig, examine: Floats | None = None) -> Slates:
    """Fill the slots of every request.

    Args:
        ads: int32 [R, K], -1 pads.
        pctr: float32 [R, K] in [0, 1].
        bid: float64 [A], effective bid per click.
        config: the rules.
        examine: float32 [S], P(examined | slot), positive and not rising; only VCG needs it.

    Returns:
        Slates [R, S], best score first, ties to the earlier candidate; -1 where no candidate reached the reserve.

    Raises:
        ValueError: VCG without ``examine``.
    """
    S, K = config.slots, ads.shape[1]
    # What cannot be clicked never wins, even without a reserve; the lower bound only keeps 0/0 out of losers' prices.
    click_rate = np.minimum(np.maximum(pctr, 1e-12, dtype=np.float64), 1.0)
    score = bid.take(ads)
    score *= click_rate
    loses = score < max(config.reserve, 1e-300)
    loses |= pctr <= 0
    loses |= ads == PAD
    np.putmask(score, loses, -1.0)

    top, ordered = _best(score, min(S + 1, K))
    if K <= S:
        missing = ((0, 0), (0, S + 1 - K))
        top, ordered = np.pad(top, missing), np.pad(ordered, missing, constant_values=-1.0)
    own, following = ordered[:, :S], ordered[:, 1 : S + 1]
    place = top[:, :S]
    wins = own > 0
    cell = place + np.arange(0, ads.size, K)[:, None]
    own_ad, own_rate = ads.take(cell), click_rate.take(cell)
    own_bid = bid.take(own_ad)
    if config.pricing == "first":
        price = own_bid
    elif config.pricing == "vcg":
        price = np.minimum(_harm(following, config.reserve, S, examine) / own_rate, own_bid)
    else:
        price = np.minimum(np.maximum(following, config.reserve) / own_rate, own_bid)
    return Slates(
        ad=np.where(wins, own_ad, PAD).astype(np.int32, copy=False),
        place=np.where(wins, place, 0).astype(np.int32),
        bid=np.where(wins, own_bid, 0.0),
        score=np.where(wins, own, 0.0),
        price=np.where(wins, price, 0.0),
    )


def _harm(following: Money, reserve: float, slots: int, examine: Floats | None) -> Money:
    """What a winner's look costs the others and the site -> float64 [R, S], per examination of her slot.

    Args:
        following: float64 [R, S], the score after each slot's.
        reserve: what the site would take instead.
        slots: S.
        examine: float32 [S].
    """
    if examine is None or examine.shape != (slots,) or not (examine > 0).all() or (np.diff(examine) > 0).any():
        shown = None if examine is None else examine.tolist()
        raise ValueError(f"examine == {shown}, must be {slots} positive probabilities that do not rise")
    e = np.append(examine.astype(np.float64), 0.0)
    moved_up = np.maximum(following, reserve) * (e[:-1] - e[1:])
    return np.asarray(np.cumsum(moved_up[:, ::-1], axis=1)[:, ::-1] / e[:-1])


def _best(score: Money, n: int) -> tuple[npt.NDArray[np.intp], Money]:
    """Columns and values of the ``n`` best scores of each row, best first, ties to the lower column -> [R, n] twice.

    ``n`` is a few slots: so many passes of argmax cost less than a sort, and argmax settles ties as wanted.
    """
    left = score.copy()
    first = np.arange(0, score.size, score.shape[1])
    columns = np.empty((n, score.shape[0]), dtype=np.intp)
    values = np.empty((n, score.shape[0]))
    for column, value in zip(columns, values, strict=True):
        left.argmax(axis=1, out=column)
        cell = first + column
        left.take(cell, out=value, mode="clip")
        left.reshape(-1)[cell] = -np.inf
    return columns.T, values.T
