"""Log loss, PCOC and the reliability curve against known values and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers.calibration import logloss, pcoc, reliability
from tests.reports.numbers.test_discrimination import scored


class TestLogloss:
    def test_known_values(self):
        assert logloss([0.5, 0.5], [0, 1]) == pytest.approx(np.log(2))
        assert logloss([0.9, 0.2], [1, 0]) == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)

    def test_clips(self):
        assert logloss([0.0], [1]) == pytest.approx(-np.log(1e-7))
        assert logloss(np.ones(1, dtype=np.float32), [0]) == pytest.approx(-np.log(1e-7))

    def test_refuses_logits(self):
        with pytest.raises(ValueError, match=r"p == 1.5, must be in \[0, 1\]"):
            logloss([0.5, 1.5], [0, 1])

    def test_no_rows(self):
        assert np.isnan(logloss([], []))


class TestCalibration:
    def test_pcoc(self):
        assert pcoc([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]) == 2.0
        assert np.isnan(pcoc([0.5], [0]))

    def test_pcoc_of_calibrated_draws_and_of_biased_ones(self, rng):
        p = rng.beta(2, 8, size=40_000)
        label = rng.random(p.size) < p
        assert pcoc(p, label) == pytest.approx(1, abs=0.03)
        assert pcoc(p / 2, label) == pytest.approx(0.5, abs=0.02)

    def test_the_curve_of_calibrated_draws_lies_on_the_diagonal(self, rng):
        p = rng.beta(2, 8, size=40_000)
        label = rng.random(p.size) < p
        curve, low = reliability(p, label, bins=20), reliability(p / 2, label, bins=20)
        assert curve.n @ np.abs(curve.p - curve.y) / p.size < 0.02
        assert low.n @ (low.y - low.p) / p.size == pytest.approx(0.1, abs=0.01)

    def test_bins_have_equal_mass(self, rng):
        curve = reliability(rng.random(1003), rng.random(1003) < 0.5, bins=10)
        assert curve.n.sum() == 1003
        assert set(curve.n) <= {100, 101}
        assert (np.diff(curve.p) > 0).all()
        assert curve.true is None

    @settings(deadline=None)
    @given(scored())
    def test_row_order_never_matters(self, rows):
        score, label, _ = rows
        p = score / 2
        flipped = reliability(p[::-1], label[::-1], p[::-1], bins=4)
        for one, two in zip(reliability(p, label, p, bins=4), flipped, strict=True):
            np.testing.assert_allclose(one, two)

    @settings(deadline=None)
    @given(scored(), st.integers(1, 12))
    def test_means_are_kept(self, rows, bins):
        score, label, _ = rows
        p, true_p = score / 2, score / 3
        curve = reliability(p, label, true_p, bins=bins)
        assert curve.n @ curve.p == pytest.approx(p.sum())
        assert curve.n @ curve.y == pytest.approx(label.sum())
        assert curve.n @ curve.true == pytest.approx(true_p.sum())
        assert ((curve.lo <= curve.y) & (curve.y <= curve.hi)).all()

    def test_wilson_interval_is_scipys(self):
        label = np.repeat([0, 1], [17, 3])
        curve = reliability(np.full(20, 0.2), label)
        expected = stats.binomtest(3, 20).proportion_ci(method="wilson")
        assert (curve.lo[0], curve.hi[0]) == pytest.approx((expected.low, expected.high))

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="bins == 0"):
            reliability([0.5], [1], bins=0)
        with pytest.raises(ValueError, match=r"true_p.shape"):
            reliability([0.5], [1], [0.5, 0.5])

    def test_no_rows(self):
        assert reliability([], []).n.size == 0
