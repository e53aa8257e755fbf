"""Levels that name folders and rows: finite, and apart in the digits of their names."""

from __future__ import annotations

import pytest

from reports.studies.lab import study as lab
from reports.studies.sensitivity import study as sensitivity
from reports.studies.sensitivity.levels import apart
from simulator.scenario import load


def test_two_levels_of_one_name_are_refused():
    apart("values", (0.1, 0.2, 1e9))
    with pytest.raises(ValueError, match=r"^values == 1000000.0, 1000001.0: must differ in six digits$"):
        apart("values", (3.0, 1000000.0, 1000001.0))


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), 0.0, -1.0])
@pytest.mark.parametrize("field", ["tightness", "shares"])
def test_a_level_that_is_no_number_is_refused_before_the_laboratory_runs(field, bad):
    with pytest.raises(ValueError, match=rf"^{field} == \["):
        lab.check(lab.Plan(scenario=load("laboratory"), **{field: (0.5, bad)}))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ((0.1, float("inf")), r"^values == \[0\.1, inf\], must be finite numbers$"),
        ((0.1000000001, 0.1000000002), r"^values == 0\.1000000001, 0\.1000000002: must differ in six digits$"),
        ((0.1, 1e300), r"world\.feature_noise == 1e\+300, input should be less than"),
    ],
)
def test_a_dial_is_checked_at_every_level(values, line):
    plan = sensitivity.Plan(
        scenario="quickstart", dial="feature_noise", values=values, control="random", treatment="popularity"
    )
    with pytest.raises(ValueError, match=line):
        sensitivity.check(plan)


def test_a_level_beyond_the_fields_limit_is_refused():
    with pytest.raises(ValueError, match=r"^tightness: budget_clicks == 1e\+16"):
        lab.check(lab.Plan(scenario=load("laboratory"), tightness=(1e16,)))
