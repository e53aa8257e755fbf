"""Gini against known values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.numbers.inequality import gini


class TestGini:
    def test_known_values(self):
        assert gini([3, 3, 3]) == 0.0
        assert gini([0, 0, 0, 8]) == 0.75
        assert np.isnan(gini([0, 0]))
        assert np.isnan(gini([]))

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 100), min_size=1, max_size=20).filter(any))
    def test_is_half_the_relative_mean_difference(self, x):
        v = np.array(x, dtype=float)
        assert gini(x) == pytest.approx(np.abs(v[:, None] - v).mean() / (2 * v.mean()))

    def test_negative(self):
        with pytest.raises(ValueError, match=r"x == -1.0, must be at least 0"):
            gini([1, -1])
