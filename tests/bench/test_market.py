"""Speed of the market without models; each benchmark also checks what it bought."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from simulator.auction import AuctionConfig, auction
from simulator.feedback import FeedbackConfig, examine_p, respond
from simulator.keyed_random import normals, uniforms
from simulator.records import DAY, take
from simulator.retrieval import top_k
from simulator.traffic import day_requests
from simulator.world import PLACEMENTS
from tests.bench.conftest import per_second

R, K, S = 1000, 50, 4


@pytest.fixture(scope="module")
def requests(world, scenario):
    truth = world.truth
    config = scenario.traffic.model_copy(update={"requests_per_day": R})
    return day_requests(config, 7, 0, truth.activity, truth.arrival, PLACEMENTS)


@pytest.fixture(scope="module")
def ranked(world):
    """Candidates [R, K] without repeats in a row, and a pctr for each."""
    ads = top_k(uniforms(1, "candidate", np.arange(R)[:, None], np.arange(world.demand.bid.size)), K).astype(np.int32)
    pctr = expit(-4 + normals(1, "pctr", np.arange(R)[:, None], ads)).astype(np.float32)
    return ads, pctr


@pytest.mark.parametrize("requests_per_day", [8_000, 80_000])
def test_market_day(described, market, requests_per_day):
    benchmark = described("market day", requests=requests_per_day, candidates=K, slots=S, tick=900)
    day = benchmark.pedantic(
        lambda m: m.run_day(0), setup=lambda: ((market(requests_per_day),), {}), rounds=5, warmup_rounds=1
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
    log, ledger, unpaid = benchmark.pedantic(
        lambda m: m._serve(noon, now), setup=lambda: ((market(requests_per_day),), {}), rounds=20, warmup_rounds=2
    )
    expected, _, _ = probe._serve(noon, now)
    assert np.array_equal(log.ad, expected.ad)
    assert np.array_equal(log.paid, expected.paid)
    assert len(ledger.click) == len(log) > 0.9 * S * len(noon)
    assert unpaid == 0  # budgets are loose
    per_second(benchmark, "requests", len(noon))


def test_auction(described, world, ranked):
    ads, pctr = ranked
    benchmark = described("auction", requests=R, candidates=K, slots=S)
    slates = benchmark(auction, ads, pctr, world.demand.bid, AuctionConfig(slots=S, reserve=0.0))
    score = world.demand.bid[ads] * pctr.astype(float)
    order = np.argsort(-score, axis=1, kind="stable")[:, : S + 1]
    assert np.array_equal(slates.place, order[:, :S])
    following = np.take_along_axis(score, order, axis=1)[:, 1:]
    rate = np.take_along_axis(pctr, order, axis=1)[:, :S]
    np.testing.assert_allclose(slates.price, following / rate, rtol=1e-12)
    per_second(benchmark, "requests", R)


def test_feedback(described, world, ranked, requests):
    ads, pctr = ranked
    slates = auction(ads, pctr, world.demand.bid, AuctionConfig(slots=S, reserve=0.0))
    logit = np.zeros(slates.ad.shape, dtype=np.float32)
    benchmark = described("feedback", requests=R, slots=S)
    config = FeedbackConfig()
    outcomes = benchmark(respond, 7, requests, slates, logit, config)
    assert not (outcomes.click & ~outcomes.examined).any()
    expected = 0.5 * R * examine_p(S, config.examine_decay).sum()
    assert abs(outcomes.click.sum() - expected) < 5 * np.sqrt(R * S / 4)
    assert (outcomes.click_at >= requests.time[:, None])[outcomes.click].all()
    per_second(benchmark, "requests", R)


def test_exact_top_k(described):
    rows, ads = 100, 10_000
    score = normals(1, "score", np.arange(rows)[:, None], np.arange(ads)).astype(np.float32)
    benchmark = described("exact top K", requests=rows, ads=ads, candidates=K)
    top = benchmark(top_k, score, K)
    assert np.array_equal(top, np.argsort(-score, axis=1, kind="stable")[:, :K])
    per_second(benchmark, "requests", rows)
