"""Flat, rising and worsening curves."""

import numpy as np
import pytest

from reports.numbers.plateau import plateau


class TestPlateau:
    def test_known_change(self):
        found = plateau([[9, 9, 9, 9, 1.0, 1.0, 1.1, 1.1], [9, 9, 9, 9, 2.0, 2.0, 2.1, 2.1]], True)
        assert found.change == pytest.approx((0.1 + 0.05) / 2)
        assert found.lo < found.change < found.hi

    def test_rising_recall_and_falling_logloss(self, rng):
        noise = rng.normal(0, 1e-3, size=(5, 12))
        climb = np.linspace(0.3, 0.6, 12) + noise
        assert plateau(climb, higher_is_better=True).rising
        assert not plateau(climb, higher_is_better=False).rising
        fall = plateau(1 - climb, higher_is_better=False)
        assert fall.rising
        assert fall.change < 0

    def test_flat_is_not_rising(self, rng):
        flat = 0.5 + rng.normal(0, 0.01, size=(5, 16))
        assert not plateau(flat, higher_is_better=True).rising
        found = plateau(np.ones((3, 4)), higher_is_better=True)
        assert found == (0.0, 0.0, 0.0, False, False)

    def test_a_curve_that_gets_worse_is_worsening(self, rng):
        climb = np.linspace(0.5, 0.83, 12) + rng.normal(0, 1e-3, size=(5, 12))
        assert plateau(climb, higher_is_better=False)[3:] == (False, True)
        assert plateau(1 - climb, higher_is_better=True).worsening
        assert not plateau(climb, higher_is_better=True).worsening
        assert not plateau([[1.0, 1.5], [1.0, 0.9], [1.0, 1.0]], higher_is_better=False).worsening

    def test_tolerance_decides_where_the_climb_is_sure(self):
        climb = [[1.0, 1.019], [1.0, 1.02], [1.0, 1.021]]
        assert plateau(climb, higher_is_better=True, tolerance=0.01).rising
        assert not plateau(climb, higher_is_better=True, tolerance=0.03).rising

    def test_unsure_climb_is_not_rising(self):
        assert not plateau([[1.0, 1.5], [1.0, 0.9], [1.0, 1.0]], higher_is_better=True).rising

    def test_one_world_goes_by_the_tolerance(self):
        assert plateau([[1.0, 1.05]], higher_is_better=True).rising
        assert not plateau([[1.0, 1.005]], higher_is_better=True).rising
        assert np.isnan(plateau([[1.0, 1.05]], higher_is_better=True).lo)

    @pytest.mark.parametrize(
        ("series", "tolerance", "message"),
        [
            ([[1.0]], 0.01, "at least 2 points"),
            ([1.0, 2.0], 0.01, r"series.shape == \(2,\)"),
            ([[1.0, np.nan]], 0.01, "must be finite"),
            ([[0.0, 1.0]], 0.01, "must differ from 0"),
            ([[1.0, 1.0]], -0.1, "tolerance == -0.1"),
        ],
    )
    def test_wrong_input(self, series, tolerance, message):
        with pytest.raises(ValueError, match=message):
            plateau(series, True, tolerance)
