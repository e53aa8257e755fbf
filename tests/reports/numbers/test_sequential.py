"""What looking after every batch does, and that always-valid tests and intervals stand it."""

from __future__ import annotations

import numpy as np
import pytest

from reports.numbers.sequential import always_valid_half_width, always_valid_p
from tests.reports.numbers.many_tests import TESTS


def looks(rng: np.random.Generator, tests: int, effect: float = 0.0, batches: int = 20, size: int = 50):
    """Difference of two arms' means and its se after every batch [tests, batches]."""
    n = size * np.arange(1, batches + 1)
    draws = rng.normal(0, 1, (2, tests, batches, size))
    draws[1] += effect
    mean = draws.sum(axis=3).cumsum(axis=2) / n
    square = (draws**2).sum(axis=3).cumsum(axis=2) / n - mean**2
    return mean[1] - mean[0], np.sqrt(square.sum(axis=0) / n), n


def test_peeking():
    d, se, n = looks(np.random.default_rng(15), TESTS)
    naive = (np.abs(d / se) > 1.96).any(axis=1).sum()
    assert naive / TESTS > 0.15  # what twenty looks do to a z test
    valid = sum(always_valid_p(d[i], se[i], tau=0.1)[-1] < 0.05 for i in range(TESTS))
    assert valid / TESTS < 0.05 + 5 * np.sqrt(0.05 * 0.95 / TESTS)
    half = always_valid_half_width(se, n, best_at=500)
    missed = (np.abs(d) > half).any(axis=1).sum()
    assert missed / TESTS < 0.05 + 5 * np.sqrt(0.05 * 0.95 / TESTS)


def test_always_valid_tests_find_effects():
    d, se, n = looks(np.random.default_rng(16), 200, effect=0.2)
    p = np.array([always_valid_p(d[i], se[i], tau=0.1) for i in range(200)])
    assert (np.diff(p, axis=1) <= 0).all()
    assert (p[:, -1] < 0.05).mean() > 0.8
    half = always_valid_half_width(se, n, best_at=1000)
    assert (np.abs(d[:, -1]) > half[:, -1]).mean() > 0.8
    assert (half[:, -1] > 1.96 * se[:, -1]).all()  # the price of looking


def test_the_band_is_narrowest_where_it_was_asked_to_be():
    n = np.arange(100, 5001, 100)
    widths = [always_valid_half_width([0.1], [1000], best_at=b)[0] for b in n]
    assert abs(n[int(np.argmin(widths))] - 1000) <= 100


def test_msprt_by_hand():
    v, tau, d = 0.04, 0.1, 0.5
    ratio = np.sqrt(v / (v + tau**2)) * np.exp(tau**2 * d**2 / (2 * v * (v + tau**2)))
    assert always_valid_p([d, 0.0], [0.2, 0.2], tau) == pytest.approx([min(1, 1 / ratio)] * 2)
    with pytest.raises(ValueError, match="tau == 0, must be positive"):
        always_valid_p([0.1], [0.1], 0)
