"""Speed of the towers and of CS3's stores; each benchmark also checks what it computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cs3.store import VectorTable, ema_
from reports.arms import make_retriever, parse
from simulator.records import Offers, take
from simulator.traffic import day_requests
from simulator.world import PLACEMENTS
from tests.bench.conftest import WIDTH, per_second

KEYS, USERS, BATCH = 1024, 100_000, 512


def retriever(spelling, world):
    return make_retriever(parse(spelling), world.catalog, 7, {}, {})


@pytest.fixture(scope="module")
def one(world, scenario):
    """One request."""
    truth = world.truth
    return take(day_requests(scenario.traffic, 7, 0, truth.activity, truth.arrival, PLACEMENTS), slice(5, 6))


@pytest.fixture(scope="module")
def keys():
    """Keys with some duplicates, in no order."""
    return torch.randint(USERS, (KEYS,), generator=torch.Generator().manual_seed(1)) // 7 * 7


@pytest.fixture(scope="module")
def values():
    return torch.randn(KEYS, WIDTH, generator=torch.Generator().manual_seed(2))


def test_ema_write(described, keys, values):
    benchmark = described("store write", keys=KEYS, width=WIDTH, rows=USERS)

    def fresh():
        return (torch.zeros(USERS, WIDTH), torch.zeros(USERS, dtype=torch.int32), keys, values, 0.8), {}

    tables = []

    def write(table, counts, *rest):
        ema_(table, counts, *rest)
        tables[:] = [table, counts]

    benchmark.pedantic(write, setup=fresh, rounds=20, warmup_rounds=2)
    expected = torch.zeros(USERS, WIDTH)
    for key, value in zip(keys.tolist(), values, strict=True):
        expected[key] = 0.8 * expected[key] + 0.2 * value
    torch.testing.assert_close(tables[0], expected)
    assert torch.equal(tables[1], torch.bincount(keys, minlength=USERS).to(torch.int32))


def test_store_fetch(described, keys, values):
    table = VectorTable(USERS, WIDTH, decay=0.8)
    table.write(keys, values, 0)
    table.publish(0)
    benchmark = described("store fetch", keys=KEYS, width=WIDTH, rows=USERS)
    fetched = benchmark(table.published, keys)
    assert fetched.shape[0] == KEYS
    assert fetched.abs().sum(dim=1).gt(0).all()
    assert torch.equal(fetched[17], table.published(keys[17:18])[0])
    per_second(benchmark, "keys", KEYS)


@pytest.mark.parametrize("spelling", ["dssm", "dssm+cas", "dssm+cs3"])
def test_user_tower_at_batch_1(described, world, one, spelling):
    benchmark = described("user tower, batch 1", requests=1)
    towers = retriever(spelling, world)
    u = benchmark(towers.encode_users, one)
    assert u.shape == (1, WIDTH)
    assert float(u.norm()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("spelling", ["dssm", "dssm+cs3"])
def test_single_request_retrieval(described, world, one, spelling):
    towers, k = retriever(spelling, world), 50
    offers = Offers(eligible=np.arange(world.demand.bid.size) % 10 > 0, bid=world.demand.bid)
    benchmark = described("retrieval of a single request", requests=1, ads=world.demand.bid.size, candidates=k)
    found = benchmark(towers.retrieve, one, offers, k)
    money = towers.logits(one).numpy()[0] + offers.log_bid()
    assert set(found.ad[0].tolist()) == set(np.argsort(-money)[:k].tolist())


@pytest.mark.parametrize("spelling", ["dssm", "dssm+cs3"])
def test_training_batch(described, world, one, log, spelling):
    towers, rows = retriever(spelling, world), log[:BATCH]
    assert len(rows) == BATCH
    assert rows.label.any()
    before = towers.encode_users(one)
    benchmark = described("training batch", rows=BATCH)
    benchmark(towers.update, rows)
    assert torch.equal(before, towers.encode_users(one))  # served as published
    towers.sync(int(rows.ready_at[-1]))
    after = towers.encode_users(one)
    assert after.isfinite().all()
    assert not torch.equal(before, after)
    per_second(benchmark, "rows", BATCH)
