"""Lift over a dial: break-even by hand, every dial turns its field, a whole study in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reports.pages.lab.page import write_sensitivity_page
from reports.studies.sensitivity.study import DIALS, Level, Plan, break_even, check, run_sensitivity, saved
from simulator.experiment import read_json
from tests.reports.run_contract import check_run
from tests.reports.studies.tiny import SETS


def plan(dial: str = "k", values: tuple[float, ...] = (4, 8), **more) -> Plan:
    given = {"control": "random", "treatment": "popularity", "small": True, "sets": SETS}
    return Plan(scenario="quickstart", dial=dial, values=values, **(given | more))


def test_break_even() -> None:
    assert break_even([0, 1, 2], [0.3, 0.1, -0.1])["x"] == pytest.approx(1.5)
    assert break_even([0, 10], [-0.1, 0.3])["x"] == pytest.approx(2.5)
    assert break_even([0, 1], [0.1, 0.0])["x"] == 1
    assert break_even([0, 1], [0.1, 0.2]) == {"x": None, "reason": "the lift is above 0 at every level"}
    assert break_even([0, 1], [-0.1, -0.2])["reason"] == "the lift is below 0 at every level"
    assert "has no lift" in break_even([0, 1], [0.1, None])["reason"]


def test_candidates_saved() -> None:
    def facts(money: float) -> list[dict]:
        return [{"days": [{"revenue": money + world}]} for world in (0.0, 1.0)]

    found = [Level(facts(10.0), facts(20.0)), Level(facts(20.0), facts(30.0)), Level(facts(30.0), facts(40.0))]
    assert saved((10, 20, 30), 20, found)["equal_revenue_k"] == pytest.approx(10)
    assert saved((10, 20, 30), 40, found)["reason"] == "K = 40 lies outside the levels"
    never = [Level(facts(10.0), facts(1.0)), Level(facts(20.0), facts(2.0))]
    assert "not reached at any level in 2 of 2 worlds" in saved((10, 20), 20, never)["reason"]


@pytest.mark.parametrize("dial", DIALS)
def test_every_dial_turns_its_field(dial: str) -> None:
    sets = tuple(one for one in SETS if not one.startswith(("cascade.tick", "cascade.sync", "world.ads")))
    values = DIALS[dial].values
    levels = check(plan(dial, values, sets=sets))
    section, name = DIALS[dial].key.split(".")
    found = [getattr(getattr(one, section), name) for one in levels.values()]
    assert found == [DIALS[dial].value(level) for level in values]


def test_a_whole_study(tmp_path: Path, look: Callable[[Path], None]) -> None:
    root, results = run_sensitivity(plan(), tmp_path / "run", 1, quiet=True)
    assert [one["level"] for one in results["levels"]] == [4, 8]
    assert all(one["expected_revenue"]["n_worlds"] == 2 for one in results["levels"])
    assert results["saved"]["k"] == 8
    check_run(root, "sensitivity", "levels", "per_world", "daily", "impressions")
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("cell.json")}
    assert len(stamps) == 2 * 2 * 3
    again = run_sensitivity(plan(), root, 1, quiet=True)[1]
    assert again == results
    assert stamps == {path: path.stat().st_mtime_ns for path in root.rglob("cell.json")}
    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    text = write_sensitivity_page(results, timing, manifest, root).read_text(encoding="utf-8")
    assert "Break-even of expected revenue" in text
    look(root / "index.html")
    assert "| 4 |" in (root / "tables.md").read_text(encoding="utf-8")
    # the level at which the dial stands is the plain study
    alone = run_sensitivity(plan(values=(6, 8)), tmp_path / "other", 1, quiet=True)[1]
    assert alone["levels"][1] == results["levels"][1]
    assert np.isfinite(results["levels"][0]["revenue"]["control"])


def test_refusals() -> None:
    for broken, said in (
        (plan("kk"), "dial == 'kk', must be one that is known; did you mean 'k'"),
        (plan(values=(8,)), r"values == \[8\], must be two or more levels, mildest first"),
        (plan(values=(8, 4)), "mildest first"),
        (plan(values=(4.5, 8)), "must be whole numbers for k"),
        (plan("k", (4, 400)), "cascade.candidates == 400, must be at most world.ads == 40"),
        (plan(treatment="random"), "treatment == 'random', must differ from the control"),
    ):
        with pytest.raises(ValueError, match=said):
            check(broken)
