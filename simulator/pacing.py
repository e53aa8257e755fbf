"""Budgets -> Offers: who may compete in this tick and at what bid. The only state of the demand side."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.config import Section
from simulator.keyed_random import uniforms
from simulator.records import PAD, Candidates, Flags, Keys, Money, Offers


class PacingConfig(Section):
    """How campaigns spread a day's budget: a PID controller holds spend to the share of the day's traffic so far."""

    method: Literal["none", "multiplier", "throttle"] = Field(
        "none", description="multiplier: bid less; throttle: take part in fewer auctions"
    )
    gain: float = Field(3.0, ge=0, le=1e6, description="log pace per unit of error, the error in budgets")
    integral: float = Field(1.0, ge=0, le=1e6, description="log pace per unit of error, summed over the ticks")
    derivative: float = Field(1.0, ge=0, le=1e6, description="log pace per change of the error from tick to tick")
    floor: float = Field(0.05, ge=1e-6, le=1, description="least pace")


class Budgets:
    """Daily budgets of the campaigns, charged click by click in event order.

    Args:
        daily: float64 [C], money per campaign and day.
        campaign: int32 [A], the campaign that pays for each ad.
        bid: float64 [A], maximum per click.
        pacing: how a campaign spreads its budget; not at all by default.
    """

    def __init__(self, daily: Money, campaign: Keys, bid: Money, pacing: PacingConfig | None = None) -> None:
        if (daily < 0).any() or not np.isfinite(daily).all():
            raise ValueError(f"daily == {daily.min()}, must be finite and not negative")
        if not (bid > 0).all():
            raise ValueError(f"bid == {bid.min()}, must be positive")
        self.pacing = pacing or PacingConfig()
        self.pace = np.ones_like(daily)
        """Share of its bid, or of the auctions, that each campaign takes in this tick."""
        self._error = np.zeros_like(daily)
        self._sum = np.zeros_like(daily)
        self.daily = daily
        self.campaign = campaign
        self.bid = bid
        self._least: Money | None = None
        self.spent = np.zeros_like(daily)
        self.exhausted = np.zeros(daily.shape, dtype=bool)
        """Campaigns that ran out on the current day."""

    def new_day(self) -> None:
        """Refill every budget. The controllers keep what they learned of the level, and forget yesterday's error."""
        self.spent[:] = 0.0
        self._error[:] = 0.0
        self.exhausted[:] = False

    def offers(self, live: Flags) -> Offers:
        """Ads that may compete: ``live`` (inside their dates), their campaign has money for one click at the bid."""
        left = self.daily - self.spent
        bid = self.bid
        if self.pacing.method == "multiplier":
            bid = bid * self.pace.take(self.campaign)
        return Offers(eligible=live & (left.take(self.campaign) >= bid), bid=bid)

    def reprice(self, bid: Money) -> None:
        """Set new maxima per click [A]: bids per conversion, whose predicted rate has moved."""
        self.bid = bid
        self._least = None

    def throttled(self, seed: int, request: npt.NDArray[np.int64], found: Candidates) -> Candidates:
        """Candidates [R, K] without those whose campaigns sit the request out; drawn by (request, campaign)."""
        if self.pacing.method != "throttle" or (self.pace >= 1).all():
            return found
        campaign = self.campaign.take(found.ad)
        out = uniforms(seed, "throttle", request[:, None], campaign) >= self.pace.take(campaign)
        return Candidates(
            ad=np.where(out, PAD, found.ad).astype(np.int32, copy=False),
            logit=np.where(out, np.float32(np.nan), found.logit),
            explored=found.explored & ~out,
        )

    def steer(self, share: float) -> None:
        """Set the pace of the next tick.

        Log pace = gain x error + integral x sum of errors + derivative x change of error, at most 0, where the error
        is the share of the day that passed minus the share of the budget that is spent (Astrom & Hagglund, PID
        Controllers, 1995). The sum is held to what the pace can follow, so it does not wind up.

        Args:
            share: share of the day's expected traffic that has passed, 0 to 1.
        """
        c = self.pacing
        if c.method == "none":
            return
        error = share - np.divide(self.spent, self.daily, out=np.ones_like(self.daily), where=self.daily > 0)
        least = float(np.log(c.floor))
        if c.integral:
            self._sum = np.clip(self._sum + error, least / c.integral, 0.0)
        log_pace = c.gain * error + c.integral * self._sum + c.derivative * (error - self._error)
        self._error = error
        self.pace = np.exp(np.clip(log_pace, least, 0.0))

    def charge(self, ads: npt.NDArray[np.int32], price: Money) -> Money:
        """Charge clicks in event order.

        A click that its campaign can no longer pay is over-delivery: it and all later ones of the tick go unpaid.

        Args:
            ads: int32 [n], clicked ads, in event order.
            price: float64 [n], price of each click.

        Returns:
            float64 [n], the money paid: the price, or 0 for an unpaid click.
        """
        campaign = self.campaign[ads]
        order = np.argsort(campaign, kind="stable")
        sorted_price, owner = price[order], campaign[order]
        running = np.cumsum(sorted_price)
        first = np.searchsorted(owner, owner, side="left")
        before_group = np.where(first > 0, running[first - 1], 0.0)
        total = self.spent[owner] + running - before_group
        fits = total <= self.daily[owner] + 1e-9
        paid_sorted = np.where(fits, sorted_price, 0.0)
        paid = np.empty_like(price)
        paid[order] = paid_sorted
        np.add.at(self.spent, owner, paid_sorted)
        self.exhausted[owner[~fits]] = True
        self.exhausted |= self.daily - self.spent < self._least_bid()
        return paid

    def _least_bid(self) -> Money:
        """Cheapest bid of each campaign [C]; a campaign that cannot pay it is budget-bound."""
        if self._least is None:
            self._least = np.full(self.daily.shape, np.inf)
            np.minimum.at(self._least, self.campaign, self.bid)
        return self._least
