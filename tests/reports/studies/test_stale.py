"""A run that resumes knows what it was made of: a model edited in between never gives the old numbers again."""

from __future__ import annotations

import shutil
import sys

import pytest

import reports.commands.ab
from reports.commands.main import main
from reports.studies.machine import kernels
from reports.studies.machine.manifests import made_of
from reports.studies.machine.workers import as_told
from simulator.experiment import Cell, RunDirectory, read_json
from tests.reports.studies.tiny import arguments

MODEL = """from parts import choose
def make(catalog, seed):
    return choose(catalog, seed)
"""
PARTS = "from simulator.retrieval import popularity_retriever as choose\n"


@pytest.fixture
def ab(tmp_path, monkeypatch, capsys):
    """``cs3bench ab`` of a model of two files against random, as a process of its own would run it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # The pictures take longer than the markets.
    monkeypatch.setattr(reports.commands.ab, "draw", lambda root: root)
    (tmp_path / "my_model.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "parts.py").write_text(PARTS, encoding="utf-8")
    typed = ["--control", "random", "--treatment", "my_model:make", "--worlds", "1", "--jobs", "1"]

    def run(*options):
        for name in ("my_model", "parts"):
            sys.modules.pop(name, None)
        sys.path_importer_cache.clear()
        monkeypatch.setattr(sys, "argv", ["cs3bench", *arguments(tmp_path / "run", *typed), *options])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().err

    yield run
    for name in ("my_model", "parts"):
        sys.modules.pop(name, None)


def test_a_worker_computes_nothing_by_code_that_was_edited_since_the_run_began(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "worked.py").write_text("x = 1\n", encoding="utf-8")
    identity = {"kind": "mine"}
    run = RunDirectory(tmp_path / "run", {"identity": identity, "made_of": made_of(["worked"])})
    assert as_told(max, (1, 2), str(run.root), {}) == 2
    (tmp_path / "worked.py").write_text("x = 2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"run: worked.py changed since it was made"):
        as_told(max, (1, 2), str(run.root), {})


def lift(root):
    return read_json(root / "results.json")["metrics"]["revenue"]["rel_effect"]


def test_an_edited_model_is_refused_by_name_and_made_anew_when_asked(ab, tmp_path):
    assert ab() == (0, "")
    before = lift(tmp_path / "run")
    (tmp_path / "parts.py").write_text(PARTS.replace("popularity", "random"), encoding="utf-8")
    code, err = ab()
    assert code == 2
    assert err == (
        f"cs3bench: error: {tmp_path / 'run'}: parts.py changed since it was made: "
        "choose another --out, or make its cells anew with --fresh\n"
    )
    assert ab("--fresh") == (0, "")
    assert lift(tmp_path / "run") != before


def test_other_kernels_go_on_only_when_asked_and_are_told(ab, tmp_path, monkeypatch):
    assert ab() == (0, "")
    here = kernels.kernels()
    there = here | {"torch": "ANOTHER"}
    monkeypatch.setattr("reports.studies.machine.workers.kernels", lambda: there)
    shutil.rmtree(tmp_path / "run" / "cells" / Cell(world=1, name="my_model:make", days=1).path)
    code, err = ab()
    assert code == 2
    assert err.count("\n") == 1
    assert kernels.spelled(here) in err
    assert kernels.spelled(there) in err
    assert ab("--other-kernels") == (0, "")
    assert read_json(tmp_path / "run" / "manifest.json")["kernels"] == [here, there]
