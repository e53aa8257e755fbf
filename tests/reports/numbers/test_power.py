"""Power against tea-tasting and simulated tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.numbers.power import power_of, units_needed, worlds_needed
from tests.reports.numbers.many_tests import TESTS


def test_power_is_tea_tastings():
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics import Mean

    mean, sd, effect = 2.0, 3.0, 0.05
    data = Aggregates(count_=10_000, mean_={"y": mean}, var_={"y": sd**2}, cov_={})
    theirs = Mean("y", rel_effect_size=effect, use_t=False).solve_power_from_aggregates(data, "n_obs")[0].n_obs
    per_unit = sd / mean * 2  # se of the lift with one unit, half in each arm
    assert units_needed(effect, per_unit, 1) == pytest.approx(theirs, rel=1e-3)
    half = (
        Mean("y", rel_effect_size=effect, n_obs=10_000, use_t=False).solve_power_from_aggregates(data, "power")[0].power
    )
    assert float(power_of(effect, per_unit / 100)) == pytest.approx(half, rel=1e-6)


def test_units_and_worlds_needed_bring_the_power():
    se = 0.03
    n = units_needed(0.02, se, 100)
    assert power_of(0.02, se * np.sqrt(100 / n)) == pytest.approx(0.8, abs=0.001)
    worlds = worlds_needed(0.02, 0.03)
    rng = np.random.default_rng(18)
    d = rng.normal(0.02, 0.03, (TESTS, worlds))
    found = (stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05).sum()
    assert found / TESTS > 0.8 - 5 * np.sqrt(0.16 / TESTS)
    fewer = (stats.ttest_1samp(d[:, :-1], 0, axis=1).pvalue < 0.05).sum()
    assert fewer / TESTS < 0.83
    assert worlds_needed(0.5, 0.001) == 2
    assert worlds_needed(1e-6, 1.0, most=50) == 50
    with pytest.raises(ValueError, match="log_effect == 0"):
        units_needed(0, se, 100)
