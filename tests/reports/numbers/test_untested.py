"""Runs that test nothing: what an arm had learned, which slates differ, the red lights, and no claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reports.commands.ab import draw
from reports.numbers.untested import alike, idle, untested, why
from reports.studies.ab.study import Plan as Plan_
from reports.studies.ab.study import run_ab
from reports.studies.market.learned import learned, publications
from reports.studies.market.slates import differing
from reports.studies.sensitivity.study import Level, Plan, summary
from simulator.marketplace import CascadeConfig
from simulator.records import DAY
from tests.reports.studies.test_summary import A, B, summarise
from tests.reports.studies.tiny import SETS, tiny

CLOCK = CascadeConfig(tick=6 * 3600, sync=12 * 3600)


class Log:
    """The one column of a log that tells when labels are ready, in days."""

    def __init__(self, *days: float) -> None:
        self.ready_at = (np.array(days) * DAY).astype(np.int64)


class TestLearned:
    def test_rows_and_publications_before_and_since_the_seam(self):
        found = learned(Log(0.2, 0.3, 1.1), Log(1.3, 1.9, 2.5), CLOCK, DAY, 2 * DAY)  # type: ignore[arg-type]
        assert found == {"rows_burn_in": 2, "rows_test": 3, "publications_burn_in": 1, "publications_test": 2} | {
            "publications_served": 2
        }

    def test_no_label_before_the_end(self):
        found = learned(Log(9.0), Log(9.0), CLOCK, DAY, 2 * DAY)  # type: ignore[arg-type]
        assert set(found.values()) == {0}

    def test_publications_are_ticks_on_a_sync(self):
        assert publications(CLOCK, DAY).tolist() == [DAY // 2, DAY]
        assert publications(CascadeConfig(tick=5 * 3600, sync=DAY), 2 * DAY).tolist() == [DAY, 2 * DAY]
        assert publications(CascadeConfig(tick=3600, sync=3 * DAY), 2 * DAY).size == 0


def log_of(*rows: tuple[int, int, int]) -> dict[str, Any]:
    return dict(zip(("request", "slot", "ad"), np.array(rows, dtype=np.int64).reshape(-1, 3).T, strict=True))


class TestSlates:
    def test_share_of_requests_with_another_ad_or_place(self):
        one = log_of((1, 0, 7), (1, 1, 8), (2, 0, 7), (3, 0, 5), (4, 0, 5))
        two = log_of((1, 0, 8), (1, 1, 7), (2, 0, 7), (3, 0, 6), (4, 0, 5), (5, 0, 1))
        assert differing(one, two) == 3 / 5
        assert differing(one, one) == 0
        assert differing(log_of(), log_of()) == 0


LEARNED = {
    "rows_burn_in": 5, "rows_test": 5, "publications_burn_in": 2, "publications_test": 2, "publications_served": 3
}  # fmt: skip


class TestLights:
    def test_an_arm_that_learned_is_no_light(self):
        assert list(idle("dssm", [LEARNED, None])) == []

    def test_an_arm_without_a_row_and_one_without_a_publication(self):
        nothing = dict.fromkeys(LEARNED, 0)
        (light,) = idle("dssm", [nothing, LEARNED])
        assert (light.name, light.state) == ("Training, dssm", "red")
        assert "in 1 of 2 worlds it never learned, for no label was ready before the end" in light.text
        (light,) = idle("dssm", [LEARNED | {"publications_served": 0}])
        assert "in 1 of 1 worlds it served nothing that it had learned" in light.text
        (light,) = idle("dssm", [LEARNED | {"publications_test": 0}])
        assert "in 1 of 1 worlds it published nothing new since the seam" in light.text

    def test_arms_that_did_the_same(self):
        assert list(alike("a", "b", False, [0.0, 0.1])) == []
        assert list(alike("a", "b", False, None)) == []
        (light,) = alike("a", "b", False, [0.0, 0.0])
        assert light.state == "red"
        assert light.text.startswith("a and b showed the same slates to every request of every world: only prices")
        (light,) = alike("a", "b", True, [0.0, 0.0])
        assert light.text == "a and b showed the same slates to every request of every world."
        (light,) = alike("a", "b", True, [0.2, 0.1])
        assert "earned exactly the same in every world" in light.text

    def test_one_arm_against_itself_is_meant_to_be_the_same(self):
        assert untested("dssm", "dssm", {"control": A, "treatment": A}, [0.0, 0.0, 0.0]) == []
        assert why(untested("dssm", "dat", {"control": A, "treatment": A}, None)).startswith("dssm and dat earned")


def idle_arm(arm: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | {"learned": dict.fromkeys(LEARNED, 0)} for one in arm]


class TestNoClaim:
    @pytest.mark.parametrize(("a", "b"), [(idle_arm(A), idle_arm(B)), (A, idle_arm(B)), (B, idle_arm(A)), (A, A)])
    def test_of_a_run_that_tested_nothing(self, a, b):
        found = summarise(a, b, a_a={"equal": True, "revenue": [1, 1]})
        assert found["verdict"]["word"] == "undecided"
        assert found["verdict"]["lights"][0]["state"] == "red"
        assert {row["word"] for row in found["mechanisms"]["rows"]} == {"undecided"}
        assert found["mechanisms"]["note"].startswith("Not tested: ")

    def test_of_a_level_that_tested_nothing(self):
        plan = Plan(scenario="quickstart", dial="label_wait", values=(900, 3600, 90_000), small=True, sets=SETS)
        arms = [Level(A, B), Level(B, A), Level(idle_arm(A), idle_arm(A))]
        found = summary(plan, [tiny()] * 3, arms)
        assert found["break_even"]["revenue"]["x"] == pytest.approx(2250, rel=0.06)
        assert [bool(one["untested"]) for one in found["levels"]] == [False, False, True]
        assert found["lights"][0]["name"] == "Training, dssm, at 90000"
        alone = summary(plan, [tiny()] * 3, [arms[0], arms[2], arms[2]])
        assert alone["break_even"]["revenue"] == {"x": None, "reason": "1 of 3 levels tested anything"}


def test_labels_that_are_never_ready_are_told_everywhere(tmp_path, monkeypatch):
    """Scenarios that are checked refuse such a wait; whatever gets past the check is told by its lights."""
    monkeypatch.setattr("reports.studies.ab.study.check", lambda _scenario: None)
    scenario = tiny("run.ladder_worlds=0")
    late = scenario.model_copy(update={"feedback": scenario.feedback.model_copy(update={"label_wait": 900_000})})
    plan = Plan_(scenario=late, control="popularity", treatment="popularity@dnn", small=True, command="")
    root, found = run_ab(plan, tmp_path / "run", 1, quiet=True)
    assert found["verdict"]["word"] == "undecided"
    assert found["verdict"]["lights"][0]["state"] == "red"
    assert [one["rows_burn_in"] + one["rows_test"] for one in found["learned"]["popularity"]] == [0, 0]
    assert len(found["slates_differ"]) == 2
    draw(root)
    assert "it never learned, for no label was ready" in (root / "index.html").read_text(encoding="utf-8")
