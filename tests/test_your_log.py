"""The reader of docs/your-log.md, as written, through the command that it is for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from reports.cli import main
from simulator.experiment import read_json

PAGE = Path(__file__).parents[1] / "docs" / "your-log.md"
DAY = 86_400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with ``my_log.py`` and a log of four days, in which one segment likes one category."""
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    (tmp_path / "my_log.py").write_text(text, encoding="utf-8")
    rng = np.random.default_rng(1)
    n = 4000
    user, ad = rng.integers(40, size=n), rng.integers(30, size=n)
    likes = np.where(user % 2 == ad % 2, 0.5, 0.1)
    columns = [
        np.sort(rng.integers(20_000 * DAY, 20_004 * DAY, size=n)), user, ad, ad % 2, user % 2, rng.random(n) < likes
    ]  # fmt: skip
    lines = ["time,user,ad,category,segment,clicked"]
    lines += [",".join(str(int(value)) for value in row) for row in zip(*columns, strict=True)]
    (tmp_path / "impressions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_log", raising=False)
    yield tmp_path
    sys.modules.pop("my_log", None)


def typed(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["cs3bench", *words])
    main()


def test_a_log_of_ones_own_is_replayed(folder, monkeypatch, capsys):
    words = ["--path", ".", "--arm", "dssm", "--seeds", "1", "--jobs", "1", "--quiet", "--out", str(folder / "run")]
    typed(monkeypatch, "offline", "--data", "my_log:read", *words, "--set", "panel=0", "--set", "noise=[]")
    assert "dssm" in capsys.readouterr().out
    results = read_json(folder / "run" / "results.json")
    ranker = next(row for row in results["rows"] if row["kind"] == "ranker")
    # The truth, which segment likes which category, has an AUC of 0.74.
    assert 0.7 < ranker["auc"]["mean"] < 0.78


def test_a_reader_that_is_not_there_is_one_line(folder, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        typed(monkeypatch, "offline", "--data", "my_log:reed", "--path", ".")
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "my_log:reed" in said
