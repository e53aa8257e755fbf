"""Towers: one user, one request, the whole cascade, one training batch; plain and with CS3."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .benchmark import Benchmark, Case
from .moved import imported
from .world import SEED, WIDTH, K, log, offers, requests, scenario, trained, world

BATCH = 512
ADS = 1000


def _one() -> Any:
    """One request."""
    from simulator.records import take

    return take(requests(8), slice(5, 6))


def user_tower(spelling: str) -> Case:
    """The user tower at batch 1, published vectors fetched."""
    towers, one = trained(spelling), _one()

    def check(u: Any) -> None:
        assert u.shape == (1, WIDTH)
        assert abs(float(u.norm()) - 1) < 1e-5

    return Case(lambda _: towers.encode_users(one), check)


def retrieval(spelling: str) -> Case:
    """A single request to its K best ads by the exact scan."""
    towers, one, demand = trained(spelling), _one(), offers()

    def check(found: Any) -> None:
        money = towers.logits(one).numpy()[0] + demand.log_bid()
        assert set(found.ad[0].tolist()) == set(np.argsort(-money)[:K].tolist())

    return Case(lambda _: towers.retrieve(one, demand, K), check)


def cascade(spelling: str) -> Case:
    """A single request through retrieval, ranker and auction."""
    make_ranker = imported("reports.studies.arms:make_ranker", formerly="reports.arms:make_ranker")
    parse = imported("reports.studies.arms:parse", formerly="reports.arms:parse")
    from simulator.auction import auction

    towers, one, demand, rules = trained(spelling), _one(), offers(), scenario().auction
    ranker = make_ranker(parse(spelling), world().catalog, SEED, {})

    def serve(_: Any) -> Any:
        found = towers.retrieve(one, demand, K)
        return auction(found.ad, ranker.rank(one, found.ad).pctr, demand.bid, rules)

    def check(slates: Any) -> None:
        assert slates.ad.shape == (1, rules.slots)
        shown = slates.ad[slates.ad >= 0]
        assert shown.size > 0
        assert np.isin(shown, towers.retrieve(one, demand, K).ad).all()
        assert (slates.price <= slates.bid).all()

    return Case(serve, check)


def training(spelling: str) -> Case:
    """One update by a batch."""
    make_retriever = imported("reports.studies.arms:make_retriever", formerly="reports.arms:make_retriever")
    parse = imported("reports.studies.arms:parse", formerly="reports.arms:parse")

    towers: Any = make_retriever(parse(spelling), world().catalog, SEED, {}, {})
    rows, one = log()[:BATCH], _one()
    before = towers.encode_users(one)
    served = [before]

    def check(_: Any) -> None:
        assert np.array_equal(served[0], towers.encode_users(one))  # as published, whatever was learned since
        towers.sync(int(rows.ready_at[-1]))
        served[0] = towers.encode_users(one)
        assert served[0].isfinite().all()
        assert not np.array_equal(before, served[0])

    return Case(lambda _: towers.update(rows), check)


BENCHMARKS = [
    *(
        Benchmark(name=f"user-tower/{arm}", setup=partial(user_tower, arm), sizes={"requests": 1}, work=("requests", 1))
        for arm in ("dssm", "dssm+cas", "dssm+cs3")
    ),
    *(
        Benchmark(
            name=f"retrieval/{arm}",
            setup=partial(retrieval, arm),
            sizes={"requests": 1, "ads": ADS, "candidates": K},
            work=("requests", 1),
        )
        for arm in ("dssm", "dssm+cs3")
    ),
    *(
        Benchmark(
            name=f"cascade/{arm}",
            setup=partial(cascade, arm),
            sizes={"requests": 1, "ads": ADS, "candidates": K},
            work=("requests", 1),
        )
        for arm in ("dssm", "dssm+cs3")
    ),
    *(
        Benchmark(
            name=f"training/{arm}", setup=partial(training, arm), sizes={"rows": BATCH}, work=("impressions", BATCH)
        )
        for arm in ("dssm", "dssm+cs3")
    ),
]
