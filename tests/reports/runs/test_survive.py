"""Runs survive what befalls a process and a disk: killed, full, read-only, damaged, shared.

Whatever happens, a cell that has its name is whole, nothing half-written stays, the user gets one line that names the
file, and the same command goes on to the same bytes.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import reports
from reports.studies.ab.study import Plan, run_ab
from reports.studies.machine.workers import compute_all
from reports.studies.market import cells
from simulator.experiment import SCHEMA, Cell, RunDirectory, read_json, write_json
from simulator.run_lock import locked
from simulator.scenario import load
from tests.reports.run_contract import check_redrawn
from tests.reports.studies.commands import run_command
from tests.reports.studies.tiny import SETS, arguments, comparable, start

HOME = Path(reports.__file__).parents[1]
ARMS = ("--control", "random", "--treatment", "popularity", "--worlds", "1", "--jobs", "1")
ROOM = "No space left on device, make room and give the same command again, it resumes"
LAST = "cells/world-1/popularity"
PATIENCE = 300


def typed(root: Path) -> list[str]:
    return arguments(root, *ARMS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The uninterrupted run. Read only."""
    return finish(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def half(tmp_path_factory) -> Path:
    """A run that was stopped before its last arm: burn-in and control are there, and their work files. Read only."""
    root = tmp_path_factory.mktemp("half") / "run"
    real = cells._arm

    def stop(task, run, on_tick):
        if task.cell.name == "popularity":
            raise KeyboardInterrupt
        real(task, run, on_tick)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_arm", stop)
        with pytest.raises(KeyboardInterrupt):
            finish(root)
    assert (root / "work/world-1/burn-in/ranker.safetensors").exists()
    return root


def finish(root: Path) -> Path:
    """What the command does, but for the page."""
    scenario = load("quickstart", small=True, sets=[*SETS, "run.worlds=1"])
    plan = Plan(scenario=scenario, control="random", treatment="popularity", small=True, command="cs3bench ab")
    return run_ab(plan, root, jobs=1, quiet=True)[0]


def again(root: Path, whole: Path) -> None:
    """The same command ends the run, with the same bytes and nothing else in the directory."""
    finish(root)
    assert comparable(root) == comparable(whole)
    assert {path.name for path in root.iterdir()} == {path.name for path in whole.iterdir()}


def one_line(found: tuple[int, str, str]) -> str:
    code, out, err = found
    assert (code, out) == (2, ""), err
    assert err.startswith("cs3bench: error: ")
    assert err.count("\n") == 1, err
    return err.strip()


def halves(root: Path) -> list[str]:
    """What is half-written: names that end or begin with aside, and the progress file."""
    return [str(path.relative_to(root)) for path in root.rglob("*") if "aside" in path.name or "progress" in path.name]


# --- killed ------------------------------------------------------------------------------------------------------


def kill_when(root: Path, pattern: str, *more: str) -> None:
    """Start the command and kill it as soon as a file of this pattern is there."""
    process = start(root, *(more or ARMS))
    limit = time.monotonic() + PATIENCE
    try:
        ended = None
        while not any(root.glob(pattern)):
            if ended == 0:  # what is there for a moment was there between two looks: once more, from the beginning
                shutil.rmtree(root)
                process = start(root, *(more or ARMS))
            assert ended in (None, 0), process.communicate()
            assert time.monotonic() < limit
            time.sleep(0.001)
            ended = process.poll()
    finally:
        process.kill()
        process.communicate()


def test_killed_at_several_moments_it_ends_byte_equal(whole, tmp_path):
    """One run, killed three times: in a burn-in's work files, in an arm's cell, as its results appear."""
    root = tmp_path / "run"
    for pattern in ("work/*/.aside.burn-in*/*", "cells/*/.aside.random*", "results.json*"):
        kill_when(root, pattern)
        for cell in root.glob("cells/*/[!.]*"):
            there = whole / cell.relative_to(root)
            assert {p.name: p.read_bytes() for p in cell.iterdir()} == {p.name: p.read_bytes() for p in there.iterdir()}
    again(root, whole)


def fake(root: Path, cell: Cell) -> None:
    """Stands in for a cell that leaves something for others: a file of work, a file of its own."""
    run = RunDirectory(root, {"identity": {}})
    with run.keeping(cell) as work:
        write_json(work / "state.json", {"of": cell.world})
    with run.writing(cell) as out:
        write_json(out / "log.json", {"of": cell.world})
        write_json(out / "cell.json", {"state": read_json(run.work(cell) / "state.json")})


def study(root: Path) -> None:
    """A whole study of fake cells, or what is left of it."""
    with RunDirectory.alone(root, {"identity": {}}) as run:
        todo = [cell for cell in (Cell(world=w, name="arm") for w in (1, 2)) if not run.done(cell)]
        compute_all(run, {c: (root, c) for c in todo}, fake, cells=2, ticks=2, jobs=1, label="", quiet=True)
        write_json(root / "results.json", {"worlds": [1, 2]})
        run.finish()


@pytest.fixture
def killed_at(monkeypatch) -> Iterator[list[int]]:
    """Processes that are forked now end, without a word, before their n-th change of the file system."""
    left = [0]

    def counted(name: str) -> None:
        real = getattr(os, name)

        def change(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return real(*args, **more)

        monkeypatch.setattr(os, name, change)

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
        counted(name)
    return left


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_before_any_change_of_the_file_system(tmp_path, killed_at):
    """Every single moment between two changes of names: what is there is whole, and the rest is made again."""
    study(tmp_path / "whole")
    expected = comparable(tmp_path / "whole")
    for n in itertools.count(1):
        root = tmp_path / str(n)
        child = os.fork()
        if child == 0:
            killed_at[0] = n
            study(root)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for cell in root.glob("cells/*/[!.]*"):
            assert sorted(path.name for path in cell.iterdir()) == ["cell.json", "log.json", "seal.json"], n
        study(root)
        assert comparable(root) == expected, n
        assert not (root / "work").exists(), n
        if ended == 0:
            break
        assert ended == 9
    assert n > 20, "that many moments were tried"


# --- a disk that is full or cannot be written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begun", "file"),
    [
        (False, "manifest.json"),
        (False, "progress.bin"),
        (False, "work/world-1/burn-in/ranker.safetensors"),
        (False, "work/world-1/burn-in/hidden.npy"),
        (False, "cells/world-1/burn-in/log.parquet"),
        (True, "cells/world-1/popularity/ledger.parquet"),
        (True, "cells/world-1/popularity/cell.json"),
        (True, "results.json"),
        (True, "timing.json"),
    ],
)
def test_a_disk_that_fills_up_is_one_line_and_the_run_goes_on(half, whole, tmp_path, capsys, monkeypatch, begun, file):
    """The write of one file fails half-way, wherever it is."""
    root, name = tmp_path / "run", Path(file).name
    if begun:
        shutil.copytree(half, root)
    real, parquet = Path.write_bytes, pq.write_table

    def fail(path):
        real(Path(path), b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write_bytes(path, content):
        return fail(path) if path.name == f"{name}.aside" else real(path, content)

    def write_table(table, path, **more):
        return fail(path) if path.name == f"{name}.aside" else parquet(table, path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        patch.setattr(pq, "write_table", write_table)
        said = one_line(run_command(typed(root), capsys))
    assert said == f"cs3bench: error: {root / file}: {ROOM}"
    assert halves(root) == []
    if name in ("ledger.parquet", "timing.json"):
        again(root, whole)


FULL = """
set -e
mount -t tmpfs -o size=$4 tmpfs "$1"
run() { set +e; "$2" -m reports ab --out "$1/run" "${@:5}" >"$3/out" 2>"$3/err"; echo $?; set -e; }
run "$@"
find "$1/run" -name '*aside*' -o -name 'progress*' -o -name .lock
mount -o remount,size=50m "$1"
run "$@"
cp -r "$1/run" "$3/run"
mount -o remount,ro "$1"
run "$@"
cat "$3/err"
"""


def may_mount() -> bool:
    """Whether this process may mount, unseen by others."""
    tried = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not may_mount(), reason="needs root, to mount a small file system")
def test_a_small_disk_for_real(whole, tmp_path, capsys):
    """A file system with too little room: one line; with more room: the same bytes; read-only: one line."""
    disk, out = tmp_path / "disk", tmp_path / "out"
    for path in (disk, out):
        path.mkdir()
    words = [word for word in typed(disk / "run")[1:] if word not in ("--out", str(disk / "run"))]
    script = FULL.replace('run "$@"\nfind', 'run "$@"\ncat "$3/err"\nfind', 1)
    found = subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "-", str(disk), sys.executable, str(out), "96k", *words],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(found) == 5, found
    assert found[0] == "2"
    assert re.fullmatch(rf"cs3bench: error: {disk}/run/\S+: {ROOM}", found[1]), found[1]
    assert found[2:4] == ["0", "2"]
    assert found[4] == f"cs3bench: error: {disk}/run: Read-only file system, choose another --out"
    assert comparable(out / "run") == comparable(whole)


# --- damaged files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "damage", "remove"),
    [
        ("cells/world-1/random/cell.json", 0, "cells/world-1/random"),
        ("cells/world-1/random/log.parquet", 0.5, "cells/world-1/random"),
        ("cells/world-1/random/ledger.parquet", 0, "cells/world-1/random"),
        ("cells/world-1/burn-in/log.parquet", 0.9, "cells/world-1/burn-in"),
        ("work/world-1/burn-in/ranker.safetensors", 0.5, "work/world-1/burn-in"),
        ("work/world-1/burn-in/ranker.safetensors", 0, "work/world-1/burn-in"),
        ("work/world-1/burn-in/evaluator.safetensors", 0.9, "work/world-1/burn-in"),
        ("work/world-1/burn-in/hidden.npy", 0.5, "work/world-1/burn-in"),
        ("work/world-1/burn-in/hidden.npy", 0, "work/world-1/burn-in"),
    ],
)
def test_a_damaged_file_is_named_and_what_to_do_works(half, whole, tmp_path, capsys, file, damage, remove):
    """Empty, or cut short."""
    root = tmp_path / "run"
    shutil.copytree(half, root)
    content = (root / file).read_bytes()
    (root / file).write_bytes(content[: int(damage * len(content))])
    said = one_line(run_command(typed(root), capsys))
    assert said.startswith(f"cs3bench: error: {root / file}: ")
    assert said.endswith(f"; remove {root / remove} to compute it again")
    assert halves(root) == []
    assert not (root / LAST).exists()
    if damage == 0.5:
        shutil.rmtree(root / remove)
        again(root, whole)


@pytest.mark.parametrize("file", ["ranker.safetensors", "hidden.npy", "log.parquet", "cell.json"])
def test_one_flipped_bit_of_an_unfinished_run_is_named(half, tmp_path, capsys, file):
    root = tmp_path / "run"
    shutil.copytree(half, root)
    path = next(root.rglob(file))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    said = one_line(run_command(typed(root), capsys))
    assert said.startswith(f"cs3bench: error: {path}: damaged or incomplete (its digest is not the one in ")
    assert said.endswith(f"; remove {path.parent} to compute it again")
    assert not (root / LAST).exists()


def test_a_finished_arm_whose_log_is_gone_is_made_again(half, whole, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(half, root)
    (root / "cells/world-1/random/log.parquet").unlink()
    again(root, whole)


def test_a_page_of_one_world_tells_no_nan(whole, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(whole, root)
    check_redrawn(root)


def test_damaged_results_are_made_again(whole, tmp_path, capsys):
    root = tmp_path / "run"
    shutil.copytree(whole, root)
    (root / "results.json").write_text('{"verdict": ')
    assert "results.json: damaged or incomplete" in one_line(run_command(["report", str(root)], capsys))
    again(root, whole)


# --- one run, one directory ----------------------------------------------------------------------------------------


def test_two_processes_never_share_a_run(whole, tmp_path, capsys):
    root = tmp_path / "run"
    shutil.copytree(whole, root)
    with locked(root):
        said = one_line(run_command(typed(root), capsys))
        assert f"{root}: process {os.getpid()} on " in said
        assert said.endswith(" is at work on this run, wait for it or choose another --out")
        assert (root / ".lock").exists()
    again(root, whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": SCHEMA - 1}, rf"schema {SCHEMA - 1}, this version reads {SCHEMA}: run again with another --out$"),
        ({"identity": {"kind": "ab"}}, r": holds another run \(cs3bench ab\), choose another --out$"),
    ],
)
def test_an_older_layout_and_an_edited_manifest_are_refused(whole, tmp_path, capsys, change, said):
    root = tmp_path / "run"
    shutil.copytree(whole, root)
    before = comparable(root)
    write_json(root / "manifest.json", read_json(root / "manifest.json") | change)
    assert re.search(said, one_line(run_command(typed(root), capsys)))
    assert comparable(root) == before
