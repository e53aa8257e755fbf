"""Exposure counts against a dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulator.exposure import Exposures, fatigue

ADS = 7
TICKS = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, ADS - 1)), max_size=15), max_size=8)


@given(TICKS)
def test_equals_a_dictionary(ticks):
    exposures, expected = Exposures(ADS), Counter()
    everyone, everything = np.arange(6, dtype=np.int32)[:, None], np.arange(ADS, dtype=np.int32)[None, :]
    for tick in ticks:
        users, ads = (np.array([pair[i] for pair in tick], dtype=np.int32) for i in (0, 1))
        exposures.add(users, ads)
        expected.update(tick)
        counts = exposures.counts(everyone, everything)
        assert counts.tolist() == [[expected[u, a] for a in range(ADS)] for u in range(6)]


def test_memory_grows_with_distinct_pairs_only():
    exposures = Exposures(1_000_000)
    users, ads = np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32)
    for _ in range(500):
        exposures.add(users, ads)
    assert sum(keys.size for keys, _ in exposures._runs) <= 200
    assert (exposures.counts(users, ads) == 500).all()


def test_fatigue_and_its_off_position():
    counts = np.array([0, 1, 9])
    assert_allclose(fatigue(counts, 0.5), 0.5 * np.log([1, 2, 10]), rtol=1e-6)
    assert not fatigue(counts, 0.0).any()
