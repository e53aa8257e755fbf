"""The reader of docs/your-log.md, as written, through the command that it is for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from reports.commands.main import main
from simulator.datasets.door import read_log
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
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
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


def blank(folder, column, lines):
    """The log without the values of a column in some lines; the header is line 1."""
    path = folder / "impressions.csv"
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        rows[line - 1][rows[0].index(column)] = ""
    path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")


@pytest.mark.parametrize("column", ["time", "user", "ad", "clicked"])
def test_a_blank_that_cannot_stay_is_left_out_and_told(folder, column):
    blank(folder, column, [2, 77])
    (found,) = read_log("my_log:read", ".", label_wait=1800).report.malformed
    assert (found.kind, found.count, found.lines) == ("blank", 2, (2, 77))


def test_a_blank_feature_is_a_value_of_its_own(folder):
    rows = (folder / "impressions.csv").read_text(encoding="utf-8").splitlines()
    blank(folder, "category", [i for i, row in enumerate(rows, 1) if row.split(",")[2] == "7"])
    catalog = read_log("my_log:read", ".", label_wait=1800).catalog
    assert catalog.categories == 3
    assert np.flatnonzero(catalog.category == 2).tolist() == [7]


def test_milliseconds_are_refused_before_anything_is_replayed(folder, monkeypatch, capsys):
    path = folder / "impressions.csv"
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *(row.replace(",", "000,", 1) for row in rows)]) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        typed(monkeypatch, "offline", "--data", "my_log:read", "--path", ".", "--out", str(folder / "run"))
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("cs3bench: error: my_log:read: date[0] == ")
    assert said.endswith("(time in milliseconds?) (4,000 such)\n")
    assert not (folder / "run").exists()
