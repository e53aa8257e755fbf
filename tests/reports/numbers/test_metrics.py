"""Metrics against known values, scipy, and brute force."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers import metrics


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
        assert metrics.auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
        assert metrics.auc([1, 2, 3, 4], [0, 0, 1, 1]) == 1.0
        assert metrics.auc([-np.inf, np.inf], [True, False]) == 0.0
        assert metrics.auc([5, 5, 5], [0, 1, 0]) == 0.5

    def test_one_class_or_no_row_is_nan(self):
        assert np.isnan(metrics.auc([1, 2], [1, 1]))
        assert np.isnan(metrics.auc([], []))

    @settings(deadline=None)
    @given(scored(), st.data())
    def test_brute_force_with_weights(self, rows, data):
        score, label, _ = rows
        weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(score), max_size=len(score))))
        assert metrics.auc(score, label) == pytest.approx(brute_auc(score, label, np.ones(len(score))), nan_ok=True)
        by_weight = metrics.auc_by_weight(score, label)(weight)
        assert by_weight == pytest.approx(brute_auc(score, label, weight), nan_ok=True)
        repeated = metrics.auc(np.repeat(score, weight), np.repeat(label, weight))
        assert by_weight == pytest.approx(repeated, nan_ok=True)

    def test_agrees_with_mann_whitney(self, rng):
        score, label = rng.integers(50, size=2000), rng.random(2000) < 0.2
        u = stats.mannwhitneyu(score[label], score[~label]).statistic
        assert metrics.auc(score, label) == pytest.approx(u / (label.sum() * (~label).sum()))

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
            metrics.auc(score, label)


class TestGauc:
    def test_weights_by_rows_and_drops_one_class_groups(self):
        score = [1, 2, 1, 2, 3, 9, 9]
        label = [0, 1, 1, 0, 0, 1, 1]
        user = ["a", "a", "b", "b", "b", "c", "c"]
        assert metrics.gauc(score, label, user) == ((2 * 1.0 + 3 * 0.0) / 5, 5 / 7)

    def test_nothing_covered(self):
        value, covered = metrics.gauc([1, 2], [0, 1], [7, 8])
        assert np.isnan(value)
        assert covered == 0.0
        assert np.isnan(metrics.gauc([], [], []).covered)

    @settings(deadline=None)
    @given(scored(groups=4))
    def test_brute_force(self, rows):
        score, label, group = rows
        kept = [g for g in np.unique(group) if len(set(label[group == g])) == 2]
        sizes = [int(np.sum(group == g)) for g in kept]
        aucs = [metrics.auc(score[group == g], label[group == g]) for g in kept]
        value, covered = metrics.gauc(score, label, group)
        assert covered == pytest.approx(sum(sizes) / len(score))
        assert value == pytest.approx(np.average(aucs, weights=sizes) if kept else np.nan, nan_ok=True)

    @settings(deadline=None)
    @given(scored(groups=4), st.data())
    def test_resampled_groups_count_as_often_as_drawn(self, rows, data):
        score, label, group = rows
        times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=4)))[group]
        copies = np.concatenate([np.arange(t) for t in times]) if times.sum() else np.array([], dtype=int)
        # Each copy of a user is a user of its own.
        again = metrics.gauc(np.repeat(score, times), np.repeat(label, times), np.repeat(group, times) * 10 + copies)
        by_weight = functools.partial(metrics.gauc_by_weight, group=group)(score, label)(times)
        assert by_weight == pytest.approx(again.value, nan_ok=True)

    def test_invariant_to_row_order(self, rng):
        score, label, group = rng.integers(9, size=300), rng.random(300) < 0.3, rng.integers(20, size=300)
        shuffled = rng.permutation(300)
        one, two = metrics.gauc(score, label, group), metrics.gauc(score[shuffled], label[shuffled], group[shuffled])
        assert one.value == pytest.approx(two.value)

    def test_group_of_another_length(self):
        with pytest.raises(ValueError, match=r"group.shape == \(1,\)"):
            metrics.gauc([1, 2], [0, 1], [1])


class TestLogloss:
    def test_known_values(self):
        assert metrics.logloss([0.5, 0.5], [0, 1]) == pytest.approx(np.log(2))
        assert metrics.logloss([0.9, 0.2], [1, 0]) == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)

    def test_clips(self):
        assert metrics.logloss([0.0], [1]) == pytest.approx(-np.log(1e-7))
        assert metrics.logloss(np.ones(1, dtype=np.float32), [0]) == pytest.approx(-np.log(1e-7))

    def test_weights_are_multiplicities(self, rng):
        p, label, times = rng.random(50), rng.random(50) < 0.4, rng.integers(4, size=50)
        by_weight = metrics.logloss_by_weight(p, label)
        assert by_weight(times) == pytest.approx(metrics.logloss(np.repeat(p, times), np.repeat(label, times)))
        assert np.isnan(by_weight(np.zeros(50)))
        with pytest.raises(ValueError, match=r"weight.shape"):
            by_weight([1.0])

    def test_refuses_logits(self):
        with pytest.raises(ValueError, match=r"p == 1.5, must be in \[0, 1\]"):
            metrics.logloss([0.5, 1.5], [0, 1])

    def test_normalised_entropy_of_the_base_rate_is_one(self):
        label = np.array([1, 0, 0, 0])
        assert metrics.normalised_entropy(np.full(4, 0.25), label) == pytest.approx(1.0)
        assert metrics.normalised_entropy([0.9, 0.1, 0.1, 0.1], label) < 1
        assert np.isnan(metrics.normalised_entropy([0.5, 0.5], [0, 0]))
        assert np.isnan(metrics.logloss([], []))


class TestCalibration:
    def test_pcoc(self):
        assert metrics.pcoc([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0]) == 2.0
        assert np.isnan(metrics.pcoc([0.5], [0]))

    def test_ece_known_value(self):
        assert metrics.ece([0.1, 0.1, 0.9, 0.9], [0, 1, 1, 1], bins=2) == pytest.approx((0.4 + 0.1) / 2)
        assert metrics.ece([0.25] * 4, [0, 0, 0, 1]) == 0.0

    def test_calibrated_draws_have_small_ece_and_biased_ones_do_not(self, rng):
        p = rng.beta(2, 8, size=40_000)
        label = rng.random(p.size) < p
        assert metrics.ece(p, label) < 0.02
        assert metrics.ece(p / 2, label) == pytest.approx(0.1, abs=0.01)
        assert metrics.pcoc(p / 2, label) == pytest.approx(0.5, abs=0.02)

    def test_bins_have_equal_mass(self, rng):
        curve = metrics.reliability(rng.random(1003), rng.random(1003) < 0.5, bins=10)
        assert curve.n.sum() == 1003
        assert set(curve.n) <= {100, 101}
        assert (np.diff(curve.p) > 0).all()
        assert curve.true is None

    @settings(deadline=None)
    @given(scored())
    def test_row_order_never_matters(self, rows):
        score, label, _ = rows
        p = score / 2
        flipped = metrics.reliability(p[::-1], label[::-1], p[::-1], bins=4)
        for one, two in zip(metrics.reliability(p, label, p, bins=4), flipped, strict=True):
            np.testing.assert_allclose(one, two)

    @settings(deadline=None)
    @given(scored(), st.integers(1, 12))
    def test_means_are_kept(self, rows, bins):
        score, label, _ = rows
        p, true_p = score / 2, score / 3
        curve = metrics.reliability(p, label, true_p, bins=bins)
        assert curve.n @ curve.p == pytest.approx(p.sum())
        assert curve.n @ curve.y == pytest.approx(label.sum())
        assert curve.n @ curve.true == pytest.approx(true_p.sum())
        assert ((curve.lo <= curve.y) & (curve.y <= curve.hi)).all()

    def test_wilson_interval_is_scipys(self):
        label = np.repeat([0, 1], [17, 3])
        curve = metrics.reliability(np.full(20, 0.2), label)
        expected = stats.binomtest(3, 20).proportion_ci(method="wilson")
        assert (curve.lo[0], curve.hi[0]) == pytest.approx((expected.low, expected.high))

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="bins == 0"):
            metrics.ece([0.5], [1], bins=0)
        with pytest.raises(ValueError, match=r"true_p.shape"):
            metrics.reliability([0.5], [1], [0.5, 0.5])

    def test_no_rows(self):
        assert metrics.reliability([], []).n.size == 0
        assert np.isnan(metrics.ece([], []))


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
        assert metrics.recall_at_k([[0, 3], [1, 0]], value, everyone).tolist() == [0.5, 1.0]
        assert metrics.recall_at_k([[0, 3], [1, 0]], value, everyone, k=1).tolist() == [1.0, 1.0]
        assert metrics.recall_at_k([[3, -1], [2, 3]], value, everyone).tolist() == [0.0, 0.0]

    def test_ties_go_to_the_lowest_id(self):
        assert metrics.recall_at_k([[1], [0]], np.ones((2, 3)), [True, True, True]).tolist() == [0.0, 1.0]
        assert metrics.recall_at_k([[1], [0]], np.ones((2, 3)), [False, True, True]).tolist() == [1.0, 0.0]

    def test_value_of_ineligible_ads_is_never_read(self):
        value = np.array([[np.nan, 2.0, 1.0]])
        assert metrics.recall_at_k([[1, 2]], value, [False, True, True]).tolist() == [1.0]
        assert metrics.captured([[2, 0]], value, [False, True, True]).tolist() == [pytest.approx(1 / 3)]

    def test_eligible_per_request(self):
        eligible = np.array([[True, False], [False, True]])
        assert metrics.recall_at_k([[0], [0]], np.ones((2, 2)), eligible).tolist() == [1.0, 0.0]

    def test_nothing_eligible_is_nan(self):
        assert np.isnan(metrics.recall_at_k([[0]], [[1.0, 2.0]], [False, False])).all()
        assert np.isnan(metrics.captured([[0]], [[0.0, 0.0]], [True, True])).all()

    @settings(deadline=None)
    @given(market())
    def test_brute_force(self, case):
        candidates, value, eligible, k = case
        recall, share = (
            metrics.recall_at_k(candidates, value, eligible, k),
            metrics.captured(candidates, value, eligible),
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
            metrics.recall_at_k(candidates, value, eligible, k)

    def test_captured_refuses_negative_value(self):
        with pytest.raises(ValueError, match=r"value == -1.0, must be at least 0"):
            metrics.captured([[0]], [[-1.0, 2.0]], [True, True])


class TestKendall:
    @pytest.mark.parametrize("levels", [3, 10, 10_000])
    def test_agrees_with_scipy_with_and_without_ties(self, rng, levels):
        x, y = rng.integers(levels, size=(2, 40, 25))
        expected = [stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(metrics.kendall_tau_b(x, y), expected)

    def test_extremes_are_exact(self, rng):
        x = rng.normal(size=(3, 30))
        assert metrics.kendall_tau_b(x, np.exp(x)).tolist() == [1.0] * 3
        assert metrics.kendall_tau_b(x, -x).tolist() == [-1.0] * 3

    def test_constant_row_is_nan(self):
        assert np.isnan(metrics.kendall_tau_b([[1, 1, 1], [1, 2, 3]], [[1, 2, 3], [1, 2, 2]])).tolist() == [True, False]

    def test_blocks_change_nothing(self, rng, monkeypatch):
        x, y = rng.integers(6, size=(2, 7, 11))
        whole = metrics.kendall_tau_b(x, y)
        for block in (1, 40, 300):
            monkeypatch.setattr(metrics, "_BLOCK", block)
            assert metrics.kendall_tau_b(x, y).tolist() == whole.tolist()

    def test_nan_leaves_an_entry_out(self, rng):
        x, y = rng.integers(5, size=(2, 4, 12)).astype(float)
        padded_x, padded_y = np.pad(x, ((0, 0), (0, 2)), constant_values=np.nan), np.pad(y, ((0, 0), (0, 2)))
        np.testing.assert_array_equal(metrics.kendall_tau_b(padded_x, padded_y), metrics.kendall_tau_b(x, y))

    def test_infinite_scores_are_ranked(self):
        assert metrics.kendall_tau_b([[-np.inf, 0.0, np.inf]], [[1, 2, 3]]).tolist() == [1.0]

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match=r"x.shape == \(2,\)"):
            metrics.kendall_tau_b([1, 2], [1, 2])


class TestQuantile:
    def test_p99_has_an_upper_bound_from_299_samples(self):
        assert np.isnan(metrics.quantile_ci(np.arange(298), 0.99).hi)
        assert metrics.quantile_ci(np.arange(299), 0.99).hi == 298
        assert metrics.quantile_ci(np.arange(299), 0.01).lo == 0
        assert np.isnan(metrics.quantile_ci(np.arange(298), 0.01).lo)

    def test_the_other_end_stands_where_one_is_missing(self):
        found = metrics.quantile_ci(np.arange(100), 0.99)
        assert found.lo < found.value
        assert np.isnan(found.hi)

    def test_agrees_with_scipy_in_large_samples(self, rng):
        x = rng.lognormal(size=3000)
        for q in (0.5, 0.95, 0.99):
            expected = stats.quantile_test(x, p=q).confidence_interval(0.95)
            found = metrics.quantile_ci(x, q)
            assert found.value == np.quantile(x, q)
            assert (found.lo, found.hi) == (expected.low, expected.high)

    @settings(max_examples=200, deadline=None)
    @given(st.integers(1, 700), st.floats(0.005, 0.995), st.sampled_from([0.8, 0.95, 0.99]))
    def test_coverage_never_below_level(self, n, q, level):
        found = metrics.quantile_ci(np.arange(n), q, level)
        if not np.isnan(found.lo) and not np.isnan(found.hi):
            # X_(l) = l - 1 here, and the interval covers when l <= B < u.
            covered = stats.binom.cdf(found.hi, n, q) - stats.binom.cdf(found.lo, n, q)
            assert covered >= level - 1e-9
            assert found.lo <= found.value <= found.hi

    def test_coverage_by_simulation(self, rng):
        truth = stats.expon.ppf(0.99)
        runs = [metrics.quantile_ci(rng.exponential(size=310), 0.99) for _ in range(400)]
        covered = np.mean([r.lo <= truth <= r.hi for r in runs])
        assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)

    def test_edges(self):
        assert metrics.quantile_ci([], 0.5).n == 0
        assert np.isnan(metrics.quantile_ci([3.0], 0.5).lo)
        with pytest.raises(ValueError, match=r"q == 1, must be in \(0, 1\)"):
            metrics.quantile_ci([1.0], 1)
        with pytest.raises(ValueError, match="level == 95"):
            metrics.quantile_ci([1.0], 0.5, level=95)
        with pytest.raises(ValueError, match="samples == nan"):
            metrics.quantile_ci([np.nan], 0.5)


class TestGini:
    def test_known_values(self):
        assert metrics.gini([3, 3, 3]) == 0.0
        assert metrics.gini([0, 0, 0, 8]) == 0.75
        assert np.isnan(metrics.gini([0, 0]))
        assert np.isnan(metrics.gini([]))

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 100), min_size=1, max_size=20).filter(any))
    def test_is_half_the_relative_mean_difference(self, x):
        v = np.array(x, dtype=float)
        assert metrics.gini(x) == pytest.approx(np.abs(v[:, None] - v).mean() / (2 * v.mean()))

    def test_negative(self):
        with pytest.raises(ValueError, match=r"x == -1.0, must be at least 0"):
            metrics.gini([1, -1])


@pytest.fixture
def rng():
    return np.random.default_rng(7)
