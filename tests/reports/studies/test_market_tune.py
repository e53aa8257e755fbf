"""The market's search on a tiny scenario: one log, the same start and budget for all, resumable."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from reports.studies.tuning import market as market_tune
from reports.studies.tuning.market import RIVALS, SPACE, MarketTuneConfig, run
from reports.studies.tuning.search import Space
from tests.reports.studies.tiny import tiny


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> MarketTuneConfig:
    start = {"lr": 1e-3, "hidden": (8, 8)}
    monkeypatch.setattr(market_tune, "SPACE", Space(ladders={"lr": (1e-3, 1e-2), "hidden": ((8, 8),)}, start=start))
    return MarketTuneConfig(scenario=tiny(), models=("dssm", "dssm+cs3"), budget=2, days=1, seed=7)


def test_all_start_alike_and_get_the_same_budget(config: MarketTuneConfig, tmp_path: Path) -> None:
    results = run(config, tmp_path / "run", quiet=True)
    for one in results["models"].values():
        assert [point["lr"] for point in one["tried"]] == [1e-3, 1e-2]
        assert one["recall"] == max(point["recall"] for point in one["tried"])
        assert 0 < one["recall"] < 1
    shipped = tomllib.loads((tmp_path / "run" / "tuned.toml").read_text())
    assert shipped == {name: one["best"] for name, one in results["models"].items()}

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "points").rglob("*.json")}
    assert len(stamps) == 4
    for model in config.models:
        (tmp_path / "run" / "cells" / "world-7" / model / "cell.json").unlink()
    assert run(config, tmp_path / "run", quiet=True) == results
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "points").rglob("*.json")}


def test_a_foreign_ranker_is_refused(config: MarketTuneConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model == 'dssm@bst', must be an arm on the burn-in's ranker, dnn"):
        run(config.model_copy(update={"models": ("dssm@bst",)}), tmp_path / "run", quiet=True)


def test_the_shipped_settings_lie_on_the_ladders() -> None:
    from reports.studies.arena.study import shipped

    found = shipped("quickstart")
    assert set(found) <= set(RIVALS)
    for params in found.values():
        SPACE.point(params)


@pytest.mark.parametrize(("models", "said"), [(("dssm", "dssm"), "must name each once"), (("oracle",), "has none")])
def test_a_search_that_cannot_be_run_is_refused_before_its_burn_in(models, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        market_tune.run(market_tune.MarketTuneConfig(scenario=tiny(), models=models), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
