"""Test rows of one class, or of one user: every study ends well and says n/a, never nan, and calls nothing."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.pages.offline import text
from reports.studies.offline import study as offline
from reports.studies.offline import sweep
from reports.studies.offline.study import OfflineConfig
from reports.studies.offline.sweep import SweepConfig
from reports.studies.tuning import offline as tune
from reports.studies.tuning.offline import TuneConfig
from simulator.datasets.kuairand import TEST_DATE
from tests.data.make_kuairand_tiny import FOLDER
from tests.reports.studies.test_offline import BAD, GOOD

NAME = "log_standard_4_25_to_5_08_pure.csv"
Row = list[str]


def unclicked(rows: list[Row]) -> list[Row]:
    return [[*row[:5], "0", *row[6:]] for row in rows]


def of_one_user(rows: list[Row]) -> list[Row]:
    most = max({row[0] for row in rows}, key=[row[0] for row in rows].count)
    return [row for row in rows if row[0] == most]


def log_with(folder: Path, how: Callable[[list[Row]], list[Row]], *, test: bool = True) -> Path:
    """The tiny log with other rows in its test (or in all days before it)."""
    shutil.copytree(FOLDER, folder)
    head, *lines = gzip.decompress((folder / f"{NAME}.gz").read_bytes()).decode(errors="replace").splitlines()
    rows = [line.split(",") for line in lines if line.count(",") == head.count(",")]
    late = [row for row in rows if row[2] >= str(TEST_DATE)]
    early = [row for row in rows if row[2] < str(TEST_DATE)]
    changed = [*early, *how(late)] if test else [*how(early), *late]
    (folder / f"{NAME}.gz").write_bytes(gzip.compress("\n".join([head, *map(",".join, changed), ""]).encode()))
    return folder


def no_nan(text: str) -> None:
    assert not re.search(r"(?i)\b(nan|inf)\b", re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("how", [unclicked, of_one_user])
def test_a_replay_says_na(how: Callable[[list[Row]], list[Row]], tmp_path: Path) -> None:
    path = log_with(tmp_path / "log", how)
    config = OfflineConfig(path=str(path), arms=(BAD, GOOD), seeds=(1, 2))
    results = offline.run(config, tmp_path / "run", quiet=True)
    (pair,) = results["contrasts"]
    assert pair["users"]["ci"] == [None, None]
    told = "\n".join(text.replay(results))
    assert f"{GOOD} - {BAD}: AUC n/a" in told
    no_nan(told)
    no_nan((tmp_path / "run" / "index.html").read_text(encoding="utf-8"))


def test_noise_on_a_test_of_one_class_has_no_curve(tmp_path: Path) -> None:
    path = log_with(tmp_path / "log", unclicked)
    small: dict[str, Any] = {"embedding": 4, "hidden": [16], "batch": 256}
    ranker = {"ranker": small | {"hidden": [16, 64]}, "retriever": small, "tuned": False, "panel": 0, "sync": 86_400}
    config = OfflineConfig(path=str(path), arms=("dssm", "dssm+cas"), seeds=(1,), noise=(0.0, 0.1), **ranker)
    results = offline.run(config, tmp_path / "run", quiet=True)
    assert results["noise"]["scales"]["absolute"]["dssm"]["auc"][0]["mean"] is None
    assert [one["word"] for one in results["verdicts"]] == ["undecided"]
    no_nan("\n".join(text.replay(results)))


def test_a_sweep_says_na() -> None:
    one = {"mean": None, "ci": None, "per_seed": [None]}
    users = {"effect": None, "ci": [None, None], "p": None}
    arms = {"dssm": {"auc": [one], "users": [None]}, "dssm+cts": {"auc": [one], "users": [users]}}
    shown = {"dial": "alpha", "unit": "decay", "base": "dssm", "values": [0.5], "arms": arms}
    assert text.sweep(shown)[-1] == "| 0.5 | n/a | n/a | n/a |"


def test_a_search_on_days_of_one_class_is_refused(tmp_path: Path) -> None:
    path = log_with(tmp_path / "log", unclicked, test=False)
    with pytest.raises(ValueError, match="label is False in all rows of the last 4 days before the test"):
        tune.run(TuneConfig(path=str(path), models=("dssm",), budget=1), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_point_that_diverges_is_the_worst(tmp_path: Path) -> None:
    values = {"lr": 1e-3, "table_lr": 0.03, "hidden": [8], "dropout": 0.0, "l2": 0.0}
    found = {"best": values, "auc": None, "surrounded": False, "on_boundary": [], "tried": [values | {"auc": None}]}
    assert tune.number(json.loads(json.dumps(found))["auc"]) == -float("inf")
    assert "| n/a | 1 |" in tune.lines({"models": {"dssm": found}})[-1]


def test_every_run_of_a_sweep_is_checked_before_the_first(tmp_path: Path) -> None:
    config = SweepConfig(dial="label_wait", path=str(FOLDER), values=(1800, 1_800_000))
    with pytest.raises(ValueError, match="label_wait == 1800000"):
        sweep.run(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
