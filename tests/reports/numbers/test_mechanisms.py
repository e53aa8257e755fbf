"""The rule of the verdict per mechanism, case by case."""

from __future__ import annotations

import pytest

from reports.numbers.mechanisms import CONTROLS, WORTH, WORTH_REVENUE, claim_word, market_calls, verdicts


def users(lo, hi, q=0.01):
    return {"effect": (lo + hi) / 2, "ci": [lo, hi], "p": q, "q": q}


def found(gain, controls=None, mechanism="cms"):
    arm = f"dssm+{mechanism}"
    pairs = [{"control": "dssm", "treatment": arm, "users": gain}]
    given = {name: users(0.001, 0.003) for name in CONTROLS[mechanism]} if controls is None else controls
    pairs += [{"control": name, "treatment": arm, "users": one} for name, one in given.items()]
    (one,) = verdicts(pairs)
    assert one["mechanism"] == mechanism
    return one["word"]


@pytest.mark.parametrize("mechanism", list(CONTROLS))
def test_a_gain_that_beats_every_control_is_supported(mechanism):
    assert found(users(0.002, 0.004), mechanism=mechanism) == "supported"


@pytest.mark.parametrize("mechanism", ["cas", "cts", "cms"])
def test_a_gain_that_one_control_has_too_is_not_the_mechanisms(mechanism):
    controls = {name: users(-0.001, 0.003) for name in CONTROLS[mechanism]}
    assert found(users(0.002, 0.004), controls, mechanism) == "undecided"


def test_a_gain_whose_control_was_not_run_is_undecided():
    assert found(users(0.002, 0.004), {}) == "undecided"


def test_ruling_out_a_worthwhile_gain_is_not_supported():
    assert found(users(-0.002, WORTH - 1e-6)) == "not supported"
    assert found(users(0.0001, WORTH - 1e-6)) == "not supported"


def test_an_interval_around_zero_that_allows_a_gain_is_undecided():
    assert found(users(-0.002, 0.004)) == "undecided"


def test_many_arms_ask_for_more():
    assert found(users(0.002, 0.004, q=0.2)) == "undecided"


def test_no_arm_no_verdict():
    assert verdicts([]) == []
    assert verdicts([{"control": "a", "treatment": "b", "users": users(0, 1)}]) == []


def test_two_that_never_differed_are_not_tested():
    assert found(users(0.0, 0.0, q=1.0)) == "undecided"
    (one,) = verdicts([{"control": "dssm", "treatment": "dssm+cs3", "users": users(0.0, 0.0, q=1.0)}])
    assert one["reason"].endswith("not tested, the arms are alike on every resample.")
    assert claim_word([0.0, 0.0]) == "undecided"


def test_a_run_that_tested_nothing_calls_nothing():
    revenue = {"rel_effect": -0.01, "ci": [-0.02, -0.001], "p": 0.04, "n_worlds": 5}
    called = market_calls("dssm", "dssm+cas", revenue, "dssm never learned")
    assert {row["word"] for row in called["rows"]} == {"undecided"}
    assert called["note"] == "Not tested: dssm never learned."
    assert market_calls("dssm", "dssm+cas", revenue)["rows"][0]["word"] == "not supported"


def test_without_an_interval_nothing_is_decided():
    assert found(users(float("nan"), float("nan"))) == "undecided"


def call(treatment, ci, control="dssm"):
    revenue = {"rel_effect": sum(ci) / 2, "ci": list(ci), "p": 0.04, "n_worlds": 5}
    found = market_calls(control, treatment, revenue)
    return {row["mechanism"]: row["word"] for row in found["rows"]}, found


@pytest.mark.parametrize(
    ("ci", "word"),
    [
        ((0.001, 0.02), "supported"),
        ((-0.01, WORTH_REVENUE - 1e-6), "not supported"),
        ((-0.01, 0.02), "undecided"),
    ],
)
def test_the_market_calls_the_one_mechanism_that_was_added(ci, word):
    words, found = call("dssm+cms@bst", ci)
    assert words == {"CAS": "undecided", "CTS": "undecided", "CMS": word}
    assert [row["lift"] is None for row in found["rows"]] == [True, True, False]
    assert call("dssm+cs3", ci, control="dssm+cas+cts")[0] == words


def test_mechanisms_that_were_run_together_are_not_told_apart():
    words, found = call("dssm+cs3", (0.01, 0.02))
    assert set(words.values()) == {"undecided"}
    assert "does not tell them apart" in found["note"]
    assert call("dat", (0.01, 0.02))[1]["rows"] == []


@pytest.mark.parametrize("gain", [users(float("nan"), float("nan")), {"effect": None, "ci": [None, None], "p": None}])
def test_without_a_number_nothing_is_called(gain):
    """A test of one class has no AUC; one user has no interval."""
    pairs = [{"control": "dssm", "treatment": "dssm+cas", "users": gain}]
    (one,) = verdicts([*pairs, {"control": "dssm-wide", "treatment": "dssm+cas", "users": gain}])
    assert one["word"] == "undecided"
    assert one["reason"].startswith("AUC n/a over dssm, n/a over dssm-wide: ")


def test_arms_that_are_alike_are_no_claim():
    assert found(users(0.0, 0.0)) == "undecided"


def test_a_control_without_a_number_is_not_beaten():
    controls = {name: users(float("nan"), float("nan")) for name in CONTROLS["cms"]}
    assert found(users(0.002, 0.004), controls) == "undecided"
