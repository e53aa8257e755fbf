"""The laboratory's commands: what they print, and one line for whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.commands.lab import lab, power, replay, sensitivity
from reports.commands.options import numbers
from tests.reports.studies.test_lab import SETS


def typed(command, *words: str, sets: tuple[str, ...] = SETS):
    extra = [word for one in sets for word in ("--set", one)]
    return CliRunner().invoke(command, [*words, "--quiet", "--jobs", "1", *extra], catch_exceptions=True)


def test_lab_prints_its_tables(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["--small", "--out", str(out), "--meter", "interference", "--design", "user_split"]
    found = typed(lab, *words, "--tightness", "1e9,2", "--shares", "0.5", "--control", "random")
    assert found.exit_code == 0, found.output
    assert "| twin |" in found.output
    assert found.output.rstrip().endswith("index.html")
    assert (out / "results.json").exists()


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        (lab, ("--design", "twins"), "--design twins: must be a live design"),
        (lab, ("--tightness", "a,b"), "--tightness a,b: must be numbers, separated by commas"),
        (power, ("--lift", "0"), "lift == 0.0, must be above -1, at most 100, and at least 1e-06 from 0"),
        (sensitivity, ("--dial", "drif"), "--dial drif: must be one that is known; did you mean 'drift'?"),
    ],
)
def test_one_line_for_what_is_wrong(command, words, said) -> None:
    found = typed(command, *words)
    assert isinstance(found.exception, ValueError)
    assert said in str(found.exception)
    assert "\n" not in str(found.exception)


def test_replay_asks_for_a_run(tmp_path: Path) -> None:
    found = CliRunner().invoke(replay, [str(tmp_path / "none"), "--request", "1"])
    assert "not a run directory" in str(found.exception)


def test_numbers() -> None:
    assert numbers("1,2.5", "--values") == (1.0, 2.5)
    assert numbers(None, "--values") is None
