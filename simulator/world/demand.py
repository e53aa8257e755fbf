"""Advertisers, campaigns and ads: who pays how much, from when to when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.keyed_random import integers, normals, uniforms
from simulator.records import DAY, Flags, Keys, Money
from simulator.world.config import WorldConfig


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The advertisers' side: public to the market, not a feature of models.

    Attributes:
        bid: float64 [A], maximum per click; for an ad that bids per conversion, what that comes to at the median rate.
        campaign: int32 [A], the ad's budget owner.
        advertiser: int32 [A].
        budget: float64 [C], money per day of each campaign.
        start, end: int64 [A], the ad may compete while start <= time < end.
        target: float64 [A], bid per conversion, NaN where the ad bids per click; None if all do (oCPC is off).
    """

    bid: Money
    campaign: Keys
    advertiser: Keys
    budget: Money
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    target: Money | None = None


def demand_of(c: WorldConfig, seed: int, days: int) -> Demand:
    """The demand side of a seed."""
    A = np.arange(c.ads)
    campaign = ad_campaigns(c, seed)
    advertiser = campaign_advertisers(c, seed)[campaign]
    shared = np.sqrt(c.bid_advertiser_share) * normals(seed, "bid of advertiser", advertiser)
    own = np.sqrt(1 - c.bid_advertiser_share) * normals(seed, "bid of ad", A)
    bid = np.exp(c.bid_sd * (shared + own))
    campaigns = np.arange(campaigns_of(c))
    total = np.bincount(campaign, weights=bid, minlength=campaigns.size)
    level = total / np.maximum(np.bincount(campaign, minlength=campaigns.size), 1)
    budget = level * c.budget_clicks * np.exp(c.budget_sd * normals(seed, "budget", campaigns))
    starts_late = uniforms(seed, "ad starts late", A) < c.new_ads
    ends_early = uniforms(seed, "ad ends early", A) < c.ending_ads
    start = np.where(starts_late, uniforms(seed, "ad start", A) * days * DAY, 0).astype(np.int64)
    horizon = np.int64(days + 1) * DAY
    end = np.where(ends_early, start + uniforms(seed, "ad end", A) * (horizon - start), horizon).astype(np.int64)
    # An early end comes no sooner than a day after the start, so that every ad can be met.
    return Demand(
        bid=bid,
        campaign=campaign,
        advertiser=advertiser,
        budget=budget,
        start=start,
        end=np.maximum(end, start + DAY),
        target=_targets(c, seed, campaign, bid),
    )


def _targets(c: WorldConfig, seed: int, campaign: Keys, bid: Money) -> Money | None:
    """Bids per conversion: what the bid per click comes to at the median conversion rate."""
    if not c.ocpc_share:
        return None
    per_conversion = uniforms(seed, "bids per conversion", campaign) < c.ocpc_share
    return np.where(per_conversion, bid / c.conversion_rate, np.nan)


def campaigns_of(c: WorldConfig) -> int:
    """How many campaigns there are."""
    return max(1, round(c.ads / c.ads_per_campaign))


def ad_campaigns(c: WorldConfig, seed: int) -> Keys:
    """int32 [A]: the campaign of each ad."""
    return integers(seed, "campaign of ad", campaigns_of(c), np.arange(c.ads)).astype(np.int32)


def campaign_advertisers(c: WorldConfig, seed: int) -> Keys:
    """int32 [C]: the advertiser of each campaign."""
    return integers(seed, "advertiser of campaign", c.advertisers, np.arange(campaigns_of(c))).astype(np.int32)


def ad_categories(c: WorldConfig, seed: int) -> Keys:
    """An ad has its advertiser's category three times out of four, another otherwise; big categories are bigger."""
    advertiser = campaign_advertisers(c, seed)[ad_campaigns(c, seed)]
    weight = 1.0 / np.sqrt(1 + np.arange(c.categories))
    edges = np.cumsum(weight) / weight.sum()
    home = np.searchsorted(edges, uniforms(seed, "category of advertiser", advertiser))
    other = np.searchsorted(edges, uniforms(seed, "category of ad", np.arange(c.ads)))
    stays = uniforms(seed, "category stays", np.arange(c.ads)) < 0.75
    return np.where(stays, home, other).astype(np.int32)


def eligible_at(demand: Demand, time: int) -> Flags:
    """bool [A]: ads inside their dates at ``time`` (budgets are pacing's business)."""
    return np.asarray((demand.start <= time) & (time < demand.end))
