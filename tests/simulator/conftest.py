"""Small worlds, built once."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.auction import AuctionConfig
from simulator.feedback import FeedbackConfig
from simulator.marketplace import CascadeConfig, MarketConfig
from simulator.traffic import TrafficConfig
from simulator.world import World, WorldConfig, build

DAYS = 3


@pytest.fixture(scope="session")
def world_config() -> WorldConfig:
    return WorldConfig(users=800, ads=200, advertisers=30, base_logit=-2.5, budget_clicks=4.0)


@pytest.fixture(scope="session")
def world(world_config: WorldConfig) -> World:
    """800 users, 200 ads, tight budgets, clicks frequent enough to count."""
    return build(world_config, seed=5, days=DAYS)


@pytest.fixture(scope="session")
def rich_world(world_config: WorldConfig) -> World:
    """The same world with budgets that never bind."""
    return build(world_config.model_copy(update={"budget_clicks": 1e9}), seed=5, days=DAYS)


@pytest.fixture(scope="session")
def market_config() -> MarketConfig:
    return MarketConfig(
        traffic=TrafficConfig(requests_per_day=1500),
        auction=AuctionConfig(slots=3, reserve=0.01),
        feedback=FeedbackConfig(),
        cascade=CascadeConfig(candidates=20),
    )


def gini(x: np.ndarray) -> float:
    """Gini coefficient of non-negative counts."""
    x = np.sort(np.asarray(x, dtype=float))
    n = x.size
    return float(2 * (x * np.arange(1, n + 1)).sum() / (n * x.sum()) - (n + 1) / n)
