"""Exposure counts against a dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.exposure import Exposures, fatigue

ADS = 7
TICK = st.lists(st.tuples(st.integers(0, 5), st.integers(0, ADS - 1)), max_size=15)
DAYS = st.lists(st.lists(TICK, max_size=5), min_size=1, max_size=5)


@given(DAYS, st.integers(1, 3))
def test_equals_a_dictionary(days, window):
    exposures = Exposures(ADS, window)
    shown: list[Counter[tuple[int, int]]] = [Counter()]
    everyone, everything = np.arange(6, dtype=np.int32)[:, None], np.arange(ADS, dtype=np.int32)[None, :]
    for day in days:
        for tick in day:
            users, ads = (np.array([pair[i] for pair in tick], dtype=np.int32) for i in (0, 1))
            exposures.add(users, ads)
            shown[-1].update(tick)
            expected = sum(shown[-window:], Counter())
            counts = exposures.counts(everyone, everything)
            assert counts.tolist() == [[expected[u, a] for a in range(ADS)] for u in range(6)]
        exposures.new_day()
        shown.append(Counter())


def test_equals_an_array_when_the_table_fills_grows_and_forgets():
    users, ads, window = 300, 211, 2
    exposures = Exposures(ads, window)
    days: list[np.ndarray] = [np.zeros((users, ads), dtype=np.int64)]
    draw = np.random.default_rng(1)
    for _ in range(4):
        for size in (1, 5000, 20, 9000):
            # Popular users and ads come often, so a tick holds a pair several times.
            user = (users * draw.random(size) ** 2).astype(np.int32)
            ad = (ads * draw.random(size) ** 2).astype(np.int32)
            exposures.add(user, ad)
            np.add.at(days[-1], (user, ad), 1)
            expected = sum(days[-window:])
            counts = exposures.counts(np.arange(users, dtype=np.int32)[:, None], np.arange(ads, dtype=np.int32)[None])
            assert np.array_equal(counts, expected)
        assert 2 * np.count_nonzero(expected) <= exposures.places
        exposures.new_day()
        days.append(np.zeros_like(days[0]))


def test_memory_grows_with_distinct_pairs_of_the_window_only():
    exposures = Exposures(1_000_000, 2)
    users, ads = np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32)
    for _ in range(5):
        exposures.new_day()
        for _ in range(100):
            exposures.add(users, ads)
    assert exposures.places <= 1024
    assert (exposures.counts(users, ads) == 200).all()


def test_a_window_has_a_day():
    with pytest.raises(ValueError, match=r"^window == 0, must be at least 1 day$"):
        Exposures(ADS, 0)


def test_fatigue_and_its_off_position():
    counts = np.array([0, 1, 9])
    assert_allclose(fatigue(counts, 0.5), 0.5 * np.log([1, 2, 10]), rtol=1e-6)
    assert not fatigue(counts, 0.0).any()
