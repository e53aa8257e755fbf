"""Speed of a market's day and its ticks at two loads, without models; each benchmark also checks what it bought."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.records import DAY, take
from simulator.traffic import day_requests
from simulator.world import PLACEMENTS
from tests.bench.conftest import per_second

K, S = 50, 4


@pytest.mark.parametrize("ranker", ["table", "oracle"])
@pytest.mark.parametrize("requests_per_day", [8_000, 80_000])
def test_market_day(described, market, requests_per_day, ranker):
    benchmark = described(f"market day, {ranker} ranker", requests=requests_per_day, candidates=K, slots=S, tick=900)
    day = benchmark.pedantic(
        lambda m: m.run_day(0), setup=lambda: ((market(requests_per_day, ranker),), {}), rounds=5, warmup_rounds=1
    )
    assert day.requests == requests_per_day
    assert 0.9 * S * requests_per_day < len(day.log) <= S * requests_per_day
    assert (day.log.price <= day.log.bid).all()
    # Clicks are luck around the truth.
    p = (day.ledger.true_ctr * day.ledger.examine_p).astype(float)
    assert abs(day.ledger.click.sum() - p.sum()) < 5 * np.sqrt((p * (1 - p)).sum())
    assert 0 < day.log.paid.sum() == pytest.approx(day.log.price[day.ledger.click].sum() - day.unpaid)
    per_second(benchmark, "requests", requests_per_day)


@pytest.mark.parametrize("requests_per_day", [8_000, 80_000])
def test_market_tick(described, market, world, requests_per_day):
    probe = market(requests_per_day)
    truth, traffic, tick = world.truth, probe.config.traffic, probe.config.cascade.tick
    day = day_requests(traffic, world.seed, 0, truth.activity, truth.arrival, PLACEMENTS)
    now = DAY // 2
    noon = take(day, slice(*np.searchsorted(day.time, [now, now + tick])))
    benchmark = described("market tick", requests=len(noon), candidates=K, slots=S, tick=tick)
    served = benchmark.pedantic(
        lambda m: m._serve(noon, now, m.budgets),
        setup=lambda: ((market(requests_per_day),), {}),
        rounds=20,
        warmup_rounds=2,
    )
    expected, log = probe._serve(noon, now, probe.budgets).log, served.log
    assert np.array_equal(log.ad, expected.ad)
    assert np.array_equal(log.paid, expected.paid)
    assert len(served.ledger.click) == len(log) > 0.9 * S * len(noon)
    assert served.unpaid == 0  # budgets are loose
    per_second(benchmark, "requests", len(noon))
