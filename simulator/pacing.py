"""Budgets -> Offers: who may compete in this tick and at what bid. The only state of the demand side."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.records import Flags, Keys, Money, Offers


class Budgets:
    """Daily budgets of the campaigns, charged click by click in event order.

    Args:
        daily: float64 [C], money per campaign and day.
        campaign: int32 [A], the campaign that pays for each ad.
        bid: float64 [A], maximum per click.
    """

    def __init__(self, daily: Money, campaign: Keys, bid: Money) -> None:
        if (daily < 0).any() or not np.isfinite(daily).all():
            raise ValueError(f"daily == {daily.min()}, must be finite and not negative")
        if not (bid > 0).all():
            raise ValueError(f"bid == {bid.min()}, must be positive")
        self.daily = daily
        self.campaign = campaign
        self.bid = bid
        self.spent = np.zeros_like(daily)
        self.exhausted = np.zeros(daily.shape, dtype=bool)
        """Campaigns that ran out on the current day."""

    def new_day(self) -> None:
        """Refill every budget."""
        self.spent[:] = 0.0
        self.exhausted[:] = False

    def offers(self, live: Flags) -> Offers:
        """Ads that may compete: ``live`` (inside their dates), their campaign has money for one click at the bid."""
        left = self.daily - self.spent
        return Offers(eligible=live & (left.take(self.campaign) >= self.bid), bid=self.bid)

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
        if not hasattr(self, "_least"):
            self._least = np.full(self.daily.shape, np.inf)
            np.minimum.at(self._least, self.campaign, self.bid)
        return self._least
