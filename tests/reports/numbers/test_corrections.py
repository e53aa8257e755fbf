"""Corrections for many claims against their rules, and certified by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.numbers.corrections import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


class TestManyClaims:
    def test_holm_known_value(self):
        np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])

    @settings(deadline=None)
    @given(P_VALUES)
    def test_holm_lies_between_raw_and_bonferroni_and_keeps_order(self, p):
        raw, adjusted = np.array(p), holm(p)
        assert (adjusted >= raw).all()
        assert (adjusted <= np.minimum(raw * raw.size, 1)).all()
        assert (np.diff(adjusted[np.argsort(raw)]) >= 0).all()

    @settings(deadline=None)
    @given(P_VALUES, st.floats(0.01, 0.5))
    def test_holm_rejects_what_the_step_down_rule_rejects(self, p, alpha):
        rejected = set()
        for step, i in enumerate(np.argsort(p, kind="stable")):
            if p[i] * (len(p) - step) > alpha:
                break
            rejected.add(int(i))
        assert set(np.flatnonzero(holm(p) <= alpha).tolist()) == rejected

    @settings(deadline=None)
    @given(P_VALUES)
    def test_benjamini_hochberg_is_the_step_up_rule(self, p):
        adjusted, m = benjamini_hochberg(p), len(p)
        ranked = np.sort(p)
        for i, x in enumerate(p):
            least = min(ranked[k] * m / (k + 1) for k in range(m) if ranked[k] >= x)
            assert adjusted[i] == pytest.approx(min(1.0, least))

    @pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
    def test_nan_is_not_counted(self, correct):
        found = correct([0.01, np.nan, 0.5])
        np.testing.assert_allclose(found[[0, 2]], correct([0.01, 0.5]))
        assert np.isnan(found[1])
        assert np.isnan(correct([np.nan])).all()
        assert correct([]).size == 0

    @pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
    def test_wrong_input(self, correct):
        with pytest.raises(ValueError, match=r"p == \[1.2\], must be"):
            correct([0.5, 1.2])

    def test_family_wise_false_alarms_by_simulation(self, rng):
        p = rng.random((4000, 6))
        alarms = np.mean([(holm(row) < 0.05).any() for row in p])
        assert alarms == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / 4000))
