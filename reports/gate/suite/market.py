"""The market without models: auction, feedback, one tick."""

from __future__ import annotations

from typing import Any

import numpy as np

from .benchmark import Benchmark, Case
from .world import SEED, K, S, market, requests

R = 1000
ADS = 1000
TICK_REQUESTS = 800
WHOLE_DAY = 86_400


def ranked() -> tuple[Any, Any, Any]:
    """Candidates [R, K] without repeats in a row, a pctr for each, and the bids of all ads."""
    from scipy.special import expit

    from simulator.keyed_random import normals, uniforms
    from simulator.retrieval import top_k

    rows = np.arange(R)[:, None]
    ads = top_k(uniforms(1, "candidate", rows, np.arange(ADS)), K).astype(np.int32)
    pctr = expit(-4 + normals(1, "pctr", rows, ads)).astype(np.float32)
    return ads, pctr, np.exp(normals(1, "bid", np.arange(ADS)))


def auctions() -> Case:
    """GSP over 50 candidates and 4 slots."""
    from simulator.auction import AuctionConfig, auction

    ads, pctr, bid = ranked()
    config = AuctionConfig(slots=S, reserve=0.0)

    def check(slates: Any) -> None:
        score = bid[ads] * pctr.astype(float)
        order = np.argsort(-score, axis=1, kind="stable")[:, : S + 1]
        assert np.array_equal(slates.place, order[:, :S])
        following = np.take_along_axis(score, order, axis=1)[:, 1:]
        rate = np.take_along_axis(pctr, order, axis=1)[:, :S]
        np.testing.assert_allclose(slates.price, following / rate, rtol=1e-12)

    return Case(lambda _: auction(ads, pctr, bid, config), check)


def feedback() -> Case:
    """Examination, clicks and their delays."""
    from simulator.auction import AuctionConfig, auction
    from simulator.feedback import FeedbackConfig, examine_p, respond

    slates = auction(*ranked(), AuctionConfig(slots=S, reserve=0.0))
    asked, logit, config = requests(R), np.zeros(slates.ad.shape, dtype=np.float32), FeedbackConfig()

    def check(outcomes: Any) -> None:
        assert not (outcomes.click & ~outcomes.examined).any()
        expected = 0.5 * R * examine_p(S, config.examine_decay).sum()
        assert abs(outcomes.click.sum() - expected) < 5 * np.sqrt(R * S / 4)
        assert (outcomes.click_at >= asked.time[:, None])[outcomes.click].all()

    return Case(lambda _: respond(SEED, asked, slates, logit, config), check)


def tick() -> Case:
    """A day that is one tick, its traffic with it."""

    def check(day: Any) -> None:
        assert day.requests == TICK_REQUESTS
        assert 0.9 * S * TICK_REQUESTS < len(day.log) <= S * TICK_REQUESTS
        assert (day.log.price <= day.log.bid).all()
        # Clicks are luck around the truth.
        p = (day.ledger.true_ctr * day.ledger.examine_p).astype(float)
        assert abs(day.ledger.click.sum() - p.sum()) < 5 * np.sqrt((p * (1 - p)).sum())
        np.testing.assert_allclose(day.log.paid.sum(), day.log.price[day.ledger.click].sum() - day.unpaid)

    return Case(lambda made: made.run_day(0), check, lambda: market(TICK_REQUESTS, WHOLE_DAY))


BENCHMARKS = [
    Benchmark(
        name="auction/gsp",
        setup=auctions,
        sizes={"requests": R, "candidates": K, "slots": S},
        work=("auctions", R),
        pure=True,
    ),
    Benchmark(
        name="feedback/clicks", setup=feedback, sizes={"requests": R, "slots": S}, work=("requests", R), pure=True
    ),
    Benchmark(
        name="market/tick",
        setup=tick,
        sizes={"requests": TICK_REQUESTS, "candidates": K, "slots": S},
        work=("requests", TICK_REQUESTS),
    ),
]
