"""A log is what was read of it, told by the files that it came from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.studies.offline.files import content, opened, read_once
from simulator.same_run import changed

TINY = Path(__file__).parents[2] / "data" / "kuairand-tiny"
READ = {"log_standard_4_25_to_5_08_pure.csv.gz", "user_features_pure.csv", "video_features_basic_pure.csv"}


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(TINY, tmp_path / "kr")
    (tmp_path / "kr" / "not-read.txt").write_text("", encoding="utf-8")
    return tmp_path / "kr"


def shuffled(path: Path) -> None:
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    ids, rest = zip(*(row.split(",", 1) for row in rows), strict=True)
    text = "\n".join([head, *(f"{i},{r}" for i, r in zip(ids, rest[::-1], strict=True))])
    path.write_text(text + "\n", encoding="utf-8")


def test_every_file_that_is_read_has_a_digest_and_no_other(folder):
    told = read_once("kuairand", str(folder), 1800).told()
    assert told["folder"] == str(folder)
    assert set(told["files"]) >= READ
    assert set(told["files"]) <= {path.name for path in folder.iterdir()} - {"not-read.txt"}


def test_features_that_change_are_read_again_and_named(folder):
    before = read_once("kuairand", str(folder), 1800)
    was = before.told()
    assert read_once("kuairand", str(folder), 1800) is before
    shuffled(folder / "user_features_pure.csv")
    after = read_once("kuairand", str(folder), 1800)
    now = after.told()
    assert np.array_equal(before.log.impressions.time, after.log.impressions.time)
    here = {"identity": {"kind": "offline"}, "made_of": {"data": now}}
    there = {"identity": {"kind": "offline"}, "made_of": {"data": was}}
    assert changed(there, here) == f"{folder}/user_features_pure.csv changed since it was made"


def test_all_that_models_get_counts_and_the_readers_report_does_not(folder):
    log = read_once("kuairand", str(folder), 1800).log
    history = replace(log.catalog.history, start=log.catalog.history.start + 1)
    assert content(replace(log, report=replace(log.report, rows=0))) == content(log)
    assert content(replace(log, catalog=replace(log.catalog, history=history))) != content(log)
    assert content(replace(log, test_date=log.test_date + 1)) != content(log)


def test_python_tells_what_it_opens_and_a_folder_stands_in_where_nobody_does(tmp_path):
    for name in ("a.csv", "b.csv", "reader.py"):
        (tmp_path / name).write_text("", encoding="utf-8")
    with opened(tmp_path) as found:
        (tmp_path / "a.csv").read_text(encoding="utf-8")
        (tmp_path / "reader.py").read_text(encoding="utf-8")
        (tmp_path / "out.csv").write_text("", encoding="utf-8")
    assert [path.name for path in found] == ["a.csv"]
    with opened(tmp_path) as found:
        pass
    assert [path.name for path in found] == ["a.csv", "b.csv", "out.csv", "reader.py"]
