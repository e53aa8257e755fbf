"""A sweep: one study per value, or one arm per value, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.pages.offline import text
from reports.studies.offline import study as offline
from reports.studies.offline import sweep
from reports.studies.offline.sweep import DIALS, SweepConfig, run
from simulator.same_run import resuming
from tests.data.make_kuairand_tiny import FOLDER
from tests.reports.run_contract import check_run

TINY: dict[str, Any] = {
    "tuned": False,
    "retriever": {"embedding": 4, "hidden": (16,), "batch": 256},
    "ranker": {"embedding": 4, "hidden": (16, 64), "batch": 256},
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small models, few publications."""
    study = sweep._study

    def smaller(config: SweepConfig, arms: Any, **given: Any) -> offline.OfflineConfig:
        return study(config, arms, **({"sync": 12 * 3600} | TINY | given))

    monkeypatch.setattr(sweep, "_study", smaller)


def test_a_decay_is_swept_by_one_run_with_an_arm_per_value(tmp_path: Path) -> None:
    config = SweepConfig(dial="alpha", path=str(FOLDER), values=(0.0, 0.9), seeds=(1, 2))
    results = run(config, tmp_path / "out", quiet=True)
    assert json.loads((tmp_path / "out" / "sweep.json").read_text()) == results
    assert list(results["arms"]) == ["ranker dnn", "dssm", "dssm+cts"]
    assert [len(one["auc"]) for one in results["arms"].values()] == [2, 2, 2]
    # the base does not depend on the dial; the arm does
    assert results["arms"]["dssm"]["auc"][0] == results["arms"]["dssm"]["auc"][1]
    one, two = results["arms"]["dssm+cts"]["auc"]
    assert one["per_seed"] != two["per_seed"]
    assert results["arms"]["dssm"]["users"] == [None, None]
    assert len(list((tmp_path / "out" / "run" / "cells").glob("*/dssm+cts*"))) == 4
    table = text.sweep(results)
    assert len(table) == 2 + 2
    assert table[0].endswith("`dssm+cts` - `dssm` |")
    check_run(tmp_path / "out", "sweep", "auc", "differences")


def test_a_dial_of_the_study_is_swept_by_a_run_per_value(tmp_path: Path, look: Callable[[Path], None]) -> None:
    config = SweepConfig(dial="sync", path=str(FOLDER), values=(21600, 86400), seeds=(1,))
    results = run(config, tmp_path / "out", quiet=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("sync-*")) == ["sync-21600", "sync-86400"]
    for one in results["arms"].values():
        assert one["auc"][0]["mean"] != one["auc"][1]["mean"]
    look(tmp_path / "out" / "index.html")


def test_one_that_is_made_anew_and_stopped_has_no_old_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SweepConfig(dial="label_wait", path=str(FOLDER), values=(60, 600))
    found = {"dial": "label_wait", "values": [60, 600], "seeds": [11, 12, 13]}
    for name in ("sweep.json", "index.html", "label_wait-60/results.json", "label_wait-600/results.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(found))

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(offline, "run", stop)
    for fresh, left in ((False, 4), (True, 0)):
        with pytest.raises(KeyboardInterrupt), resuming(fresh=fresh):
            run(config, tmp_path, quiet=True)
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == left


def test_an_unknown_dial_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dial == 'alfa', must be a dial; did you mean 'alpha'"):
        run(SweepConfig(dial="alfa", path=str(FOLDER)), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_every_dial_sweeps_its_default() -> None:
    for name, dial in DIALS.items():
        assert dial.default in dial.values, name
