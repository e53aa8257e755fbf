"""A run or what is left of it: what is written, when, and what a second time does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.studies.machine.runner import Answer, run_or_resume
from simulator.experiment import RunDirectory, read_json
from simulator.seal import SEAL

MANIFEST: dict[str, Any] = {"identity": {"kind": "toy", "version": "1"}}


class Toy:
    """A study that counts how often it is asked, and leaves a work file."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, run: RunDirectory) -> Answer:
        self.asked.append("answer")
        (run.root / "work").mkdir(exist_ok=True)
        return Answer({"schema": 1, "n": float("nan")}, self.clock)

    def clock(self) -> dict[str, Any]:
        self.asked.append("clock")
        return {"jobs": len(self.asked)}


def test_results_are_read_back_timed_once_and_sealed(tmp_path: Path) -> None:
    toy, root = Toy(), tmp_path / "run"
    found = run_or_resume(root, MANIFEST, toy)
    assert found == {"schema": 1, "n": None} == read_json(root / "results.json")
    assert not (root / "work").exists()
    assert "timing.json" in (root / SEAL).read_text(encoding="utf-8")
    assert run_or_resume(root, MANIFEST, toy) == found
    assert toy.asked == ["answer", "clock", "answer"]
    assert read_json(root / "timing.json") == {"jobs": 2}


def test_what_is_made_of_the_results_is_under_the_seal(tmp_path: Path) -> None:
    toy, root = Toy(), tmp_path / "run"
    for _ in range(2):
        run_or_resume(
            root, MANIFEST, toy, file="tuning.json", timed_again=True,
            after=lambda results: (root / "tuned.toml").write_text(str(results["schema"])),
        )  # fmt: skip
    assert toy.asked == ["answer", "clock"] * 2
    assert not (root / "results.json").exists()
    assert "tuned.toml" in (root / SEAL).read_text(encoding="utf-8")


def test_another_run_is_refused_before_its_study_is_asked(tmp_path: Path) -> None:
    toy, root = Toy(), tmp_path / "run"
    run_or_resume(root, MANIFEST, toy)
    with pytest.raises(ValueError, match="run"):
        run_or_resume(root, {"identity": {"kind": "other", "version": "1"}}, toy)
    assert toy.asked.count("answer") == 1
