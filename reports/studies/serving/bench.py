"""Arms that learned, published and are served, over catalogues of any size.

A catalogue larger than the world's holds the trained item vectors with noise, at unit length: an exact scan takes its
time by their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from baselines.search.scan import Scan
from baselines.serving import Server, freeze
from reports.studies.arms import make_ranker, make_retriever, parse
from reports.studies.market.evaluation import sample
from reports.studies.serving.settings import BASE, REQUESTS, STACKS_ONLY, ServingConfig, scenario_of
from simulator.keyed_random import subseed
from simulator.marketplace import Marketplace
from simulator.plugins import Ranker
from simulator.records import DAY, Floats, Impressions, Offers, Requests, take
from simulator.retrieval import PopularityRetriever
from simulator.scenario import Scenario
from simulator.world import World, build

NOISE = 0.3
SHARE = 0.1
"""Of the ads that may not compete."""


class Warm(NamedTuple):
    """A served arm.

    Attributes:
        server: over the world's own ads.
        items: float32 [A, d], what it searches.
        cost: of its retriever.
        state: float32 numbers that the user tower fetches per request.
    """

    server: Server
    items: Floats
    cost: Any
    state: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all measurements share."""

    config: ServingConfig
    scenario: Scenario
    world: World
    arms: Mapping[str, Warm]
    ranker: Ranker
    requests: Requests

    def some(self, i: int, batch: int) -> Requests:
        """The ``i``-th batch, round and round."""
        first = i * batch % (len(self.requests) - batch + 1)
        return take(self.requests, slice(first, first + batch))


def bench_of(config: ServingConfig, done: Callable[[], Any], users: int = 1) -> Bench:
    """Arms that learned, published and are served, in a world with ``users`` times the scenario's users."""
    scenario = scenario_of(config, users)
    world = build(scenario.world, config.seed, 2)
    ranker = make_ranker(parse(BASE), world.catalog, config.seed, {})
    log = _log(scenario, world, ranker, config.rows)
    arms = {}
    for name in config.arms:
        arms[name] = _warm(name, config, world, log)
        done()
    requests = sample(world, 0, REQUESTS, "latency").requests
    return Bench(config=config, scenario=scenario, world=world, arms=arms, ranker=ranker, requests=requests)


def _log(scenario: Scenario, world: World, ranker: Ranker, rows: int) -> Impressions:
    """So many rows of a day that an exploring popularity cascade served."""
    retriever = PopularityRetriever(world.catalog, 3, temperature=1.0)
    return Marketplace(world, scenario.market, retriever, ranker).run_day(0).log[:rows]


def _warm(name: str, config: ServingConfig, world: World, log: Impressions) -> Warm:
    """An arm that learned, published, and is served."""
    retriever: Any = make_retriever(parse(name), world.catalog, config.seed, {}, {})
    retriever.update(log)
    retriever.sync(DAY)
    own = parse(name).backbone in STACKS_ONLY
    server = freeze(retriever, runtime="torch" if own else config.runtime)
    return Warm(server, retriever.items().numpy(), retriever.cost(), retriever.extra_widths()[0])


def costs_by_shape(warm: Warm, ads: int) -> dict[str, Any]:
    """What an arm costs by its shapes."""
    d = warm.items.shape[1]
    return {
        "item_bytes": 4 * d,
        "state_bytes_per_user": 4 * warm.state,
        "user_flops": warm.cost.user_flops,
        "scan_flops_per_ad": 2 * (d + 1),
        "scan_flops_at_largest": 2 * (d + 1) * ads,
    }


def of_size(warm: Warm, ads: int, offers: Offers, seed: int) -> Server:
    """The arm over so many ads: the world's own, and more like them."""
    draws = np.random.default_rng(subseed(seed, f"serving {ads}"))
    n, d = warm.items.shape
    like = draws.integers(n, size=ads)
    items = warm.items[like] + np.float32(NOISE / np.sqrt(d)) * draws.standard_normal((ads, d), dtype=np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    scan = Scan(items)
    log_bid = offers.log_bid()[like] + np.float32(0.1) * draws.standard_normal(ads, dtype=np.float32)
    scan.offer(np.where(draws.random(ads) < SHARE, np.float32(-np.inf), log_bid))
    return warm.server.over(scan)


def offers_of(bench: Bench) -> Offers:
    """All ads, at the world's bids."""
    bid = bench.world.demand.bid
    return Offers(eligible=np.ones(bid.size, dtype=bool), bid=bid)


def ask(server: Server, requests: Requests, k: int) -> Any:
    """The top ``k`` of some requests."""
    return server.serve(requests.user, requests.time, requests.context, k)
