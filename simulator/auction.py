"""Ranked candidates -> Slates: eCPM order, reserve, price per click. Pure functions.

Scores are bid x pctr. GSP charges the least bid that keeps the slot: the next score (or the reserve) divided by the own
pctr, never above the bid (Edelman, Ostrovsky & Schwarz 2007; Varian 2007, separable position effects).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.config import Section
from simulator.records import PAD, Floats, Keys, Money, Slates


class AuctionConfig(Section):
    """Rules of the auction."""

    slots: int = Field(4, ge=1)
    reserve: float = Field(0.005, ge=0, description="least bid x pctr that may win, currency units per impression")
    pricing: Literal["gsp", "first"] = "gsp"


def auction(ads: Keys, pctr: Floats, bid: Money, config: AuctionConfig) -> Slates:
    """Fill the slots of every request.

    Args:
        ads: int32 [R, K], -1 pads.
        pctr: float32 [R, K] in [0, 1].
        bid: float64 [A], effective bid per click.
        config: the rules.

    Returns:
        Slates [R, S], best score first, ties to the earlier candidate; -1 where no candidate reached the reserve.
    """
    S, K = config.slots, ads.shape[1]
    rows = np.arange(ads.shape[0])[:, None]
    # What cannot be clicked never wins, even without a reserve; the clip only keeps 0/0 out of the losers' prices.
    real = (ads != PAD) & (pctr > 0)
    click_rate = np.clip(pctr.astype(np.float64), 1e-12, 1.0)
    bids = np.where(real, bid[ads], 0.0)
    score = np.where(real, bids * click_rate, -1.0)
    score = np.where(score >= max(config.reserve, 1e-300), score, -1.0)

    top = _best(score, min(S + 1, K))
    if top.shape[1] < S + 1:
        top = np.pad(top, ((0, 0), (0, S + 1 - top.shape[1])), constant_values=0)
    ordered = score[rows, top]
    ordered[:, min(S + 1, K) :] = -1.0
    own, following = ordered[:, :S], ordered[:, 1 : S + 1]
    place = top[:, :S]
    wins = own > 0
    own_bid, own_rate = bids[rows, place], click_rate[rows, place]
    if config.pricing == "first":
        price = own_bid
    else:
        price = np.minimum(np.maximum(following, config.reserve) / own_rate, own_bid)
    return Slates(
        ad=np.where(wins, ads[rows, place], PAD).astype(np.int32),
        place=np.where(wins, place, 0).astype(np.int32),
        bid=np.where(wins, own_bid, 0.0),
        score=np.where(wins, own, 0.0),
        price=np.where(wins, price, 0.0),
    )


def _best(score: Money, n: int) -> npt.NDArray[np.intp]:
    """Columns of the ``n`` best scores of each row, best first, ties to the lower column -> [R, n]."""
    K = score.shape[1]
    if n < K:
        # Ties at the border go to the lower column: take everything above it, then the first of the equal ones.
        border = np.partition(score, K - n, axis=1)[:, K - n, None]
        above = score > border
        tied = score == border
        room = n - above.sum(axis=1, keepdims=True)
        picked = above | (tied & (np.cumsum(tied, axis=1) <= room))
        columns = np.nonzero(picked)[1].reshape(score.shape[0], n)
    else:
        columns = np.broadcast_to(np.arange(K), score.shape)
    values = np.take_along_axis(score, columns, axis=1)
    return np.take_along_axis(columns, np.argsort(-values, axis=1, kind="stable"), axis=1)
