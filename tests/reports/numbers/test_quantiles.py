"""Quantiles with intervals against known values, and certified by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers.quantiles import quantile_ci


class TestQuantile:
    def test_p99_has_an_upper_bound_from_299_samples(self):
        assert np.isnan(quantile_ci(np.arange(298), 0.99).hi)
        assert quantile_ci(np.arange(299), 0.99).hi == 298
        assert quantile_ci(np.arange(299), 0.01).lo == 0
        assert np.isnan(quantile_ci(np.arange(298), 0.01).lo)

    def test_the_other_end_stands_where_one_is_missing(self):
        found = quantile_ci(np.arange(100), 0.99)
        assert found.lo < found.value
        assert np.isnan(found.hi)

    def test_agrees_with_scipy_in_large_samples(self, rng):
        x = rng.lognormal(size=3000)
        for q in (0.5, 0.95, 0.99):
            expected = stats.quantile_test(x, p=q).confidence_interval(0.95)
            found = quantile_ci(x, q)
            assert found.value == np.quantile(x, q)
            assert (found.lo, found.hi) == (expected.low, expected.high)

    @settings(max_examples=200, deadline=None)
    @given(st.integers(1, 700), st.floats(0.005, 0.995), st.sampled_from([0.8, 0.95, 0.99]))
    def test_coverage_never_below_level(self, n, q, level):
        found = quantile_ci(np.arange(n), q, level)
        if not np.isnan(found.lo) and not np.isnan(found.hi):
            # X_(l) = l - 1 here, and the interval covers when l <= B < u.
            covered = stats.binom.cdf(found.hi, n, q) - stats.binom.cdf(found.lo, n, q)
            assert covered >= level - 1e-9
            assert found.lo <= found.value <= found.hi

    def test_coverage_by_simulation(self, rng):
        truth = stats.expon.ppf(0.99)
        runs = [quantile_ci(rng.exponential(size=310), 0.99) for _ in range(400)]
        covered = np.mean([r.lo <= truth <= r.hi for r in runs])
        assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)

    def test_edges(self):
        assert quantile_ci([], 0.5).n == 0
        assert np.isnan(quantile_ci([3.0], 0.5).lo)
        with pytest.raises(ValueError, match=r"q == 1, must be in \(0, 1\)"):
            quantile_ci([1.0], 1)
        with pytest.raises(ValueError, match="level == 95"):
            quantile_ci([1.0], 0.5, level=95)
        with pytest.raises(ValueError, match="samples == nan"):
            quantile_ci([np.nan], 0.5)
