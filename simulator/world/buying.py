"""Who buys after a click, and what that is worth. Terms of its own: a good click is not a good customer.

    logit true_cvr = c + v_u + l_a                                  (levels of user and landing page)
                   + Y[g_u, cat_a] - P(price_a, purse_u)            (crosses)

The log of a conversion's value is normal around its category's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from simulator.keyed_random import normals
from simulator.records import Floats, Keys, Money
from simulator.world.config import WorldConfig


@dataclass(frozen=True, kw_only=True)
class Buying:
    """What decides conversions. Held by the market and the studies, never by a model.

    Attributes:
        base: logit of the rate in the middle.
        user_level, landing: float32 [U], [A].
        cross: float32 [G, C].
        price, purse: float32 [A], [U]; their product is P.
        segment, category: int32 [U], [A].
        median_value: float64 [A], median money of a conversion.
        value_sd: sd of log value around it.
    """

    base: float
    user_level: Floats
    landing: Floats
    cross: Floats
    price: Floats
    purse: Floats
    segment: Keys
    category: Keys
    median_value: Money
    value_sd: float

    def pairs(self, users: Keys, ads: Keys) -> Floats:
        """logit true_cvr of users [n] and ads [n] -> float32 [n]."""
        out = self.user_level[users] + self.landing[ads] + np.float32(self.base)
        out += self.cross[self.segment[users], self.category[ads]]
        out -= self.purse[users] * self.price[ads]
        return np.asarray(out, dtype=np.float32)


def buying_of(c: WorldConfig, seed: int, segment: Keys, category: Keys, price: Floats) -> Buying:
    """What decides conversions in the world of a seed."""
    U, A, C = np.arange(c.users), np.arange(c.ads), np.arange(c.categories)
    half = c.conversion_interaction_sd * np.sqrt(0.5)
    value = c.conversion_value * np.exp(c.value_category_sd * normals(seed, "category value", C))
    return Buying(
        base=float(logit(c.conversion_rate)),
        user_level=(c.conversion_user_sd * normals(seed, "user buys", U)).astype(np.float32),
        landing=(c.landing_sd * normals(seed, "landing", A)).astype(np.float32),
        cross=(half * normals(seed, "conversion cross", np.arange(c.segments)[:, None], C)).astype(np.float32),
        price=price,
        purse=(half * normals(seed, "purse", U)).astype(np.float32),
        segment=segment,
        category=category,
        median_value=value[category],
        value_sd=c.value_sd,
    )
