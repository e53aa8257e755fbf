"""A run says under which kernels its cells were made, and no others go on with it unasked."""

from __future__ import annotations

import importlib
import inspect
import shutil

import pytest
import torch

from reports.studies.machine.kernels import agree, alike, kernels, refuse_untold, spelled
from simulator.experiment import Cell, RunDirectory, read_json, write_json
from simulator.same_run import resuming

CELL = Cell(world=1, name="dssm", days=1)
ONE = {"processor": "A", "torch": "AVX2", "blas": {"numpy": "Haswell"}, "picked": {}, "threads": {"cell": 1}}
OTHER = ONE | {"torch": "AVX512"}
SAID = (
    "run: made on A, torch AVX2, BLAS Haswell; this is A, torch AVX512, BLAS Haswell, which rounds otherwise: "
    "choose another --out, or mix both with --other-kernels"
)


@pytest.fixture
def root(tmp_path):
    """A run with a cell."""
    with RunDirectory.alone(tmp_path / "run", {"identity": {}}) as run, run.writing(CELL) as out:
        write_json(out / "cell.json", {})
    return run.root


def told(root):
    return read_json(root / "manifest.json")["kernels"]


def test_this_machine_says_its_own():
    here = kernels()
    assert here["processor"]
    assert here["torch"] in spelled(here)
    assert here["blas"]["numpy"]
    assert alike(here, here)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"threads": {"cell": 1, "torch": 8}}, True),
        ({"blas": {"numpy": "Haswell", "faiss_cpu": "Zen"}}, True),  # which the other had not loaded
        ({"blas": {"numpy": "Zen"}}, False),
        ({"processor": "B"}, False),
        ({"torch": "DEFAULT"}, False),
        ({"picked": {"MKL_CBWR": "COMPATIBLE"}}, False),
    ],
)
def test_what_rounds_alike(change, same):
    assert alike(ONE, ONE | change) is same
    assert alike(ONE | change, ONE) is same


def test_others_are_refused_and_told_when_they_are_asked_for(root):
    agree(root, [ONE])
    agree(root, [ONE])
    assert told(root) == [ONE]
    with pytest.raises(ValueError, match="rounds otherwise") as error:
        agree(root, [OTHER])
    assert str(error.value).endswith(SAID)
    assert told(root) == [ONE]
    with resuming(other_kernels=True):
        agree(root, [OTHER])
    agree(root, [ONE])
    assert told(root) == [ONE, OTHER]
    with RunDirectory.alone(root, {"identity": {}}):
        pass  # its manifest is under the seal


def test_a_run_without_a_cell_is_bound_to_none(root):
    agree(root, [ONE])
    shutil.rmtree(root / "cells")
    agree(root, [OTHER])
    assert told(root) == [OTHER]


def test_workers_that_differ_are_a_mix(root):
    with pytest.raises(ValueError, match="rounds otherwise"):
        agree(root, [ONE, ONE, OTHER])
    assert "kernels" not in read_json(root / "manifest.json")
    with resuming(other_kernels=True):
        agree(root, [ONE, ONE, OTHER])
    assert told(root) == [ONE, OTHER]


def test_a_worker_that_the_run_does_not_name_computes_nothing(root):
    refuse_untold({"kernels": [ONE, kernels()]})
    for odd in ({}, {"kernels": "x"}, {"kernels": [1, {"blas": 1}]}):
        refuse_untold(odd)
    with pytest.raises(ValueError, match=r"^a worker has .*, the run was made on A, torch AVX2"):
        refuse_untold({"kernels": [ONE]})


@pytest.mark.parametrize("study", ["ab", "arena", "ablation", "lab", "sensitivity", "power"])
def test_summaries_compute_with_one_thread_as_cells_do(study):
    room = {"power": "lab.power"}.get(study, f"{study}.study")
    module = importlib.import_module(f"reports.studies.{room}")
    summary = module._summary if study == "ab" else module.summary
    seen = []

    class Plan:
        def __getattr__(self, name):
            seen.append(torch.get_num_threads())
            raise InterruptedError

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises((InterruptedError, TypeError)):
            summary(*[Plan()] * (len(inspect.signature(summary).parameters)))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen[0] == 1
