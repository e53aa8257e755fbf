"""The world: users, advertisers, campaigns, ads, and the truth about who clicks on what.

``World.catalog`` is what models may see; ``World.truth`` is what they may not. Both follow from (config, seed) alone by
keyed draws (world.md). The equation of the truth:

    logit true_ctr = b + w_u + q_a                                  (levels of user and ad)
                   + gamma theta_u(t).phi_a + kappa[cat_a](t)       (low rank; drifting)
                   + X[g_u, cat_a] + T(price_a, sens_u) + H[hour, cat_a]   (crosses)
                   - fatigue(u, a)                                  (see exposure.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import expit

from simulator.config import Section
from simulator.keyed_random import gumbels, integers, normals, uniforms
from simulator.records import DAY, PAD, Catalog, Flags, Floats, History, Keys, Money, Requests, Table

LATENT = 16
"""Width k of the latent interest and the latent content."""
DENSE = 8
"""Width of the noisy dense projections that models see."""
REGIONS, AGES, DEVICES, PLACEMENTS, HOURS = 30, 7, 4, 2, 24
HISTORY_POOL = 24
"""Items that compete, under the user's true affinity, for one place of her organic history."""


class WorldConfig(Section):
    """Dials of the entities and of the truth. Sds are on the logit scale.

    The levels' sds are the world card's (KuaiRand-Pure: users 0.74, items 0.68); ``interaction_sd`` is of the same
    order, and ``low_rank_share`` 0.5 favours neither a dot product nor crosses.
    """

    users: int = Field(8000, ge=1)
    ads: int = Field(2000, ge=2)
    advertisers: int = Field(150, ge=1)
    ads_per_campaign: float = Field(4.0, ge=1)
    categories: int = Field(20, ge=1)
    segments: int = Field(8, ge=1)
    activity_sd: float = Field(0.888, ge=0, description="sd of log activity; 0.888 is a Gini of 0.47")
    base_logit: float = -4.2
    user_sd: float = Field(0.74, ge=0)
    quality_sd: float = Field(0.68, ge=0)
    interaction_sd: float = Field(0.8, ge=0)
    low_rank_share: float = Field(0.5, ge=0, le=1)
    drift_half_life: float = Field(14.0, ge=0, description="days; 0 switches drift off")
    category_drift_sd: float = Field(0.15, ge=0, description="sd of the slow drift of category popularity")
    feature_noise: float = Field(1.0, ge=0, description="sd of the noise on dense features of unit variance")
    missing: float = Field(0.05, ge=0, le=1, description="share of missing observable codes")
    segment_accuracy: float = Field(0.8, ge=0, le=1, description="share of users who report their true segment")
    history_length: int = Field(20, ge=1)
    history_days: float = Field(30.0, ge=0, description="days of organic behaviour before the run")
    history_per_day: float = Field(0.7, ge=0, le=1, description="chance that a user adds one item on a day")
    history_temperature: float = Field(1.0, gt=0)
    new_ads: float = Field(0.15, ge=0, le=1, description="share of ads that start during the run")
    ending_ads: float = Field(0.10, ge=0, le=1, description="share of ads that end during the run")
    new_users: float = Field(0.10, ge=0, le=1, description="share of users who arrive during the run")
    bid_sd: float = Field(0.72, ge=0, description="sd of log bid; 0.72 is the price CV 0.83 of iPinYou 1458")
    bid_advertiser_share: float = Field(
        0.5, ge=0, le=1, description="of log bid's variance, shared by an advertiser's ads"
    )
    budget_clicks: float = Field(150.0, gt=0, description="median daily campaign budget, in clicks at its mean bid")
    budget_sd: float = Field(1.0, ge=0, description="sd of log budget: heavy-tailed")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The advertisers' side: public to the market, not a feature of models.

    Attributes:
        bid: float64 [A], maximum per click.
        campaign: int32 [A], the ad's budget owner.
        advertiser: int32 [A].
        budget: float64 [C], money per day of each campaign.
        start, end: int64 [A], the ad may compete while start <= time < end.
    """

    bid: Money
    campaign: Keys
    advertiser: Keys
    budget: Money
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What really decides clicks. Held by the market and the studies, never by a model.

    Attributes:
        theta: float32 [days, U, k], latent interests as of each day.
        phi: float32 [A, k], latent content.
        user_level, ad_level: float32 [U], [A].
        segment: int32 [U]; category: int32 [A].
        cross: float32 [G, C]; hour_cross: float32 [24, C]; popularity: float32 [days, C].
        price, sensitivity: float32 [A], [U]; their product is T.
        base, gamma: floats of the equation.
        activity: float64 [U], relative request rate; arrival: int64 [U], seconds.
    """

    theta: Floats
    phi: Floats
    user_level: Floats
    ad_level: Floats
    segment: Keys
    category: Keys
    cross: Floats
    hour_cross: Floats
    popularity: Floats
    price: Floats
    sensitivity: Floats
    base: float
    gamma: float
    activity: npt.NDArray[np.float64]
    arrival: npt.NDArray[np.int64]

    def day(self, time: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Index of the day that ``time`` falls in; the last day goes on for ever."""
        return np.asarray(np.minimum(time // DAY, self.theta.shape[0] - 1), dtype=np.int64)

    def pairs(self, users: Keys, ads: Keys, time: npt.NDArray[np.int64]) -> Floats:
        """logit true_ctr before fatigue of users [R, 1] (or [R]) and ads [R, S] at time [R] -> float32 [R, S].

        Pads (-1) yield the value of the last ad: mask them.
        """
        u = users.reshape(-1)
        day = self.day(time)
        hour = (time % DAY) // 3600
        # One conversion to the index type and flat takes: this runs for every candidate of an oracle.
        at = ads.astype(np.intp)
        category = self.category.take(at).astype(np.intp)
        C = self.cross.shape[1]
        out = self.ad_level.take(at)
        out += (self.base + self.user_level[u])[:, None]
        dots = np.einsum("rk,rsk->rs", self.theta[day, u], self.phi.take(at, axis=0))
        dots *= self.gamma
        out += dots
        out += self.popularity.take(category + (day * C)[:, None])
        out += self.cross.take(category + (self.segment[u].astype(np.intp) * C)[:, None])
        out += self.hour_cross.take(category + (hour * C)[:, None])
        out -= self.sensitivity[u, None] * self.price.take(at)
        return np.asarray(out, dtype=np.float32)

    def everything(self, requests: Requests) -> Floats:
        """logit true_ctr before fatigue of all ads for each request -> float32 [R, A]."""
        u, day = requests.user, self.day(requests.time)
        hour = (requests.time % DAY) // 3600
        by_category = self.popularity[day] + self.cross[self.segment[u]] + self.hour_cross[hour]
        out = self.gamma * (self.theta[day, u] @ self.phi.T)
        out += by_category[:, self.category]
        out -= self.sensitivity[u, None] * self.price
        out += self.ad_level
        out += self.user_level[u, None] + np.float32(self.base)
        return np.asarray(out, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class World:
    """One world: its seed, the public catalog, the demand, and the truth."""

    seed: int
    catalog: Catalog
    demand: Demand
    truth: Truth


def build(config: WorldConfig, seed: int, days: int) -> World:
    """The world of a seed over ``days`` simulated days."""
    truth = _truth(config, seed, days)
    demand = _demand(config, seed, days)
    return World(seed=seed, truth=truth, demand=demand, catalog=_catalog(config, seed, days, truth, demand))


def _truth(c: WorldConfig, seed: int, days: int) -> Truth:
    U, A = np.arange(c.users), np.arange(c.ads)
    k = np.arange(LATENT)
    segment = integers(seed, "segment", c.segments, U).astype(np.int32)
    category = _ad_categories(c, seed)
    segment_mean = normals(seed, "segment mean", np.arange(c.segments)[:, None], k)
    category_mean = normals(seed, "category mean", np.arange(c.categories)[:, None], k)
    mean = np.sqrt(0.3) * segment_mean[segment]
    phi = np.sqrt(0.4) * category_mean[category] + np.sqrt(0.6) * normals(seed, "phi", A[:, None], k)

    # Ornstein-Uhlenbeck steps around the segment's mean, a step a day; its stationary law is the law of day 0.
    rho = 0.5 ** (1 / c.drift_half_life) if c.drift_half_life else 1.0
    theta = np.empty((days, c.users, LATENT), dtype=np.float32)
    popularity = np.zeros((days, c.categories), dtype=np.float32)
    own = np.sqrt(0.7) * normals(seed, "theta", U[:, None], k)
    slow = 0.5 ** (1 / (3 * c.drift_half_life)) if c.drift_half_life else 1.0
    trend = c.category_drift_sd * normals(seed, "category popularity", np.arange(c.categories))
    for day in range(days):
        if day and c.drift_half_life:
            own = rho * own + np.sqrt(0.7 * (1 - rho**2)) * normals(seed, "theta step", day, U[:, None], k)
            step = normals(seed, "category step", day, np.arange(c.categories))
            trend = slow * trend + c.category_drift_sd * np.sqrt(1 - slow**2) * step
        theta[day] = mean + own
        popularity[day] = trend

    low = c.interaction_sd * np.sqrt(c.low_rank_share)
    high = c.interaction_sd * np.sqrt(1 - c.low_rank_share)
    cross_sd, hour_sd, price_sd = high * np.sqrt([0.5, 0.2, 0.3])
    G, C, hours = np.arange(c.segments)[:, None], np.arange(c.categories), np.arange(HOURS)[:, None]
    arrives = uniforms(seed, "user arrives late", U) < c.new_users
    arrival = np.where(arrives, uniforms(seed, "user arrival", U) * days * DAY, 0).astype(np.int64)
    return Truth(
        theta=theta,
        phi=phi.astype(np.float32),
        user_level=(c.user_sd * normals(seed, "user level", U)).astype(np.float32),
        ad_level=(c.quality_sd * normals(seed, "ad level", A)).astype(np.float32),
        segment=segment,
        category=category,
        cross=(cross_sd * normals(seed, "cross", G, C)).astype(np.float32),
        hour_cross=(hour_sd * normals(seed, "hour cross", hours, C)).astype(np.float32),
        popularity=popularity,
        price=normals(seed, "price level", A).astype(np.float32),
        sensitivity=(price_sd * normals(seed, "sensitivity", U)).astype(np.float32),
        base=c.base_logit,
        gamma=float(low / np.sqrt(LATENT)),
        activity=np.exp(c.activity_sd * normals(seed, "activity", U)),
        arrival=arrival,
    )


def _campaigns(c: WorldConfig) -> int:
    return max(1, round(c.ads / c.ads_per_campaign))


def _ad_campaigns(c: WorldConfig, seed: int) -> Keys:
    return integers(seed, "campaign of ad", _campaigns(c), np.arange(c.ads)).astype(np.int32)


def _campaign_advertisers(c: WorldConfig, seed: int) -> Keys:
    return integers(seed, "advertiser of campaign", c.advertisers, np.arange(_campaigns(c))).astype(np.int32)


def _ad_categories(c: WorldConfig, seed: int) -> Keys:
    """An ad has its advertiser's category three times out of four, another otherwise; big categories are bigger."""
    advertiser = _campaign_advertisers(c, seed)[_ad_campaigns(c, seed)]
    weight = 1.0 / np.sqrt(1 + np.arange(c.categories))
    edges = np.cumsum(weight) / weight.sum()
    home = np.searchsorted(edges, uniforms(seed, "category of advertiser", advertiser))
    other = np.searchsorted(edges, uniforms(seed, "category of ad", np.arange(c.ads)))
    stays = uniforms(seed, "category stays", np.arange(c.ads)) < 0.75
    return np.where(stays, home, other).astype(np.int32)


def _demand(c: WorldConfig, seed: int, days: int) -> Demand:
    A = np.arange(c.ads)
    campaign = _ad_campaigns(c, seed)
    advertiser = _campaign_advertisers(c, seed)[campaign]
    shared = np.sqrt(c.bid_advertiser_share) * normals(seed, "bid of advertiser", advertiser)
    own = np.sqrt(1 - c.bid_advertiser_share) * normals(seed, "bid of ad", A)
    bid = np.exp(c.bid_sd * (shared + own))
    campaigns = np.arange(_campaigns(c))
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
        bid=bid, campaign=campaign, advertiser=advertiser, budget=budget, start=start, end=np.maximum(end, start + DAY)
    )


def _projected(c: WorldConfig, seed: int, purpose: str, latent: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Unit-variance random projections of a latent matrix [n, k] plus noise -> [n, DENSE]."""
    n = np.arange(latent.shape[0])[:, None]
    plane = normals(seed, f"{purpose} projection", np.arange(LATENT)[:, None], np.arange(DENSE)) / np.sqrt(LATENT)
    return np.asarray(latent @ plane + c.feature_noise * normals(seed, f"{purpose} noise", n, np.arange(DENSE)))


def _with_missing(c: WorldConfig, seed: int, purpose: str, codes: npt.NDArray[Any], size: int) -> Keys:
    """Codes with the share ``missing`` replaced by the extra code ``size`` (unknown)."""
    gone = uniforms(seed, f"missing {purpose}", np.arange(codes.size)) < c.missing
    return np.where(gone, size, codes).astype(np.int32)


def _catalog(c: WorldConfig, seed: int, days: int, truth: Truth, demand: Demand) -> Catalog:
    U, A = np.arange(c.users), np.arange(c.ads)
    honest = uniforms(seed, "segment is honest", U) < c.segment_accuracy
    reported = np.where(honest, truth.segment, integers(seed, "segment reported", c.segments, U))
    segment = _with_missing(c, seed, "segment", reported, c.segments)
    # Age tells a little about the price sensitivity, region and device tell nothing: real profiles have both kinds.
    noisy = 0.5 * normals(seed, "age signal", U) + 0.5 * normals(seed, "sensitivity", U)
    age = np.clip(np.floor((noisy + 1.5) / 3 * AGES), 0, AGES - 1)
    price = truth.price + 0.3 * normals(seed, "price noise", A)
    band = np.clip(np.floor((price + 2) / 4 * 10), 0, 9)
    users = Table(
        codes={
            "user": U.astype(np.int32),
            "segment": segment,
            "age": _with_missing(c, seed, "age", age, AGES),
            "region": _with_missing(c, seed, "region", integers(seed, "region", REGIONS, U), REGIONS),
            "device": integers(seed, "device", DEVICES, U).astype(np.int32),
        },
        sizes={"user": c.users, "segment": c.segments + 1, "age": AGES + 1, "region": REGIONS + 1, "device": DEVICES},
        dense=_projected(c, seed, "user dense", truth.theta[0]).astype(np.float32),
    )
    ads = Table(
        codes={
            "ad": A.astype(np.int32),
            "advertiser": demand.advertiser,
            "campaign": demand.campaign,
            "category": truth.category,
            "price_band": band.astype(np.int32),
        },
        sizes={
            "ad": c.ads,
            "advertiser": c.advertisers,
            "campaign": _campaigns(c),
            "category": c.categories,
            "price_band": 10,
        },
        dense=_projected(c, seed, "ad dense", truth.phi).astype(np.float32),
    )
    return Catalog(
        users=users,
        ads=ads,
        context={"hour": HOURS, "placement": PLACEMENTS},
        category=truth.category,
        categories=c.categories,
        segment=segment,
        segments=c.segments + 1,
        price=price.astype(np.float32),
        history=_history(c, seed, days, truth, demand),
        base_ctr=float(expit(c.base_logit)),
    )


def _history(c: WorldConfig, seed: int, days: int, truth: Truth, demand: Demand) -> History:
    """Organic engagements: at most one a day, the truly most attractive (softmax) of a keyed pool of live items."""
    length = c.history_length
    items = np.full((days, c.users, length), PAD, dtype=np.int32)
    now = np.full((c.users, length), PAD, dtype=np.int32)
    U = np.arange(c.users)
    before = round(c.history_days)
    for day in range(-before, days):
        if day >= 0:
            items[day] = now
        engaged = uniforms(seed, "organic engages", day + before, U) < c.history_per_day
        # Before the run those are here who do not arrive during it.
        engaged &= truth.arrival < max((day + 1) * DAY, 1)
        who = np.flatnonzero(engaged).astype(np.int32)
        pool = integers(seed, "organic pool", c.ads, day + before, who[:, None], np.arange(HISTORY_POOL))
        noon = np.full(who.size, max(day, 0) * DAY + DAY // 2, dtype=np.int64)
        taste = truth.pairs(who, pool.astype(np.int32), noon) / c.history_temperature
        live = eligible_at(demand, max(day * DAY + DAY // 2, 0))
        taste = np.where(live[pool], taste, -np.inf)
        taste = taste + gumbels(seed, "organic choice", day + before, who[:, None], np.arange(HISTORY_POOL))
        chosen = pool[np.arange(who.size), taste.argmax(axis=1)]
        now[who, :-1] = now[who, 1:]
        now[who, -1] = chosen
    return History(items=items)


def eligible_at(demand: Demand, time: int) -> Flags:
    """bool [A]: ads inside their dates at ``time`` (budgets are pacing's business)."""
    return np.asarray((demand.start <= time) & (time < demand.end))
