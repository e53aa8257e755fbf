"""Own, pooled and weighted rows: weights bring the pool back to what an arm alone would have logged."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.records import Impressions
from simulator.training_rows import TrainingRows

ADS = 5


def log(ad: np.ndarray) -> Impressions:
    n = ad.size
    whole, real, none = np.arange(n), np.ones(n), np.zeros(n, dtype=bool)
    return Impressions(
        request=whole, user=whole.astype(np.int32), ad=ad.astype(np.int32), slot=np.zeros(n, dtype=np.int8), time=whole,
        context=np.zeros((n, 2), dtype=np.int32), explored=none, bid=real, price=real, paid=real,
        pctr=real.astype(np.float32), logit=real.astype(np.float32), hidden=np.zeros((n, 0), dtype=np.float16),
        ready_at=whole, label=none,
    )  # fmt: skip


@pytest.fixture
def pool():
    """Control shows ads 0-3 alike; treatment shows ad 0 and, never shown by control, ad 4."""
    rng = np.random.default_rng(3)
    served = (rng.random(20_000) < 0.25).astype(np.int8)
    ad = np.where(served == 1, rng.choice([0, 4], 20_000), rng.integers(4, size=20_000))
    return log(ad), served


def test_own_and_pooled(pool):
    rows, served = pool
    own = TrainingRows("own", 1, ADS, 2)
    assert [len(own.of(rows, served, arm)) for arm in (0, 1)] == [(served == 0).sum(), (served == 1).sum()]
    assert TrainingRows("pooled", 1, ADS, 2).of(rows, served, 1) is rows


def test_weighted_rows_have_the_mix_of_the_arms_own(pool):
    rows, served = pool
    weighted = TrainingRows("weighted", 1, ADS, 2)
    weighted.see(rows, served)
    for arm in (0, 1):
        learned = weighted.of(rows, served, arm)
        # as many rows as the arm would have had alone, in event order
        assert len(learned) == pytest.approx(len(rows), rel=0.03)
        assert (np.diff(learned.request) >= 0).all()
        own = np.bincount(rows.ad[served == arm], minlength=ADS) / (served == arm).sum()
        assert np.bincount(learned.ad, minlength=ADS) / len(learned) == pytest.approx(own, abs=0.02)
    pooled = np.bincount(rows.ad, minlength=ADS) / len(rows)
    assert abs(pooled[4] - 0.5) > 0.3  # the pool itself is another mix


def test_equal_arms_have_weights_of_about_one():
    rng = np.random.default_rng(5)
    rows, served = log(rng.integers(ADS, size=5_000)), rng.integers(2, size=5_000).astype(np.int8)
    weighted = TrainingRows("weighted", 1, ADS, 2)
    assert np.array_equal(weighted.weight(rows, 0), np.ones(5_000))  # nothing seen yet
    weighted.see(rows, served)
    assert weighted.weight(rows, 1) == pytest.approx(1.0, abs=0.15)
