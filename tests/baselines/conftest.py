"""A small world and the log of three days in it, made once."""

from __future__ import annotations

from typing import Any

import pytest

from baselines.rankers.dnn import dnn
from baselines.rankers.online import OnlineRanker
from baselines.training.retriever import TowerRetriever
from baselines.training.slots import AuxiliarySlot, ExtrasSlot
from reports.studies.arms import make_retriever, parse
from simulator.auction import AuctionConfig
from simulator.marketplace import CascadeConfig, MarketConfig, Marketplace
from simulator.records import Impressions, Requests, concatenate
from simulator.retrieval import PopularityRetriever
from simulator.traffic import TrafficConfig, day_requests
from simulator.world import PLACEMENTS, World, WorldConfig, build

DAYS = 3
SMALL = {"embedding": 4, "hidden": (32, 16), "negatives": 32, "batch": 128}


@pytest.fixture(scope="session")
def world() -> World:
    """200 users, 60 ads, frequent clicks."""
    return build(WorldConfig(users=200, ads=60, advertisers=10, base_logit=-1.5), seed=7, days=DAYS + 1)


@pytest.fixture(scope="session")
def market_config() -> MarketConfig:
    return MarketConfig(
        traffic=TrafficConfig(requests_per_day=400),
        auction=AuctionConfig(slots=3),
        cascade=CascadeConfig(candidates=10),
    )


def make_ranker(world: World, seed: int = 3, **params: object) -> OnlineRanker:
    """A small ranker whose hidden vector has the width that arms expect."""
    return dnn(world.catalog, seed, **({"embedding": 4, "hidden": (32, 64), "batch": 128} | params))


def make_towers(world: World, arm: str, seed: int = 3, **modifiers: object):
    """A small tower retriever by its arm's spelling."""
    return make_retriever(parse(arm), world.catalog, seed, SMALL, modifiers)


def extras_of(towers: TowerRetriever) -> Any:
    """What fills the slot for vectors; None if nothing does."""
    return next((slot.filler for slot in towers.trainer.slots if isinstance(slot, ExtrasSlot)), None)


def auxiliary_of(towers: TowerRetriever) -> Any:
    """What fills the slot for a further loss; None if nothing does."""
    return next((slot.filler for slot in towers.trainer.slots if isinstance(slot, AuxiliarySlot)), None)


@pytest.fixture(scope="session")
def log(world: World, market_config: MarketConfig) -> Impressions:
    """What an exploring popularity cascade with a small ranker left behind."""
    retriever = PopularityRetriever(world.catalog, 3, temperature=1.0)
    market = Marketplace(world, market_config, retriever, make_ranker(world))
    return concatenate([market.run_day(day).log for day in range(DAYS)])


@pytest.fixture(scope="session")
def requests(world: World) -> Requests:
    """Requests of the day after the log."""
    truth = world.truth
    config = TrafficConfig(requests_per_day=40)
    return day_requests(config, world.seed, DAYS, truth.activity, truth.arrival, PLACEMENTS)
