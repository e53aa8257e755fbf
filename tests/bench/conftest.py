"""The market that benchmarks outside the registry share: quickstart's world, few days of it, built once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from simulator.current_truth import CurrentTruth
from simulator.marketplace import MarketConfig, Marketplace
from simulator.ranking import OracleRanker, TableRanker
from simulator.retrieval import RandomRetriever
from simulator.scenario import Scenario, load
from simulator.world import World, build

WIDTH = 64
"""Width of the ranker's hidden vector."""


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    """Quickstart with 50 candidates; 4 slots and ticks of 900 s are its own."""
    return load("quickstart", sets=["cascade.candidates=50", "world.history_days=3"])


@pytest.fixture(scope="session")
def world(scenario: Scenario) -> World:
    return build(scenario.world, 7, 2)


@pytest.fixture(scope="session")
def market(world: World, scenario: Scenario) -> Callable[..., Marketplace]:
    """A new market without models (random retriever) with so many requests a day.

    ``ranker``: ``table`` looks a rate up; ``oracle`` computes the true rate of every candidate, which is the most that
    a market can ask of the world's truth.
    """

    def make(requests_per_day: int, ranker: str = "oracle") -> Marketplace:
        traffic = scenario.traffic.model_copy(update={"requests_per_day": requests_per_day})
        config: MarketConfig = scenario.market.model_copy(update={"traffic": traffic})
        rate = np.linspace(0.02, 0.08, world.catalog.ads.rows, dtype=np.float32)
        truth = CurrentTruth(world, config.feedback)
        made = OracleRanker(truth.pairs) if ranker == "oracle" else TableRanker(rate)
        return Marketplace(world, config, RandomRetriever(world.catalog, 3), made, truth=truth)

    return make


@pytest.fixture(autouse=True)
def one_thread():
    """Timed on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def described(benchmark: Any) -> Callable[..., Any]:
    """Names the group and the sizes of a benchmark: ``described("market", requests=8000)`` is the benchmark."""

    def describe(group: str, **sizes: int) -> Any:
        benchmark.group = group
        benchmark.extra_info.update(sizes, threads=1)
        return benchmark

    return describe


def per_second(benchmark: Any, what: str, n: int) -> None:
    """Add the median rate of ``n`` things a call; nothing when benchmarks run untimed."""
    if benchmark.enabled:
        benchmark.extra_info[f"{what}_per_second"] = round(n / benchmark.stats.stats.median)
