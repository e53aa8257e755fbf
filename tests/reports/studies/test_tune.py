"""The search on the tiny log: equal for all models, resumable, and read by the study."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from reports.studies.tuning import offline as tune
from reports.studies.tuning.offline import RANKER_SPACE, TOWER_SPACE, TuneConfig, lines, ranker_of, run
from reports.studies.tuning.search import Space
from tests.data.make_kuairand_tiny import FOLDER
from tests.reports.run_contract import check_run

SMALL = {"softmax": 0.0, "embedding": 4, "batch": 256}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> TuneConfig:
    """Narrow towers and a short ladder: the tiny log is searched in seconds."""
    for name, widths in (("TOWER_SPACE", ((8,), (16,))), ("RANKER_SPACE", ((8, 64), (16, 64)))):
        start = {"lr": 1e-3, "table_lr": 0.03, "hidden": widths[0]}
        space = Space(ladders={"lr": (5e-4, 1e-3), "table_lr": (0.03, 0.1), "hidden": widths}, start=start)
        monkeypatch.setattr(tune, name, space)
    models = ("@dnn", "dssm", "dssm+cms")
    return TuneConfig(path=str(FOLDER), models=models, budget=3, sync=12 * 3600, retriever=SMALL)


def test_every_model_gets_the_same_start_and_budget(small: TuneConfig, tmp_path: Path) -> None:
    results = run(small, tmp_path / "run", quiet=True)
    tried = {name: one["tried"] for name, one in results["models"].items()}
    assert {len(points) for points in tried.values()} <= {3, 4}  # with the other tower's winner
    assert len(tried["@dnn"]) == 3
    starts = [{key: points[0][key] for key in ("lr", "table_lr")} for points in tried.values()]
    assert starts[0] == starts[1] == starts[2]
    for one in results["models"].values():
        best = next(point for point in one["tried"] if {**point, "auc": 0} == {**one["best"], "auc": 0})
        assert best["auc"] == pytest.approx(one["auc"])
    shipped = tomllib.loads((tmp_path / "run" / "tuned.toml").read_text())
    assert shipped == {name: one["best"] for name, one in results["models"].items()}
    assert len(lines(results)) == 2 + 3
    check_run(tmp_path / "run", "tune", "models")

    # what was tried is not tried again
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "points").rglob("*.json")}
    assert len(stamps) == sum(map(len, tried.values()))
    for cell in (tmp_path / "run" / "cells").rglob("cell.json"):
        cell.unlink()
    assert run(small, tmp_path / "run", quiet=True) == results
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "points").rglob("*.json")}


def test_no_test_day_is_seen(small: TuneConfig) -> None:
    rows, scored = tune.fit_rows(small)
    data = tune.read(small.offline())
    assert len(rows) == int((~data.test).sum())
    assert rows.time.max() <= data.impressions.time[data.test].max()
    assert scored.any()
    assert scored.sum() < len(rows)


def test_a_tower_that_learns_from_a_ranker_needs_its_search(small: TuneConfig, tmp_path: Path) -> None:
    assert ranker_of("dssm+cms") == ranker_of("dssm-bare+cs3@dnn") == "@dnn"
    assert ranker_of("dssm+kd") == ranker_of("dat+cts+listkl") == ranker_of("dssm+cit") == "@dnn"
    assert ranker_of("dssm+cts") is ranker_of("dat") is ranker_of("@dnn") is None
    with pytest.raises(ValueError, match="must hold '@dnn' for dssm\\+cms"):
        run(small.model_copy(update={"models": ("dssm+cms",)}), tmp_path / "run", quiet=True)


def test_the_shipped_settings_lie_on_the_ladders() -> None:
    """The file that the study reads holds what this search can find, and no winner at an end of its ladder."""
    from reports.studies.offline.models import shipped

    for model, params in shipped("kuairand").items():
        space = RANKER_SPACE if model.startswith("@") else TOWER_SPACE
        assert space.on_boundary(space.point(params)) == [], model


def test_the_results_are_plain(small: TuneConfig, tmp_path: Path) -> None:
    results = run(small.model_copy(update={"models": ("dssm",), "budget": 1}), tmp_path / "run", quiet=True)
    assert json.loads((tmp_path / "run" / "tuning.json").read_text()) == results
