"""AUC and GAUC against known values, scipy, and brute force."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers.discrimination import auc, auc_by_weight, gauc, gauc_by_weight


@st.composite
def scored(draw, groups=3):
    """Few distinct scores, so that ties are common: score, label, group."""
    n = draw(st.integers(1, 30))
    column = lambda top: np.array(draw(st.lists(st.integers(0, top), min_size=n, max_size=n)))  # noqa: E731
    return column(5) / 4, column(1), column(groups - 1)


def brute_auc(score, label, weight):
    won = pairs = 0.0
    for i in np.flatnonzero(label == 1):
        for j in np.flatnonzero(label == 0):
            pairs += weight[i] * weight[j]
            won += weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return won / pairs if pairs else np.nan


class TestAuc:
    def test_known_values(self):
        assert auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
        assert auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1.0
        assert auc([-np.inf, np.inf], [True, False]) == 0.0
        assert auc([5, 5, 5], [0, 1, 0]) == 0.5

    def test_one_class_or_no_row_is_nan(self):
        assert np.isnan(auc([1, 2], [1, 1]))
        assert np.isnan(auc([], []))

    @settings(deadline=None)
    @given(scored(), st.data())
    def test_brute_force_with_weights(self, rows, data):
        score, label, _ = rows
        weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(score), max_size=len(score))))
        assert auc(score, label) == pytest.approx(brute_auc(score, label, np.ones(len(score))), nan_ok=True)
        by_weight = auc_by_weight(score, label)(weight)
        assert by_weight == pytest.approx(brute_auc(score, label, weight), nan_ok=True)
        repeated = auc(np.repeat(score, weight), np.repeat(label, weight))
        assert by_weight == pytest.approx(repeated, nan_ok=True)

    def test_agrees_with_mann_whitney(self, rng):
        score, label = rng.integers(50, size=2000), rng.random(2000) < 0.2
        u = stats.mannwhitneyu(score[label], score[~label]).statistic
        assert auc(score, label) == pytest.approx(u / (label.sum() * (~label).sum()))

    @pytest.mark.parametrize(
        ("score", "label", "message"),
        [
            ([np.nan, 1], [0, 1], "score == nan in 1 rows"),
            ([1, 2], [0, 2], "label == 2, must be 0 or 1"),
            ([1, 2, 3], [0, 1], r"score.shape == \(3,\)"),
        ],
    )
    def test_wrong_input(self, score, label, message):
        with pytest.raises(ValueError, match=message):
            auc(score, label)


class TestGauc:
    def test_weights_by_rows_and_drops_one_class_groups(self):
        score = [1, 2, 1, 2, 3, 9, 9]
        label = [0, 1, 1, 0, 0, 1, 1]
        user = ["a", "a", "b", "b", "b", "c", "c"]
        assert gauc(score, label, user) == ((2 * 1.0 + 3 * 0.0) / 5, 5 / 7)

    def test_nothing_covered(self):
        value, covered = gauc([1, 2], [0, 1], [7, 8])
        assert np.isnan(value)
        assert covered == 0.0
        assert np.isnan(gauc([], [], []).covered)

    @settings(deadline=None)
    @given(scored(groups=4))
    def test_brute_force(self, rows):
        score, label, group = rows
        kept = [g for g in np.unique(group) if len(set(label[group == g])) == 2]
        sizes = [int(np.sum(group == g)) for g in kept]
        aucs = [auc(score[group == g], label[group == g]) for g in kept]
        value, covered = gauc(score, label, group)
        assert covered == pytest.approx(sum(sizes) / len(score))
        assert value == pytest.approx(np.average(aucs, weights=sizes) if kept else np.nan, nan_ok=True)

    @settings(deadline=None)
    @given(scored(groups=4), st.data())
    def test_resampled_groups_count_as_often_as_drawn(self, rows, data):
        score, label, group = rows
        times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=4)))[group]
        copies = np.concatenate([np.arange(t) for t in times]) if times.sum() else np.array([], dtype=int)
        # Each copy of a user is a user of its own.
        again = gauc(np.repeat(score, times), np.repeat(label, times), np.repeat(group, times) * 10 + copies)
        by_weight = functools.partial(gauc_by_weight, group=group)(score, label)(times)
        assert by_weight == pytest.approx(again.value, nan_ok=True)

    def test_invariant_to_row_order(self, rng):
        score, label, group = rng.integers(9, size=300), rng.random(300) < 0.3, rng.integers(20, size=300)
        shuffled = rng.permutation(300)
        one, two = gauc(score, label, group), gauc(score[shuffled], label[shuffled], group[shuffled])
        assert one.value == pytest.approx(two.value)

    def test_group_of_another_length(self):
        with pytest.raises(ValueError, match=r"group.shape == \(1,\)"):
            gauc([1, 2], [0, 1], [1])
