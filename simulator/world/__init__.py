"""The world: users, advertisers, campaigns, ads, and the truth about who clicks on what.

``World.catalog`` is what models may see; ``World.truth`` is what they may not. Both follow from (config, seed) alone by
keyed draws. In reading order: ``config`` (the dials), ``demand`` (advertisers, campaigns, ads), ``truth`` (who clicks),
``buying`` (who converts), ``catalog`` (what of all this is public). The equation of the truth:

    logit true_ctr = b + w_u + q_a                                  (levels of user and ad)
                   + gamma theta_u(t).phi_a + kappa[cat_a](t)       (low rank; drifting)
                   + X[g_u, cat_a] + T(price_a, sens_u) + H[hour, cat_a]   (crosses)
                   - fatigue(u, a)                                  (see exposure.py)
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.records import DAY, Catalog
from simulator.world.catalog import catalog_of
from simulator.world.config import LATENT, PLACEMENTS, WorldConfig
from simulator.world.demand import Demand, demand_of, eligible_at
from simulator.world.truth import Truth, truth_of


@dataclass(frozen=True, kw_only=True)
class World:
    """One world: its seed, the public catalog, the demand, and the truth."""

    seed: int
    catalog: Catalog
    demand: Demand
    truth: Truth


def build(config: WorldConfig, seed: int, days: int) -> World:
    """The world of a seed over ``days`` simulated days.

    Raises:
        ValueError: one line, for a world that begins without a user or an ad.
    """
    truth = truth_of(config, seed, days)
    demand = demand_of(config, seed, days)
    if not (truth.arrival < DAY).any():
        raise ValueError(f"world.new_users == {config.new_users}, must leave a user for the first day (seed {seed})")
    if not (demand.start <= 0).any():
        raise ValueError(f"world.new_ads == {config.new_ads}, must leave an ad for the first tick (seed {seed})")
    return World(seed=seed, truth=truth, demand=demand, catalog=catalog_of(config, seed, days, truth, demand))


__all__ = ["LATENT", "PLACEMENTS", "Demand", "Truth", "World", "WorldConfig", "build", "eligible_at"]
