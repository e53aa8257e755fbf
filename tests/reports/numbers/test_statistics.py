"""Statistics against scipy and known values, and certified by simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers import metrics
from reports.numbers import statistics as ours

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


class TestPairedLift:
    def test_is_the_t_test_on_log_ratios(self, rng):
        control, treatment = rng.lognormal(size=(2, 6))
        d = np.log(treatment / control)
        test = stats.ttest_1samp(d, 0)
        interval = test.confidence_interval(0.9)
        found = ours.paired_lift(control, treatment, level=0.9)
        assert found.rel_effect == pytest.approx(np.exp(d.mean()) - 1)
        assert (found.lo, found.hi) == pytest.approx((np.exp(interval.low) - 1, np.exp(interval.high) - 1))
        assert found.p == pytest.approx(test.pvalue)
        assert found.n_worlds == 6
        assert found.level == 0.9
        np.testing.assert_allclose(found.per_world, treatment / control - 1)

    @settings(deadline=None)
    @given(st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=20))
    def test_identical_arms_are_exactly_zero(self, values):
        found = ours.paired_lift(values, values)
        assert (found.rel_effect, found.lo, found.hi, found.p) == (0.0, 0.0, 0.0, 1.0)
        assert not found.per_world.any()
        assert found.p_permutation == 1.0 or len(values) < 8

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)), min_size=4, max_size=7))
    def test_swapped_arms_give_the_inverse(self, pairs):
        one, two = np.array(pairs).T
        there, back = ours.paired_lift(one, two), ours.paired_lift(two, one)
        assert (1 + there.rel_effect) * (1 + back.rel_effect) == pytest.approx(1)
        assert np.isnan(there.lo) == np.isnan(back.hi)
        assert np.isnan(there.lo) or (1 + there.lo) * (1 + back.hi) == pytest.approx(1)
        assert there.p == pytest.approx(back.p, abs=1e-12, nan_ok=True)

    def test_one_world_has_an_effect_and_no_interval(self):
        found = ours.paired_lift([100.0], [110.0])
        assert found.rel_effect == pytest.approx(0.1)
        assert np.isnan([found.lo, found.hi, found.p, found.p_permutation]).all()
        assert np.isnan(ours.paired_lift([100.0], [100.0]).p)

    def test_equal_lifts_without_spread_have_no_interval_and_no_p(self):
        found = ours.paired_lift([1.0, 1.0, 1.0], [1.1, 1.1, 1.1])
        assert found.rel_effect == pytest.approx(0.1)
        assert np.isnan([found.lo, found.hi, found.p]).all()
        assert found.why_no_interval == "all 3 worlds show the same effect, without spread"
        assert ours.paired_lift([1.0], [1.1]).why_no_interval == "one world has no spread"
        assert ours.paired_lift([1.0, 2.0], [1.0, 2.0]).why_no_interval == ""

    @pytest.mark.parametrize(
        ("control", "treatment", "message"),
        [
            ([1.0, 0.0], [1.0, 1.0], "== 0.0, must be positive"),
            ([1.0, 2.0], [1.0, -1.0], "== -1.0, must be positive"),
            ([1.0, np.nan], [1.0, 1.0], "must be finite"),
            ([1.0], [1.0, 1.0], r"control.shape == \(1,\)"),
            ([], [], r"control.shape == \(0,\)"),
        ],
    )
    def test_wrong_input(self, control, treatment, message):
        with pytest.raises(ValueError, match=message):
            ours.paired_lift(control, treatment)

    def test_wrong_level(self):
        with pytest.raises(ValueError, match=r"level == 95, must be in \(0, 1\)"):
            ours.paired_lift([1, 2], [1, 2], level=95)

    @pytest.mark.parametrize("worlds", [3, 5, 10])
    def test_coverage_and_false_alarms_by_simulation(self, rng, worlds):
        runs, truth = 1500, 0.03
        weather = rng.normal(6, 0.5, size=(runs, worlds))  # shared by the arms of a world
        d = np.log1p(truth) + rng.normal(0, 0.02, size=(runs, worlds))
        lifts = [ours.paired_lift(np.exp(w), np.exp(w + x)) for w, x in zip(weather, d, strict=True)]
        null = [ours.paired_lift(np.exp(w), np.exp(w + x) / (1 + truth)) for w, x in zip(weather, d, strict=True)]
        error = 3.3 * np.sqrt(0.05 * 0.95 / runs)
        assert np.mean([x.lo <= truth <= x.hi for x in lifts]) == pytest.approx(0.95, abs=error)
        assert np.mean([x.p < 0.05 for x in null]) == pytest.approx(0.05, abs=error)
        assert all((x.p < 0.05) == (x.lo > 0 or x.hi < 0) for x in null)


def test_there_is_no_lift_over_nothing():
    found = ours.lift_if_any([1.0, 0.0], [1.0, 2.0])
    assert np.isnan([found.rel_effect, found.lo, found.p]).all()
    assert found.why_no_interval == "a world in which an arm earned nothing has no lift"
    some = ours.lift_if_any([1.0, 2.0], [1.5, 2.5])
    assert some[:4] == ours.paired_lift([1.0, 2.0], [1.5, 2.5])[:4]


class TestPermutation:
    def test_counts_all_flips(self, rng):
        control, treatment = rng.normal(size=(2, 8))
        d = treatment - control
        flips = [abs(np.dot(s, d)) for s in itertools.product([-1, 1], repeat=8)]
        expected = np.mean(np.array(flips) >= abs(d.sum()) - 1e-12)
        assert ours.paired_difference(control, treatment).p_permutation == pytest.approx(expected)

    def test_only_from_eight_worlds(self, rng):
        x = rng.normal(size=7)
        assert np.isnan(ours.paired_difference(x, x + 1).p_permutation)
        assert ours.paired_difference(np.zeros(8), np.ones(8)).p_permutation == 2 / 2**8

    def test_sampled_flips_are_repeatable_and_near_the_t_test(self, rng):
        control = rng.normal(size=30)
        treatment = control + rng.normal(0.4, 1, size=30)
        found = ours.paired_difference(control, treatment)
        assert found.p_permutation == ours.paired_difference(control, treatment).p_permutation
        assert found.p_permutation == pytest.approx(found.p, abs=0.01)


class TestPairedDifference:
    def test_is_scipys_paired_t_test(self, rng):
        control, treatment = rng.normal(size=(2, 5))
        test = stats.ttest_rel(treatment, control)
        interval = test.confidence_interval(0.95)
        found = ours.paired_difference(control, treatment)
        assert found.effect == pytest.approx(np.mean(treatment - control))
        assert (found.lo, found.hi, found.p) == pytest.approx((interval.low, interval.high, test.pvalue))

    def test_identical_arms_and_zeros(self):
        found = ours.paired_difference([0.0, -1.0], [0.0, -1.0])
        assert (found.effect, found.lo, found.hi, found.p) == (0.0, 0.0, 0.0, 1.0)


class TestLiftByPeriod:
    def test_is_paired_lift_per_period(self, rng):
        control, treatment = rng.lognormal(size=(2, 5, 4))
        found = ours.lift_by_period(control, treatment)
        for t in range(4):
            one = ours.paired_lift(control[:, t], treatment[:, t])
            assert (found.lift[t], found.lo[t], found.hi[t], found.p[t]) == pytest.approx(one[:4])
        assert found.n_worlds == 5

    def test_a_period_without_money_has_no_lift(self):
        found = ours.lift_by_period([[0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [1.0, 2.0]])
        assert np.isnan(found.lift).tolist() == [True, False]
        assert found.lift[1] == pytest.approx(1.0)

    def test_one_world(self):
        found = ours.lift_by_period([[1.0, 2.0]], [[2.0, 2.0]])
        assert found.lift.tolist() == pytest.approx([1.0, 0.0])
        assert np.isnan(found.lo).all()

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="must be at least 0"):
            ours.lift_by_period([[-1.0]], [[1.0]])
        with pytest.raises(ValueError, match=r"must be \[W, T\]"):
            ours.lift_by_period([1.0], [1.0])


class TestManyClaims:
    def test_holm_known_value(self):
        np.testing.assert_allclose(ours.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])

    @settings(deadline=None)
    @given(P_VALUES)
    def test_holm_lies_between_raw_and_bonferroni_and_keeps_order(self, p):
        raw, adjusted = np.array(p), ours.holm(p)
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
        assert set(np.flatnonzero(ours.holm(p) <= alpha).tolist()) == rejected

    @settings(deadline=None)
    @given(P_VALUES)
    def test_benjamini_hochberg_is_the_step_up_rule(self, p):
        adjusted, m = ours.benjamini_hochberg(p), len(p)
        ranked = np.sort(p)
        for i, x in enumerate(p):
            least = min(ranked[k] * m / (k + 1) for k in range(m) if ranked[k] >= x)
            assert adjusted[i] == pytest.approx(min(1.0, least))

    @pytest.mark.parametrize("correct", [ours.holm, ours.benjamini_hochberg])
    def test_nan_is_not_counted(self, correct):
        found = correct([0.01, np.nan, 0.5])
        np.testing.assert_allclose(found[[0, 2]], correct([0.01, 0.5]))
        assert np.isnan(found[1])
        assert np.isnan(correct([np.nan])).all()
        assert correct([]).size == 0

    @pytest.mark.parametrize("correct", [ours.holm, ours.benjamini_hochberg])
    def test_wrong_input(self, correct):
        with pytest.raises(ValueError, match=r"p == \[1.2\], must be"):
            correct([0.5, 1.2])

    def test_family_wise_false_alarms_by_simulation(self, rng):
        p = rng.random((4000, 6))
        alarms = np.mean([(ours.holm(row) < 0.05).any() for row in p])
        assert alarms == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / 4000))


class TestPlateau:
    def test_known_change(self):
        found = ours.plateau([[9, 9, 9, 9, 1.0, 1.0, 1.1, 1.1], [9, 9, 9, 9, 2.0, 2.0, 2.1, 2.1]], True)
        assert found.change == pytest.approx((0.1 + 0.05) / 2)
        assert found.lo < found.change < found.hi

    def test_rising_recall_and_falling_logloss(self, rng):
        noise = rng.normal(0, 1e-3, size=(5, 12))
        climb = np.linspace(0.3, 0.6, 12) + noise
        assert ours.plateau(climb, higher_is_better=True).rising
        assert not ours.plateau(climb, higher_is_better=False).rising
        fall = ours.plateau(1 - climb, higher_is_better=False)
        assert fall.rising
        assert fall.change < 0

    def test_flat_is_not_rising(self, rng):
        flat = 0.5 + rng.normal(0, 0.01, size=(5, 16))
        assert not ours.plateau(flat, higher_is_better=True).rising
        found = ours.plateau(np.ones((3, 4)), higher_is_better=True)
        assert found == (0.0, 0.0, 0.0, False, False)

    def test_a_curve_that_gets_worse_is_worsening(self, rng):
        climb = np.linspace(0.5, 0.83, 12) + rng.normal(0, 1e-3, size=(5, 12))
        assert ours.plateau(climb, higher_is_better=False)[3:] == (False, True)
        assert ours.plateau(1 - climb, higher_is_better=True).worsening
        assert not ours.plateau(climb, higher_is_better=True).worsening
        assert not ours.plateau([[1.0, 1.5], [1.0, 0.9], [1.0, 1.0]], higher_is_better=False).worsening

    def test_tolerance_decides_where_the_climb_is_sure(self):
        climb = [[1.0, 1.019], [1.0, 1.02], [1.0, 1.021]]
        assert ours.plateau(climb, higher_is_better=True, tolerance=0.01).rising
        assert not ours.plateau(climb, higher_is_better=True, tolerance=0.03).rising

    def test_unsure_climb_is_not_rising(self):
        assert not ours.plateau([[1.0, 1.5], [1.0, 0.9], [1.0, 1.0]], higher_is_better=True).rising

    def test_one_world_goes_by_the_tolerance(self):
        assert ours.plateau([[1.0, 1.05]], higher_is_better=True).rising
        assert not ours.plateau([[1.0, 1.005]], higher_is_better=True).rising
        assert np.isnan(ours.plateau([[1.0, 1.05]], higher_is_better=True).lo)

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
            ours.plateau(series, True, tolerance)


class TestPairedBootstrap:
    @staticmethod
    def log(rng, users=120, lift=0.0):
        """Clicks that cluster by user, and two scores, the second better by ``lift``."""
        user = rng.integers(users, size=1500)
        truth = rng.normal(size=user.size) + 1.5 * rng.normal(size=users)[user]
        label = rng.random(user.size) < 1 / (1 + np.exp(1 - truth))
        noise = rng.normal(size=(2, user.size))
        return (0.4 + np.array([0, lift]))[:, None] * truth + noise, label, user

    def test_identical_scores_are_exactly_zero(self, rng):
        (score, _), label, user = self.log(rng)
        found = ours.paired_bootstrap(metrics.auc_by_weight, score, score, label, user, 50, rng)
        assert found == (0.0, 0.0, 0.0, 1.0, 50)

    def test_finds_a_real_difference(self, rng):
        (control, treatment), label, user = self.log(rng, lift=0.8)
        found = ours.paired_bootstrap(metrics.auc_by_weight, control, treatment, label, user, 200, rng)
        assert found.diff == pytest.approx(metrics.auc(treatment, label) - metrics.auc(control, label))
        assert 0 < found.lo < found.diff < found.hi
        assert found.p == pytest.approx(2 / 201)

    def test_is_the_bootstrap_that_copies_rows(self, rng):
        (control, treatment), label, user = self.log(rng, users=15)
        found = ours.paired_bootstrap(
            metrics.auc_by_weight, control, treatment, label, user, 30, np.random.default_rng(3)
        )
        same = np.random.default_rng(3)
        rows = [np.flatnonzero(user == u) for u in range(15)]
        diffs = []
        for _ in range(30):
            r = np.concatenate([rows[u] for u in same.integers(15, size=15)])
            diffs.append(metrics.auc(treatment[r], label[r]) - metrics.auc(control[r], label[r]))
        assert (found.lo, found.hi) == pytest.approx(tuple(np.quantile(diffs, [0.025, 0.975])))

    def test_replicates_without_a_class_are_left_out(self, rng):
        found = ours.paired_bootstrap(metrics.auc_by_weight, [1, 2], [2, 1], [0, 1], [0, 1], 100, rng)
        assert 0 < found.replicates < 100
        assert found.diff == -1.0
        none = ours.paired_bootstrap(metrics.auc_by_weight, [1, 2], [2, 1], [1, 1], [0, 1], 5, rng)
        assert none.replicates == 0
        assert np.isnan(none.p)

    def test_false_alarms_by_simulation(self, rng):
        runs = []
        for _ in range(150):
            (control, treatment), label, user = self.log(rng, users=60)
            rows = slice(0, 400)
            runs.append(
                ours.paired_bootstrap(
                    metrics.auc_by_weight, control[rows], treatment[rows], label[rows], user[rows], 120, rng
                )
            )
        error = 3.3 * np.sqrt(0.05 * 0.95 / len(runs))
        # The percentile interval of 60 users is a little short: up to 2 points are allowed beside Monte-Carlo error.
        assert np.mean([not r.lo <= 0 <= r.hi for r in runs]) < 0.07 + error

    @pytest.mark.parametrize(
        ("unit", "replicates", "message"),
        [([0], 10, r"unit.shape == \(1,\)"), ([0, 1], 0, "replicates == 0, must be at least 1")],
    )
    def test_wrong_input(self, rng, unit, replicates, message):
        with pytest.raises(ValueError, match=message):
            ours.paired_bootstrap(metrics.auc_by_weight, [1, 2], [1, 2], [0, 1], unit, replicates, rng)
