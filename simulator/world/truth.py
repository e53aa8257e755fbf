"""Who clicks on what: the equation of the world, and the day by day state that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from simulator.keyed_random import integers, normals, uniforms
from simulator.records import DAY, Flags, Floats, Keys, Money, Requests
from simulator.world.buying import Buying, buying_of
from simulator.world.config import HOURS, LATENT, WorldConfig
from simulator.world.demand import ad_categories

OWN_INTEREST, OWN_CONTENT = 0.7, 0.6
"""Variance, of 1, that a user's interest has beyond her segment's, and an ad's content beyond its category's."""


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
        buying: what decides conversions; None if they are off.
        bot: bool [U], users who click whatever they see, at ``bot_logit``; None if there are none.
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
    buying: Buying | None = None
    bot: Flags | None = None
    bot_logit: float = 0.0

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
        if self.bot is not None:
            out[self.bot[u]] = self.bot_logit
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
        if self.bot is not None:
            out[self.bot[u]] = self.bot_logit
        return np.asarray(out, dtype=np.float32)

    def conversion_rate(self, users: Keys, ads: Keys) -> Money:
        """True P(conversion | click) of pairs [n]; bots buy nothing, and nobody does where conversions are off."""
        if self.buying is None:
            return np.zeros(users.size)
        rate = expit(self.buying.pairs(users, ads).astype(np.float64))
        return np.asarray(rate if self.bot is None else np.where(self.bot[users], 0.0, rate))


def arrivals(c: WorldConfig, seed: int, days: int) -> npt.NDArray[np.int64]:
    """int64 [U]: second in which each user arrives; 0 for those who are there from the start."""
    U = np.arange(c.users)
    late = uniforms(seed, "user arrives late", U) < c.new_users
    return np.where(late, uniforms(seed, "user arrival", U) * days * DAY, 0).astype(np.int64)


def interest_of_segments(c: WorldConfig, seed: int) -> npt.NDArray[np.float64]:
    """float64 [G, k], what the users of a segment share of their latent interest."""
    G, k = np.arange(c.segments), np.arange(LATENT)
    return np.asarray(np.sqrt(0.3) * normals(seed, "segment mean", G[:, None], k))


def content_of_categories(c: WorldConfig, seed: int) -> npt.NDArray[np.float64]:
    """float64 [C, k], what the ads of a category share of their latent content."""
    C, k = np.arange(c.categories), np.arange(LATENT)
    return np.asarray(np.sqrt(0.4) * normals(seed, "category mean", C[:, None], k))


def sensitivity_sd(c: WorldConfig) -> float:
    """Of the users' price sensitivity."""
    return float(c.interaction_sd * np.sqrt(1 - c.low_rank_share) * np.sqrt(0.3))


def truth_of(c: WorldConfig, seed: int, days: int) -> Truth:
    """The truth of a seed over ``days`` days."""
    U, A = np.arange(c.users), np.arange(c.ads)
    k = np.arange(LATENT)
    segment = integers(seed, "segment", c.segments, U).astype(np.int32)
    category = ad_categories(c, seed)
    mean = interest_of_segments(c, seed)[segment]
    phi = content_of_categories(c, seed)[category] + np.sqrt(OWN_CONTENT) * normals(seed, "phi", A[:, None], k)

    # Ornstein-Uhlenbeck steps around the segment's mean, a step a day; its stationary law is the law of day 0.
    rho = 0.5 ** (1 / c.drift_half_life) if c.drift_half_life else 1.0
    theta = np.empty((days, c.users, LATENT), dtype=np.float32)
    popularity = np.zeros((days, c.categories), dtype=np.float32)
    own = np.sqrt(OWN_INTEREST) * normals(seed, "theta", U[:, None], k)
    slow = 0.5 ** (1 / (3 * c.drift_half_life)) if c.drift_half_life else 1.0
    trend = c.category_drift_sd * normals(seed, "category popularity", np.arange(c.categories))
    for day in range(days):
        if day and c.drift_half_life:
            own = rho * own + np.sqrt(OWN_INTEREST * (1 - rho**2)) * normals(seed, "theta step", day, U[:, None], k)
            step = normals(seed, "category step", day, np.arange(c.categories))
            trend = slow * trend + c.category_drift_sd * np.sqrt(1 - slow**2) * step
        theta[day] = mean + own
        popularity[day] = trend

    low = c.interaction_sd * np.sqrt(c.low_rank_share)
    high = c.interaction_sd * np.sqrt(1 - c.low_rank_share)
    cross_sd, hour_sd = high * np.sqrt([0.5, 0.2])
    G, C, hours = np.arange(c.segments)[:, None], np.arange(c.categories), np.arange(HOURS)[:, None]
    bot = uniforms(seed, "is a bot", U) < c.bots if c.bots else None
    activity = np.exp(c.activity_sd * normals(seed, "activity", U))
    price = normals(seed, "price level", A).astype(np.float32)
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
        price=price,
        sensitivity=(sensitivity_sd(c) * normals(seed, "sensitivity", U)).astype(np.float32),
        base=c.base_logit,
        gamma=float(low / np.sqrt(LATENT)),
        activity=activity if bot is None else np.where(bot, c.bot_activity * activity, activity),
        arrival=arrivals(c, seed, days),
        buying=buying_of(c, seed, segment, category, price) if c.conversion_rate else None,
        bot=bot,
        bot_logit=float(logit(c.bot_rate)),
    )
