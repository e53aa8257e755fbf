"""Workers: order, errors, the progress file, one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from reports.studies.machine.workers import PROGRESS, Progress, compute_all, one_thread
from simulator.experiment import Cell, RunDirectory, read_json, write_json

CELLS = [Cell(world=w, name=n) for w in (1, 2) for n in ("first", "second")]


def leave(root: Path, cell: Cell, index: int, needs: Path | None) -> None:
    """Stands in for a cell: fails unless what it needs is there."""
    if needs is not None and not needs.exists():
        raise ValueError(f"{cell.name} started too early")
    Progress(root, len(CELLS), index).tick(0)
    with RunDirectory(root, {"identity": {}}).writing(cell) as out:
        write_json(out / "cell.json", {"threads": torch.get_num_threads()})


def fail(cell: Cell) -> None:
    raise ValueError(f"{cell.name} failed")


def burst(cell: Cell) -> None:
    raise (MemoryError("Unable to allocate 8.00 TiB") if cell.world == 1 else RuntimeError("can't allocate memory"))


def die(root: Path, cell: Cell, *, always: bool = False) -> None:
    """What a machine out of memory does to a worker: in the middle of a cell, the first time or every time."""
    with RunDirectory(root, {"identity": {}}).writing(cell) as out:
        mark = root / f"died-{cell.world}"
        if cell.name == "first" and (always or not mark.exists()):
            mark.write_text("")
            os._exit(9)
        write_json(out / "cell.json", {})


def die_always(root: Path, cell: Cell) -> None:
    die(root, cell, always=True)


def firsts_first(cells, missing):
    waiting = {c.world for c in missing if c.name == "first"}
    free = [c for c in cells if c.name == "first" or c.world not in waiting]
    return free, [c for c in cells if c not in free]


@pytest.mark.parametrize("jobs", [1, 2])
def test_cells_wait_for_those_that_they_need(tmp_path: Path, jobs: int) -> None:
    run = RunDirectory(tmp_path, {"identity": {}})
    firsts = {c.world: run.cell(c) / "cell.json" for c in CELLS if c.name == "first"}
    # Given the wrong way round: the split puts them right.
    calls = {
        c: (tmp_path, c, i, firsts[c.world] if c.name == "second" else None)
        for i, c in reversed(list(enumerate(CELLS)))
    }
    options = {"cells": 4, "ticks": 4, "jobs": jobs, "label": "working", "quiet": True}
    compute_all(run, calls, leave, **options, split=firsts_first)
    assert all(run.done(c) for c in CELLS)
    assert not (tmp_path / PROGRESS).exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_error_ends_all(tmp_path: Path, jobs: int) -> None:
    run = RunDirectory(tmp_path, {"identity": {}})
    with pytest.raises(ValueError, match="failed"):
        compute_all(run, {c: (c,) for c in CELLS}, fail, cells=4, ticks=4, jobs=jobs, label="", quiet=True)
    assert not any(run.done(c) for c in CELLS)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("world", [1, 2])
def test_out_of_memory_is_called_so(tmp_path: Path, jobs: int, world: int) -> None:
    cell = Cell(world=world, name="first")
    said = rf"^world-{world}/first: out of memory \(.*allocate.*\), lower --jobs, world\.users"
    with pytest.raises(ValueError, match=said):
        compute_all(
            RunDirectory(tmp_path, {"identity": {}}), {cell: (cell,)}, burst, cells=1, ticks=1, jobs=jobs, label="",
            quiet=True,
        )  # fmt: skip


def test_a_cell_whose_worker_died_is_computed_again(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, {"identity": {}})
    calls = {c: (tmp_path, c) for c in CELLS}
    compute_all(run, calls, die, cells=4, ticks=4, jobs=2, label="", quiet=True, split=firsts_first)
    assert all(run.done(c) for c in CELLS)
    assert len(list(tmp_path.glob("died-*"))) == 2
    assert not list(tmp_path.glob("cells/*/.aside.*"))


def test_workers_that_keep_dying_are_one_line(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, {"identity": {}})
    said = r"^a worker process died 4 times, last while some of world-1/first were computed: out of memory\? Try fewer"
    with pytest.raises(ValueError, match=said):
        compute_all(run, {CELLS[0]: (tmp_path, CELLS[0])}, die_always, cells=4, ticks=4, jobs=2, label="", quiet=True)
    assert not list(tmp_path.glob("cells/*/.aside.*"))
    assert not (tmp_path / PROGRESS).exists()


def test_nothing_to_do_leaves_nothing_behind(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, {"identity": {}})
    compute_all(run, {}, fail, cells=4, ticks=0, jobs=2, label="", quiet=True)
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]
    assert read_json(tmp_path / "manifest.json")["identity"] == {}


def test_progress_is_shared_by_file(tmp_path: Path) -> None:
    whole = Progress(tmp_path, 2, fresh=True)
    one, two = Progress(tmp_path, 2, 0), Progress(tmp_path, 2, 1)
    for part in (one, two, two):
        part.tick(7)
    assert whole.total() == 3
    two.reset()
    assert whole.total() == 1


def test_one_thread_in_the_block_only() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
