"""Kendall's tau-b against scipy."""

import numpy as np
import pytest
from scipy import stats

from reports.numbers import agreement
from reports.numbers.agreement import kendall_tau_b


class TestKendall:
    @pytest.mark.parametrize("levels", [3, 10, 10_000])
    def test_agrees_with_scipy_with_and_without_ties(self, rng, levels):
        x, y = rng.integers(levels, size=(2, 40, 25))
        expected = [stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(kendall_tau_b(x, y), expected)

    def test_extremes_are_exact(self, rng):
        x = rng.normal(size=(3, 30))
        assert kendall_tau_b(x, np.exp(x)).tolist() == [1.0] * 3
        assert kendall_tau_b(x, -x).tolist() == [-1.0] * 3

    def test_constant_row_is_nan(self):
        assert np.isnan(kendall_tau_b([[1, 1, 1], [1, 2, 3]], [[1, 2, 3], [1, 2, 2]])).tolist() == [True, False]

    def test_blocks_change_nothing(self, rng, monkeypatch):
        x, y = rng.integers(6, size=(2, 7, 11))
        whole = kendall_tau_b(x, y)
        for block in (1, 40, 300):
            monkeypatch.setattr(agreement, "_BLOCK", block)
            assert kendall_tau_b(x, y).tolist() == whole.tolist()

    def test_nan_leaves_an_entry_out(self, rng):
        x, y = rng.integers(5, size=(2, 4, 12)).astype(float)
        padded_x, padded_y = np.pad(x, ((0, 0), (0, 2)), constant_values=np.nan), np.pad(y, ((0, 0), (0, 2)))
        np.testing.assert_array_equal(kendall_tau_b(padded_x, padded_y), kendall_tau_b(x, y))

    def test_infinite_scores_are_ranked(self):
        assert kendall_tau_b([[-np.inf, 0.0, np.inf]], [[1, 2, 3]]).tolist() == [1.0]

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match=r"x.shape == \(2,\)"):
            kendall_tau_b([1, 2], [1, 2])
