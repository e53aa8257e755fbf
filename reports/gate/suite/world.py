"""The market that benchmarks share: quickstart's world with 50 candidates and three days of history, built once."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from .moved import imported

SEED = 7
K, S = 50, 4
WIDTH = 64
"""Width of a vector and of the ranker's hidden layer."""


@lru_cache(maxsize=1)
def scenario() -> Any:
    """Quickstart with 50 candidates; 4 slots and ticks of 900 s are its own."""
    from simulator.scenario import load

    return load("quickstart", sets=[f"cascade.candidates={K}", "world.history_days=3"])


@lru_cache(maxsize=1)
def world() -> Any:
    """4,000 users and 1,000 ads."""
    from simulator.world import build

    return build(scenario().world, SEED, 2)


def _unset(*_: Any) -> Any:
    raise AssertionError("the oracle has no market yet")


def market(requests_per_day: int, tick: int) -> Any:
    """A new market without models (random retriever, oracle ranker) with so many requests a day and seconds a tick."""
    from simulator.marketplace import Marketplace
    from simulator.ranking import OracleRanker
    from simulator.retrieval import RandomRetriever

    traffic = scenario().traffic.model_copy(update={"requests_per_day": requests_per_day})
    cascade = scenario().cascade.model_copy(update={"tick": tick})
    config = scenario().market.model_copy(update={"traffic": traffic, "cascade": cascade})
    # In an older revision the oracle reads the market that it ranks in, so it comes second.
    made: Any = Marketplace(world(), config, RandomRetriever(world().catalog, 3), OracleRanker(_unset))
    made.ranker = OracleRanker(made.truth.pairs if hasattr(made, "truth") else made.true_logit)
    return made


def requests(n: int) -> Any:
    """``n`` requests of the first day, in event order."""
    from simulator.traffic import day_requests
    from simulator.world import PLACEMENTS

    truth, traffic = world().truth, scenario().traffic.model_copy(update={"requests_per_day": n})
    return day_requests(traffic, SEED, 0, truth.activity, truth.arrival, PLACEMENTS)


def offers() -> Any:
    """Nine ads of ten may compete."""
    from simulator.records import Offers

    bid = world().demand.bid
    return Offers(eligible=np.arange(bid.size) % 10 > 0, bid=bid)


@lru_cache(maxsize=1)
def log() -> Any:
    """A day's impressions, with made-up hidden vectors as wide as the default ranker's."""
    from simulator.keyed_random import normals

    rows = market(1000, 900).run_day(0).log
    hidden = np.abs(normals(1, "hidden", rows.request[:, None], rows.ad[:, None], np.arange(WIDTH)))
    return replace(rows, hidden=hidden.astype(np.float16))


@lru_cache(maxsize=4)
def trained(spelling: str) -> Any:
    """A retriever after the first 2,048 rows of the log, published."""
    make_retriever = imported("reports.studies.arms:make_retriever", formerly="reports.arms:make_retriever")
    parse = imported("reports.studies.arms:parse", formerly="reports.arms:parse")

    made: Any = make_retriever(parse(spelling), world().catalog, SEED, {}, {})
    rows = log()[:2048]
    made.update(rows)
    made.sync(int(rows.ready_at[-1]))
    return made
