"""The same bytes from a cluster's workers as from this machine's, a worker that is killed included."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest

pytest.importorskip("distributed", reason="the extra `dask` is not installed")

from reports.studies.ab import run_ab
from reports.studies.engines import Dask, on_worker
from reports.studies.manifests import made_by
from reports.studies.workers import PROGRESS, compute_all
from simulator.experiment import Cell, RunDirectory, read_json
from tests.reports.studies.clustered import cluster, die, fail, leave, leave_slowly
from tests.reports.studies.commands import run_command
from tests.reports.studies.test_ab import plan
from tests.reports.studies.tiny import arguments, comparable

CELLS = [Cell(world=w, name=name) for w in (1, 2) for name in ("first", "second")]


@pytest.fixture(scope="module")
def two():
    """A cluster of two workers."""
    with cluster() as found:
        yield found


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run", {"identity": {}})


def all_of(run, cluster, compute, cells=CELLS, split=None):
    calls = {cell: (cell, str(run.root), len(cells)) for cell in cells}
    more = {} if split is None else {"split": split}
    engine = Dask(address=cluster.scheduler_address)
    compute_all(run, calls, compute, cells=len(cells), ticks=4, jobs=1, label="", quiet=True, engine=engine, **more)


def test_workers_of_their_own_with_one_thread_each(run, two):
    all_of(run, two, leave)
    found = [read_json(run.cell(cell) / "cell.json") for cell in CELLS]
    assert os.getpid() not in {one["pid"] for one in found}
    assert {n for one in found for n in one["threads"]} == {1}
    assert not (run.root / PROGRESS).exists()


def test_a_study_is_byte_equal_to_the_same_on_this_machine(finished, tmp_path, two):
    root, results = run_ab(plan(), tmp_path / "run", jobs=1, quiet=True, engine=Dask(address=two.scheduler_address))
    assert comparable(root) == comparable(finished)
    assert results["verdict"]
    assert not (root / "work").exists()
    assert not (root / ".lock").exists()


def test_what_must_come_first_does(run, two):
    started = []

    def split(waiting, running):
        started.append({cell.name for cell in running})
        ready = [c for c in waiting if c.name == "first" or Cell(world=c.world, name="first") not in running]
        return ready, [c for c in waiting if c not in ready]

    all_of(run, two, leave, split=split)
    times = {cell: (run.cell(cell) / "cell.json").stat().st_mtime_ns for cell in CELLS}
    assert all(times[CELLS[i]] < times[CELLS[i + 1]] for i in (0, 2))
    assert started[0] == {"first", "second"}


def test_a_cell_whose_worker_is_killed_is_computed_by_another(run, two):
    errors = []

    def work():
        try:
            all_of(run, two, leave_slowly, cells=CELLS[:1])
        except BaseException as error:
            errors.append(error)

    beside = threading.Thread(target=work)
    beside.start()
    try:
        limit = time.monotonic() + 60
        while not (marks := list(run.root.glob("at-work-first-*"))):
            assert beside.is_alive(), errors
            assert time.monotonic() < limit
            time.sleep(0.02)
        victim = int(marks[0].name.rpartition("-")[2])
        os.kill(victim, signal.SIGKILL)
    finally:
        (run.root / "go-on").write_text("")
        beside.join(60)
    assert not beside.is_alive()
    assert errors == []
    assert read_json(run.cell(CELLS[0]) / "cell.json")["pid"] != victim
    assert [path.name for path in run.cell(CELLS[0]).iterdir()] == ["cell.json"]
    run.tidy()
    assert [path.name for path in run.cell(CELLS[0]).parent.iterdir()] == ["first"], "the half of the killed one goes"


def test_an_error_of_a_cell_is_handed_on_and_ends_all(run, two):
    with pytest.raises(ValueError, match=r"^no such first$"):
        all_of(run, two, fail)
    assert not (run.root / PROGRESS).exists()


def test_a_cell_that_kills_every_worker_is_one_line(run):
    import dask

    patient = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with patient, cluster(workers=1) as one:
        address = one.scheduler_address
        with pytest.raises(ValueError, match=rf"^--address {address}: 2 workers died on one cell, out of memory\?$"):
            all_of(run, one, die, cells=CELLS[:1])


def test_workers_that_would_change_the_numbers_are_refused(run):
    said = r"nthreads == 2, must be 1, start it with: dask worker --nthreads 1$"
    with cluster(workers=1, threads=2) as one, pytest.raises(ValueError, match=said):
        all_of(run, one, leave)
    assert not list(run.root.glob("cells/*"))
    (run.root / "manifest.json").touch()
    there = str(run.root / "manifest.json")
    assert on_worker(lambda a: a + 1, (1,), there, made_by()) == 2
    with pytest.raises(ValueError, match=r"^a dask worker has .*, must have "):
        on_worker(fail, (), there, made_by() | {"version": "0"})
    with pytest.raises(ValueError, match="must be on a file system that all share"):
        on_worker(fail, (), str(run.root / "elsewhere" / "manifest.json"), made_by())


class TestAddress:
    def test_nobody_answers(self, tmp_path, capsys):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
            begin = time.monotonic()
            code, out, err = run_command(arguments(tmp_path / "run", "--engine", "dask", "--address", address), capsys)
        assert (code, out) == (2, "")
        assert err.startswith(f"cs3bench: error: --address {address}: no dask scheduler answers (")
        assert err.count("\n") == 1
        assert time.monotonic() - begin < 30
        assert not list((tmp_path / "run").glob("cells/*"))
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["manifest.json"]

    @pytest.mark.parametrize("address", ["nonsense://x", "tcp://", "10.0.0.1:port"])
    def test_no_address(self, tmp_path, capsys, address):
        code, _, err = run_command(arguments(tmp_path / "run", "--engine", "dask", "--address", address), capsys)
        assert code == 2
        assert err.startswith(f"cs3bench: error: --address {address}: no dask scheduler answers (")
        assert err.count("\n") == 1

    def test_nobody_works(self, run):
        with cluster(workers=0) as empty, pytest.raises(ValueError, match=r": the scheduler has no workers$"):
            all_of(run, empty, leave)

    @pytest.mark.parametrize("typed", [["--engine", "dask"], ["--address", "tcp://127.0.0.1:1"]])
    def test_an_engine_has_an_address_and_only_it(self, tmp_path, capsys, typed):
        code, _, err = run_command(arguments(tmp_path / "run", *typed), capsys)
        assert code == 2
        assert "dask needs an address, local has none" in err
        assert not (tmp_path / "run").exists()
