"""The model of docs/add-a-model.md: 30 lines that keep the contract and run in an A/B test, as written."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from reports.commands.main import main
from tests.reports.studies.tiny import arguments

PAGE = Path(__file__).parents[1] / "docs" / "add-a-model.md"
ARM = "my_model:Factors"


@pytest.fixture
def cs3bench(tmp_path, monkeypatch, capsys):
    """The command line, in a folder with ``my_model.py``."""
    (tmp_path / "my_model.py").write_text(model(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_model", raising=False)

    def run(*typed):
        monkeypatch.setattr(sys, "argv", ["cs3bench", *typed])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    yield run
    sys.modules.pop("my_model", None)


def model() -> str:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


def test_it_is_thirty_lines():
    body = model().partition("class Factors:")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 30


def test_it_keeps_the_contract(cs3bench):
    code, out, err = cs3bench("check", ARM)
    assert (code, err) == (0, "")
    assert out.endswith("15 passed, 0 failed\n")


def test_it_runs_in_an_ab_test_and_its_lift_is_measured(cs3bench, tmp_path, monkeypatch):
    # The pictures take longer than the markets.
    monkeypatch.setattr("reports.runs.load.Run.draw", lambda run: tmp_path)
    typed = ["--control", "random", "--treatment", f"{ARM}[lr=0.1]", "--worlds", "1", "--jobs", "1"]
    code, out, err = cs3bench(*arguments(tmp_path / "run", *typed))
    assert (code, err) == (0, "")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["treatment"] == f"{ARM}[lr=0.1]"
    assert results["metrics"]["recall"]["treatment"] > results["metrics"]["recall"]["control"]
    assert "verdict:" in out


def test_a_setting_that_it_does_not_have_is_refused(cs3bench, tmp_path):
    code, out, err = cs3bench(*arguments(tmp_path / "run", "--treatment", f"{ARM}[widht=16]"))
    assert (code, out) == (2, "")
    assert err == f"cs3bench: error: setting == 'widht', must be one of {ARM}'s; did you mean 'width'?\n"
    assert not (tmp_path / "run").exists()
