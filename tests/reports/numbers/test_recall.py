"""Recall and captured value against known values and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.numbers.recall import captured, recall_at_k


@st.composite
def market(draw):
    """Small market with many ties: candidates [R, K], value [R, A], eligible [A], k."""
    ads, rows, k = draw(st.integers(1, 8)), draw(st.integers(1, 3)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    width = draw(st.integers(1, ads))
    candidates = np.stack([rng.permutation(ads)[:width] for _ in range(rows)])
    candidates[rng.random(candidates.shape) < 0.2] = -1
    return candidates, rng.integers(4, size=(rows, ads)) / 2, rng.random(ads) < 0.7, k


class TestRetrieval:
    def test_recall_known_values(self):
        value = np.array([[5.0, 4.0, 3.0, 2.0], [1.0, 9.0, 1.0, 1.0]])
        everyone = np.ones(4, dtype=bool)
        assert recall_at_k([[0, 3], [1, 0]], value, everyone).tolist() == [0.5, 1.0]
        assert recall_at_k([[0, 3], [1, 0]], value, everyone, k=1).tolist() == [1.0, 1.0]
        assert recall_at_k([[3, -1], [2, 3]], value, everyone).tolist() == [0.0, 0.0]

    def test_ties_go_to_the_lowest_id(self):
        assert recall_at_k([[1], [0]], np.ones((2, 3)), [True, True, True]).tolist() == [0.0, 1.0]
        assert recall_at_k([[1], [0]], np.ones((2, 3)), [False, True, True]).tolist() == [1.0, 0.0]

    def test_value_of_ineligible_ads_is_never_read(self):
        value = np.array([[np.nan, 2.0, 1.0]])
        assert recall_at_k([[1, 2]], value, [False, True, True]).tolist() == [1.0]
        assert captured([[2, 0]], value, [False, True, True]).tolist() == [pytest.approx(1 / 3)]

    def test_eligible_per_request(self):
        eligible = np.array([[True, False], [False, True]])
        assert recall_at_k([[0], [0]], np.ones((2, 2)), eligible).tolist() == [1.0, 0.0]

    def test_nothing_eligible_is_nan(self):
        assert np.isnan(recall_at_k([[0]], [[1.0, 2.0]], [False, False])).all()
        assert np.isnan(captured([[0]], [[0.0, 0.0]], [True, True])).all()

    @settings(deadline=None)
    @given(market())
    def test_brute_force(self, case):
        candidates, value, eligible, k = case
        recall, share = (
            recall_at_k(candidates, value, eligible, k),
            captured(candidates, value, eligible),
        )
        for r in range(len(value)):
            ranked = sorted(np.flatnonzero(eligible), key=lambda a, r=r: (-value[r, a], a))
            found = set(candidates[r]) - {-1}
            top = ranked[:k]
            assert recall[r] == pytest.approx(len(found & set(top)) / len(top) if top else np.nan, nan_ok=True)
            best = value[r, ranked[: candidates.shape[1]]].sum()
            got = sum(value[r, a] for a in found if eligible[a])
            assert share[r] == pytest.approx(got / best if best else np.nan, nan_ok=True)
            assert np.isnan(share[r]) or 0 <= share[r] <= 1

    @pytest.mark.parametrize(
        ("candidates", "value", "eligible", "k", "message"),
        [
            ([[2]], [[1.0, 2.0]], [True, True], None, "must be -1 or an ad below 2"),
            ([[0]], [[1.0, np.nan]], [True, True], None, "must be finite"),
            ([[0]], [[1.0, 2.0]], [True], None, r"eligible.shape == \(1,\)"),
            ([0], [[1.0, 2.0]], [True, True], None, r"candidates.shape == \(1,\)"),
            ([[0]], [[1.0, 2.0]], [True, True], 0, "k == 0, must be at least 1"),
        ],
    )
    def test_wrong_input(self, candidates, value, eligible, k, message):
        with pytest.raises(ValueError, match=message):
            recall_at_k(candidates, value, eligible, k)

    def test_captured_refuses_negative_value(self):
        with pytest.raises(ValueError, match=r"value == -1.0, must be at least 0"):
            captured([[0]], [[-1.0, 2.0]], [True, True])
