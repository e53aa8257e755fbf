"""Power: the simulated answer meets the formula where the formula is right, and a whole run in seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.pages.lab.page import write_power_page
from reports.studies.lab.power import by_days, by_users, by_worlds, run_power
from reports.studies.lab.study import Plan
from simulator.experiment import read_json
from tests.reports.run_contract import check_run
from tests.reports.studies.test_lab import plan

W, DAYS, SE = 400, 4, 0.04


def small_plan() -> Plan:
    """One meter, one tightness, one share: what power needs."""
    return replace(plan(), meters=("interference",), tightness=plan().tightness[:1], shares=plan().shares[:1])


def worlds(bias: float = 0.0) -> tuple[list[dict], np.ndarray]:
    """Live tests whose error is as large as they say, shrinking with the root of the days."""
    rng = np.random.default_rng(1)
    truth = np.full((W, DAYS), 0.05)
    se = SE / np.sqrt(np.arange(1, DAYS + 1))
    steps = rng.normal(0, SE, (W, DAYS)).cumsum(axis=1) / np.arange(1, DAYS + 1)
    log = truth + steps + bias
    facts = [
        {"by_day": [{"rel_effect": float(np.expm1(x)), "se": float(s)} for x, s in zip(row, se, strict=True)]}
        for row in log
    ]
    return facts, truth


def test_simulated_power_meets_the_formula_and_bias_is_no_power() -> None:
    for bias in (0.0, 0.2):
        found = by_days(*worlds(bias), log_lift=0.05, power=0.8)
        assert found["n_worlds"] == W
        assert found["simulated"] == pytest.approx(found["formula"], abs=0.07)
        assert found["bias"] == pytest.approx(bias, abs=0.01)
        assert found["sd"]["simulated"] == pytest.approx(found["sd"]["formula"], rel=0.12)
        needed = found["days_needed"]
        assert needed["simulated"] == pytest.approx(needed["formula"], rel=0.25)
        # (1.96 + 0.84)^2 0.04^2 / 0.05^2
        assert needed["formula"] == pytest.approx(7.849 * (SE / 0.05) ** 2, rel=1e-3)


def test_a_design_without_estimates_says_so() -> None:
    facts = [{"by_day": [{"rel_effect": None, "se": None}]}] * 3
    assert "fewer than 2 worlds" in by_days(facts, np.zeros((3, 1)), 0.05, 0.8)["reason"]
    assert by_users(facts, np.zeros((3, 1)), 0.05, 0.8, 100) == {}


def test_users_needed() -> None:
    rng = np.random.default_rng(2)
    shares = np.array([0.25, 0.5, 1.0])
    facts = [
        {
            "by_users": [
                {"rel_effect": float(np.expm1(rng.normal(0, SE / np.sqrt(s)))), "se": SE / np.sqrt(s)} for s in shares
            ]
        }
        for _ in range(W)
    ]
    found = by_users(facts, np.zeros((W, 1)), 0.05, 0.8, 1000)
    assert found["by_users"]["simulated"] == pytest.approx(found["by_users"]["formula"], rel=0.12)
    assert found["users_needed"]["simulated"] == pytest.approx(found["users_needed"]["formula"], rel=0.25)


def test_twin_worlds() -> None:
    d = np.random.default_rng(3).normal(0.3, 0.02, 200)
    found = by_worlds(d, 0.02, 0.8, seed=1)
    assert found["simulated"] == pytest.approx(found["formula"], abs=0.08)
    # the simulated answer is one of the numbers of worlds that are drawn
    assert 0.7 < found["worlds_needed"]["simulated"] / found["worlds_needed"]["formula"] < 1.4
    assert by_worlds(np.array([0.1, 0.5, 0.9]), 0.001, 0.8, seed=1)["worlds_needed"]["simulated"] is None


def test_a_whole_run(tmp_path: Path, look: Callable[[Path], None]) -> None:
    small = small_plan()
    root, found = run_power(small, 0.1, 0.8, tmp_path / "run", 1, quiet=True)
    assert found["budget_clicks"] == 1e9
    assert found["twin"]["n_worlds"] == 2
    assert len(found["designs"]["user_split"]["by_users"]["users"]) == 3
    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    text = write_power_page(found, results, timing, manifest, root).read_text(encoding="utf-8")
    assert "What it takes to find" in text
    assert "| switchback |" in (root / "tables.md").read_text(encoding="utf-8")
    look(root / "index.html")
    check_run(root, "power", "power", "needed", "twin", "designs")


def test_refusals(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="must be one of each"):
        run_power(plan(), 0.1, 0.8, out, 1)
    for lift in (0.0, -1.0, float("inf"), float("nan"), 1e-300, 1e300):
        with pytest.raises(ValueError, match=re.escape(f"lift == {lift}, must be above -1, at most 100, and")):
            run_power(small_plan(), lift, 0.8, out, 1)
    with pytest.raises(ValueError, match="power == 1, must be between 0 and 1"):
        run_power(small_plan(), 0.1, 1, out, 1)
    assert not out.exists()
