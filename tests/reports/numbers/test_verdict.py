"""The rule, case by case."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.numbers.paired import paired_lift
from reports.numbers.verdict import Guardrail, Light, rule, verdict

UP = paired_lift([100, 100, 100], [109, 110, 111])
DOWN = paired_lift([100, 100, 100], [91, 90, 89])
FLAT = paired_lift([100, 100, 100], [99, 100, 101])
ALONE = paired_lift([100], [200])
SAME = paired_lift([100, 90], [100, 90])

SAFE = Guardrail("advertiser surplus", -0.01, 0.01, margin=0.02)
BROKEN = Guardrail("cold users", -0.05, -0.02, margin=0.01)
UNSHOWN = Guardrail("cold users", -0.127, 0.072, margin=0.02)
ABSENT = Guardrail("advertiser surplus", np.nan, np.nan, margin=0.02, absent="it is 0 in both arms")
UNKNOWN = Guardrail("cold users", np.nan, np.nan, margin=0.01)
GREEN = Light("A/A", "green", "exactly 0")
AMBER = Light("plateau", "amber", "logloss moves")
RED = Light("plateau", "red", "recall is still rising")


@pytest.mark.parametrize(
    ("headline", "guardrails", "lights", "word"),
    [
        (UP, [], [], "ship"),
        (UP, [SAFE], [GREEN, AMBER], "ship"),
        (UP, [SAFE, BROKEN], [GREEN], "do not ship"),
        (UP, [SAFE], [RED], "undecided"),
        (UP, [UNKNOWN], [GREEN], "undecided"),
        (UP, [UNSHOWN, ABSENT], [GREEN], "ship"),
        (UP, [UNSHOWN], [RED], "undecided"),
        (FLAT, [SAFE], [GREEN], "undecided"),
        (FLAT, [BROKEN], [GREEN], "do not ship"),
        (SAME, [], [GREEN], "undecided"),
        (ALONE, [], [GREEN], "undecided"),
        (DOWN, [SAFE], [GREEN], "do not ship"),
        (DOWN, [SAFE], [RED], "do not ship"),
    ],
)
def test_word(headline, guardrails, lights, word):
    found = verdict(headline, guardrails, lights)
    assert found.word == word
    assert found.lights == tuple(lights)
    assert found.rule == rule()


def test_reason_names_the_numbers_and_what_stood_in_the_way():
    found = verdict(UP, [BROKEN, UNKNOWN], [GREEN, RED])
    assert "+10.00 %, 95 % CI +" in found.reason
    assert "over 3 worlds, above 0" in found.reason
    assert "guardrail cold users is broken: interval -0.05 to -0.02, limit -0.01" in found.reason
    assert "guardrail cold users has no interval" in found.reason
    assert "light plateau is red: recall is still rising" in found.reason
    assert "A/A" not in found.reason
    assert "1 world(s), no interval: one world has no spread" in verdict(ALONE, [], []).reason
    assert "includes 0" in verdict(SAME, [], []).reason
    assert "below 0" in verdict(DOWN, [], []).reason


def test_what_is_not_shown_or_dropped_is_said_and_forbids_nothing():
    found = verdict(UP, [UNSHOWN, ABSENT], [GREEN])
    assert "guardrail cold users is not shown: interval -0.127 to +0.072, limit -0.02" in found.reason
    assert "guardrail advertiser surplus is dropped: it is 0 in both arms" in found.reason


def test_a_run_that_tested_nothing_is_undecided_whatever_it_measured():
    for headline in (UP, DOWN, FLAT):
        assert verdict(headline, [BROKEN], [RED], untested="no label was ever ready").word == "undecided"


@settings(deadline=None)
@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_guardrail_is_broken_only_when_wholly_beyond_its_margin(lo, width, margin):
    more, less = Guardrail("m", lo, lo + width, margin), Guardrail("m", lo, lo + width, margin, higher_is_better=False)
    inside = np.array([lo, *np.linspace(lo, lo + width, 5), lo + width])
    assert (more.state == "broken") == (inside < -margin).all()
    assert (less.state == "broken") == (inside > margin).all()
    assert (more.state == "holds") == (inside >= -margin).all()
    assert (less.state == "holds") == (inside <= margin).all()
    assert {more.state, less.state} <= {"holds", "broken", "not shown"}


def test_the_interval_must_have_the_level_of_the_rule():
    wide = paired_lift([100, 100, 100], [109, 110, 111], level=0.99)
    found = verdict(wide, [], [], alpha=0.01)
    assert "the 99 % confidence interval" in found.rule
    with pytest.raises(ValueError, match=r"headline.level == 0.99, must be 1 - alpha == 0.95"):
        verdict(wide, [], [])


def test_wrong_input():
    with pytest.raises(ValueError, match=r"margin == -0.1, must be at least 0"):
        verdict(UP, [Guardrail("m", 0, 1, -0.1)], [])
    with pytest.raises(ValueError, match="state == 'yellow', must be green, amber or red"):
        verdict(UP, [], [Light("A/A", "yellow", "")])
