"""Paired worlds against scipy and known values, and certified by simulation with a stated Monte-Carlo error."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.numbers.paired import lift_by_period, lift_if_any, paired_difference, paired_lift


class TestPairedLift:
    def test_is_the_t_test_on_log_ratios(self, rng):
        control, treatment = rng.lognormal(size=(2, 6))
        d = np.log(treatment / control)
        test = stats.ttest_1samp(d, 0)
        interval = test.confidence_interval(0.9)
        found = paired_lift(control, treatment, level=0.9)
        assert found.rel_effect == pytest.approx(np.exp(d.mean()) - 1)
        assert (found.lo, found.hi) == pytest.approx((np.exp(interval.low) - 1, np.exp(interval.high) - 1))
        assert found.p == pytest.approx(test.pvalue)
        assert found.n_worlds == 6
        assert found.level == 0.9
        np.testing.assert_allclose(found.per_world, treatment / control - 1)

    @settings(deadline=None)
    @given(st.lists(st.floats(1e-3, 1e9), min_size=2, max_size=20))
    def test_identical_arms_are_exactly_zero(self, values):
        found = paired_lift(values, values)
        assert (found.rel_effect, found.lo, found.hi, found.p) == (0.0, 0.0, 0.0, 1.0)
        assert not found.per_world.any()
        assert found.p_permutation == 1.0 or len(values) < 8

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)), min_size=4, max_size=7))
    def test_swapped_arms_give_the_inverse(self, pairs):
        one, two = np.array(pairs).T
        there, back = paired_lift(one, two), paired_lift(two, one)
        assert (1 + there.rel_effect) * (1 + back.rel_effect) == pytest.approx(1)
        assert np.isnan(there.lo) == np.isnan(back.hi)
        assert np.isnan(there.lo) or (1 + there.lo) * (1 + back.hi) == pytest.approx(1)
        assert there.p == pytest.approx(back.p, abs=1e-12, nan_ok=True)

    def test_one_world_has_an_effect_and_no_interval(self):
        found = paired_lift([100.0], [110.0])
        assert found.rel_effect == pytest.approx(0.1)
        assert np.isnan([found.lo, found.hi, found.p, found.p_permutation]).all()
        assert np.isnan(paired_lift([100.0], [100.0]).p)

    def test_equal_lifts_without_spread_have_no_interval_and_no_p(self):
        found = paired_lift([1.0, 1.0, 1.0], [1.1, 1.1, 1.1])
        assert found.rel_effect == pytest.approx(0.1)
        assert np.isnan([found.lo, found.hi, found.p]).all()
        assert found.why_no_interval == "all 3 worlds show the same effect, without spread"
        assert paired_lift([1.0], [1.1]).why_no_interval == "one world has no spread"
        assert paired_lift([1.0, 2.0], [1.0, 2.0]).why_no_interval == ""

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
            paired_lift(control, treatment)

    def test_wrong_level(self):
        with pytest.raises(ValueError, match=r"level == 95, must be in \(0, 1\)"):
            paired_lift([1, 2], [1, 2], level=95)

    @pytest.mark.parametrize("worlds", [3, 5, 10])
    def test_coverage_and_false_alarms_by_simulation(self, rng, worlds):
        runs, truth = 1500, 0.03
        weather = rng.normal(6, 0.5, size=(runs, worlds))  # shared by the arms of a world
        d = np.log1p(truth) + rng.normal(0, 0.02, size=(runs, worlds))
        lifts = [paired_lift(np.exp(w), np.exp(w + x)) for w, x in zip(weather, d, strict=True)]
        null = [paired_lift(np.exp(w), np.exp(w + x) / (1 + truth)) for w, x in zip(weather, d, strict=True)]
        error = 3.3 * np.sqrt(0.05 * 0.95 / runs)
        assert np.mean([x.lo <= truth <= x.hi for x in lifts]) == pytest.approx(0.95, abs=error)
        assert np.mean([x.p < 0.05 for x in null]) == pytest.approx(0.05, abs=error)
        assert all((x.p < 0.05) == (x.lo > 0 or x.hi < 0) for x in null)


def test_there_is_no_lift_over_nothing():
    found = lift_if_any([1.0, 0.0], [1.0, 2.0])
    assert np.isnan([found.rel_effect, found.lo, found.p]).all()
    assert found.why_no_interval == "a world in which an arm earned nothing has no lift"
    some = lift_if_any([1.0, 2.0], [1.5, 2.5])
    assert some[:4] == paired_lift([1.0, 2.0], [1.5, 2.5])[:4]


class TestPermutation:
    def test_counts_all_flips(self, rng):
        control, treatment = rng.normal(size=(2, 8))
        d = treatment - control
        flips = [abs(np.dot(s, d)) for s in itertools.product([-1, 1], repeat=8)]
        expected = np.mean(np.array(flips) >= abs(d.sum()) - 1e-12)
        assert paired_difference(control, treatment).p_permutation == pytest.approx(expected)

    def test_only_from_eight_worlds(self, rng):
        x = rng.normal(size=7)
        assert np.isnan(paired_difference(x, x + 1).p_permutation)
        assert paired_difference(np.zeros(8), np.ones(8)).p_permutation == 2 / 2**8

    def test_sampled_flips_are_repeatable_and_near_the_t_test(self, rng):
        control = rng.normal(size=30)
        treatment = control + rng.normal(0.4, 1, size=30)
        found = paired_difference(control, treatment)
        assert found.p_permutation == paired_difference(control, treatment).p_permutation
        assert found.p_permutation == pytest.approx(found.p, abs=0.01)


class TestPairedDifference:
    def test_is_scipys_paired_t_test(self, rng):
        control, treatment = rng.normal(size=(2, 5))
        test = stats.ttest_rel(treatment, control)
        interval = test.confidence_interval(0.95)
        found = paired_difference(control, treatment)
        assert found.effect == pytest.approx(np.mean(treatment - control))
        assert (found.lo, found.hi, found.p) == pytest.approx((interval.low, interval.high, test.pvalue))

    def test_identical_arms_and_zeros(self):
        found = paired_difference([0.0, -1.0], [0.0, -1.0])
        assert (found.effect, found.lo, found.hi, found.p) == (0.0, 0.0, 0.0, 1.0)


class TestLiftByPeriod:
    def test_is_paired_lift_per_period(self, rng):
        control, treatment = rng.lognormal(size=(2, 5, 4))
        found = lift_by_period(control, treatment)
        for t in range(4):
            one = paired_lift(control[:, t], treatment[:, t])
            assert (found.lift[t], found.lo[t], found.hi[t], found.p[t]) == pytest.approx(one[:4])
        assert found.n_worlds == 5

    def test_a_period_without_money_has_no_lift(self):
        found = lift_by_period([[0.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [1.0, 2.0]])
        assert np.isnan(found.lift).tolist() == [True, False]
        assert found.lift[1] == pytest.approx(1.0)

    def test_one_world(self):
        found = lift_by_period([[1.0, 2.0]], [[2.0, 2.0]])
        assert found.lift.tolist() == pytest.approx([1.0, 0.0])
        assert np.isnan(found.lo).all()

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="must be at least 0"):
            lift_by_period([[-1.0]], [[1.0]])
        with pytest.raises(ValueError, match=r"must be \[W, T\]"):
            lift_by_period([1.0], [1.0])
