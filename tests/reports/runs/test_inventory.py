"""`cs3bench runs`: every run of a folder has a line, the broken ones too."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from reports.runs.inventory import bytes_told, inventory
from tests.reports.commands.test_cli import said


@pytest.fixture
def folder(tmp_path, made_up, finished):
    """Two finished runs, one cut off in its cells, one in its results, one damaged, one old; and what is no run."""
    home = tmp_path / "runs"
    shutil.copytree(made_up, home / "made-up")
    shutil.copytree(finished, home / "tiny")
    cut = home / "cut-off"
    shutil.copytree(finished, cut, ignore=shutil.ignore_patterns("results.json", "dssm+cs3"))
    np.zeros(9, dtype=np.int64).tofile(cut / "progress.bin")
    shutil.copytree(finished, home / "late")
    (home / "late" / "work").mkdir()
    shutil.copytree(made_up, home / "damaged")
    (home / "damaged" / "results.json").write_text('{"schema": 1, "ki')
    shutil.copytree(made_up, home / "old")
    (home / "old" / "results.json").write_text(json.dumps({"schema": 0, "kind": "ab"}))
    (home / "notes").mkdir()
    (home / "notes" / "todo.txt").write_text("no run")
    return home


def test_each_run_has_its_line(folder):
    found = {one.name: one for one in inventory(folder)}
    assert set(found) == {"made-up", "tiny", "cut-off", "late", "damaged", "old"}
    tiny = found["tiny"]
    assert (tiny.kind, tiny.scenario, tiny.state, tiny.of) == ("ab", "quickstart", "complete", tiny.cells)
    assert tiny.cells == len(list((folder / "tiny").glob("cells/*/*/cell.json"))) > 4
    assert tiny.word in ("ship", "do not ship", "undecided")
    assert tiny.bytes == sum(path.stat().st_size for path in (folder / "tiny").rglob("*") if path.is_file())
    assert tiny.created.endswith("Z")
    assert (found["made-up"].word, found["made-up"].created) == ("ship", "2026-01-01T00:00:00Z")
    cut = found["cut-off"]
    assert (cut.state, cut.cells, cut.of) == ("incomplete", tiny.cells - 2, tiny.cells), "as its manifest says"
    assert "cs3bench" in cut.text
    assert found["late"].state == "incomplete"
    assert (found["damaged"].state, found["old"].state) == ("damaged", "unreadable")
    assert found["damaged"].text.startswith("results.json: not a readable JSON file")
    assert "schema 0, this version reads 1" in found["old"].text


def test_the_command_prints_a_line_each(folder, cs3bench):
    code, out, _ = cs3bench("runs", str(folder))
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 7
    assert lines[0].split() == ["run", "kind", "scenario", "begun", "(UTC)", "size", "cells", "state", "verdict"]
    (cut,) = [line for line in lines if line.startswith("cut-off")]
    assert " of 8 " in cut
    assert "incomplete" in cut
    code, out, _ = cs3bench("runs", str(folder), "--json")
    assert {one["name"] for one in json.loads(out)} == {one.name for one in inventory(folder)}


def test_one_run_or_none(folder, cs3bench, tmp_path):
    assert [one.name for one in inventory(folder / "tiny")] == ["tiny"]
    (tmp_path / "empty").mkdir()
    assert cs3bench("runs", str(tmp_path / "empty")) == (0, f"{tmp_path / 'empty'}: no runs\n", "")
    code, _, err = cs3bench("runs", str(tmp_path / "nowhere"))
    assert code == 2
    assert "no such folder" in said(err)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (812, "812 B"), (4_096, "4.1 kB"), (123_456, "123 kB"), (2_500_000_000, "2.5 GB")]
)
def test_sizes(count, said):
    assert bytes_told(count) == said
