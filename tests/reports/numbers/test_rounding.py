"""Zero up to rounding is zero, at any magnitude: no p of 1e-180 from the last bit of constant data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.numbers.factorial import cells, effects
from reports.numbers.lifts import from_influence, ratio_lift, two_sided_lift, winsorised
from reports.numbers.paired import lift_by_period, paired_difference, paired_lift
from reports.numbers.power import power_of, units_needed, worlds_needed
from reports.numbers.quality import quality
from reports.numbers.resampling import from_draws
from reports.numbers.rounding import near_one, no_rounding, spread_of

SCALES = st.integers(-295, 295).map(lambda power: 10.0**power)
SEEDS = st.integers(0, 2**32 - 1)


def jittered(value: float, n: int, seed: int) -> np.ndarray:
    """``n`` times ``value``, each up to one unit in the last place off."""
    return value + np.spacing(value) * np.random.default_rng(seed).integers(-1, 2, n)


class TestTheRule:
    @settings(deadline=None, max_examples=30)
    @given(SCALES, st.integers(2, 200), SEEDS)
    def test_constant_data_have_no_spread(self, scale, n, seed):
        assert spread_of(np.full(n, scale)) == 0
        assert spread_of(jittered(scale, n, seed)) == 0

    @settings(deadline=None, max_examples=30)
    @given(SCALES, st.sampled_from([0.0, 1e9]), SEEDS)
    def test_data_that_vary_keep_their_standard_deviation(self, scale, shift, seed):
        x = shift + np.random.default_rng(seed).normal(size=50)
        assert spread_of(x * scale) == pytest.approx(x.std(ddof=1) * scale, rel=1e-3)

    def test_the_size_is_that_of_what_the_numbers_were_computed_from(self):
        assert no_rounding(0.1 + 0.2 - 0.3, 0.3) == 0
        assert no_rounding([1e-9, -1e-3], [1e6, 1e6]).tolist() == [0, -1e-3]
        assert spread_of([1e-5, 3e-5]) > 0
        assert spread_of([1e-5, 3e-5], 1e12) == 0

    def test_fewer_than_two_values(self):
        assert np.isnan(spread_of([1.0]))
        assert np.isnan(spread_of([]))
        assert near_one([]).size == 0


class TestRatioLift:
    ARM = np.arange(40) % 2

    @settings(deadline=None, max_examples=30)
    @given(SCALES, SCALES, SEEDS, st.booleans())
    def test_equal_rates_are_no_effect_with_p_1(self, money, asked, seed, with_covariate):
        often = np.random.default_rng(seed).integers(1, 30, 40).astype(float)
        y = jittered(1.0, 40, seed) * (0.1 * often) * money
        given_ = (jittered(money, 40, seed + 1), jittered(asked, 40, seed + 2)) if with_covariate else None
        found = ratio_lift(y, often * asked, self.ARM, covariate=given_)
        assert found[:5] == (0, 0, 0, 1, 0)

    @settings(deadline=None, max_examples=30)
    @given(SCALES, SEEDS)
    def test_another_rate_without_spread_has_neither_interval_nor_p(self, scale, seed):
        y = jittered(scale, 40, seed) * np.where(self.ARM, 1.1, 1.0)
        found = ratio_lift(y, np.ones(40), self.ARM)
        assert found.rel_effect == pytest.approx(0.1)
        assert np.isnan([found.lo, found.hi, found.p]).all()
        assert found.se == 0

    @settings(deadline=None, max_examples=30)
    @given(SCALES, SCALES, SEEDS)
    def test_units_of_money_and_of_requests_change_nothing(self, money, asked, seed):
        rng = np.random.default_rng(seed)
        y, m, x, w = rng.gamma(2.0, 1.0, (4, 40))
        base = ratio_lift(y, m, self.ARM, covariate=(x, w))
        found = ratio_lift(y * money, m * asked, self.ARM, covariate=(x * money, w * asked))
        np.testing.assert_allclose(found, base, rtol=1e-9)

    def test_one_unit_in_the_last_place_and_money_far_from_zero(self):
        found = ratio_lift(jittered(1e12, 40, 1), np.ones(40), self.ARM)
        assert (found.rel_effect, found.p) == (0, 1)
        noise = np.random.default_rng(2).normal(size=40)
        assert 0 < ratio_lift(1e12 + noise, np.ones(40), self.ARM).p < 1

    def test_a_covariate_that_nobody_has_changes_nothing(self):
        y = np.random.default_rng(3).gamma(2.0, size=40)
        plain = ratio_lift(y, np.ones(40), self.ARM)
        assert ratio_lift(y, np.ones(40), self.ARM, covariate=(np.zeros(40), np.zeros(40))) == plain
        one_arm = self.ARM * 1.0
        assert ratio_lift(y, np.ones(40), self.ARM, covariate=(y * one_arm, one_arm)) == plain

    def test_requests_of_nobody(self):
        assert np.isnan(ratio_lift(np.ones(4), np.zeros(4), [0, 0, 1, 1]).rel_effect)

    def test_two_sided(self):
        u, c = np.divmod(np.arange(1600), 40)
        side = np.arange(40) % 2
        money = jittered(0.3, 1600, 4)
        found = two_sided_lift(money, u, c, asked=side, side=side, requests=np.ones(40), ads=np.ones(40))
        assert (found.rel_effect, found.lo, found.hi, found.p) == (0, 0, 0, 1)

    def test_influences_without_a_spread(self):
        found = from_influence(3e-16, [jittered(1e-17, 9, 5), jittered(2e-17, 9, 6)])
        assert found[:5] == (0, 0, 0, 1, 0)
        assert np.isnan(from_influence(0.2, [np.zeros(1), np.zeros(1)]).p)


class TestPaired:
    @settings(deadline=None, max_examples=30)
    @given(SCALES, st.integers(2, 20), SEEDS)
    def test_worlds_that_agree_to_the_last_place_show_no_effect(self, scale, n, seed):
        worlds = np.random.default_rng(seed).uniform(0.5, 2, n) * scale
        other = worlds + np.spacing(worlds) * np.random.default_rng(seed + 1).integers(-1, 2, n)
        for found in (paired_lift(worlds, other), paired_difference(worlds, other)):
            assert found[:4] == (0, 0, 0, 1)
            assert not found.per_world.any()
            assert n < 8 or found.p_permutation == 1

    @settings(deadline=None, max_examples=30)
    @given(SCALES, SEEDS)
    def test_one_lift_in_all_worlds_is_not_tested(self, scale, seed):
        worlds = np.random.default_rng(seed).uniform(0.5, 2, 5) * scale
        found = paired_lift(worlds, worlds * 1.1)
        assert found.rel_effect == pytest.approx(0.1)
        assert np.isnan([found.lo, found.hi, found.p]).all()
        apart = paired_difference(np.zeros(5), np.full(5, scale))
        assert apart.effect == pytest.approx(scale)
        assert np.isnan([apart.lo, apart.hi, apart.p]).all()

    @settings(deadline=None, max_examples=30)
    @given(SCALES, SEEDS)
    def test_a_unit_scales_the_interval_and_leaves_the_p(self, scale, seed):
        one, two = np.random.default_rng(seed).normal(size=(2, 6))
        base, found = paired_difference(one, two), paired_difference(one * scale, two * scale)
        np.testing.assert_allclose(np.array(found[:3]) / scale, base[:3], rtol=1e-9)
        assert found.p == pytest.approx(base.p)

    def test_differences_far_from_zero_are_found(self):
        noise = np.random.default_rng(7).normal(1, 0.5, 6)
        found = paired_difference(np.full(6, 1e12), 1e12 + noise)
        assert found.effect == pytest.approx(noise.mean(), abs=1e-3)
        assert found.p < 0.05

    def test_periods_one_by_one(self):
        control = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
        found = lift_by_period(control, control * [1 + 2e-16, 1.1, 1.0] + [[0, 0, 0.1], [0, 0, 0.3]])
        assert (found.lift[0], found.lo[0], found.hi[0], found.p[0]) == (0, 0, 0, 1)
        assert np.isnan([found.lo[1], found.p[1]]).all()
        assert 0 < found.p[2] < 1

    def test_effects_of_eight_equal_cells(self):
        money = {name: np.array([1e3, 2e3, 7e2]) * (1 + i * 2e-16) for i, name in enumerate(cells())}
        for one in effects(money).values():
            assert (one["rel_effect"], one["ci"], one["p"]) == (0, [0, 0], 1)


class TestBootstrap:
    def test_resamples_that_agree_to_the_last_place_show_no_effect(self):
        assert from_draws(2e-16, np.array([1e-16, 2e-16, np.nan])) == (0, 0, 0, 1, 2)

    def test_resamples_that_all_give_one_effect_show_no_uncertainty(self):
        found = from_draws(-1.0, np.full(100, -1.0))
        assert found.diff == -1
        assert np.isnan([found.lo, found.hi, found.p]).all()

    def test_a_cap_of_what_was_before(self):
        assert winsorised([1.0, 9.0], []).tolist() == [1.0, 9.0]
        assert winsorised([5.0, 5.0, 5.0], [5.0, 5.0]).tolist() == [5.0] * 3


class TestPower:
    def test_what_does_not_vary_says_nothing_of_how_much_is_needed(self):
        assert np.isnan(power_of(0.1, 0.0))
        assert np.isnan(units_needed(0.1, 0.0, 100))
        assert worlds_needed(0.1, 0.0) is None
        assert worlds_needed(0.1, float("nan")) is None

    def test_an_estimate_without_an_interval_does_not_miss(self):
        found = quality([0.1, 0.2], [0.0, np.nan], [0.2, np.nan], [0.1, 0.1])
        assert (found.coverage, found.n) == (1, 2)
        assert np.isnan(quality([0.1], [np.nan], [np.nan], [0.1]).coverage)
