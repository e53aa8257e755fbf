"""The same bytes from a cluster's workers as from this machine's, a worker that is killed included."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

pytest.importorskip("distributed", reason="the extra `dask` is not installed")

from reports.studies.ab.study import run_ab
from reports.studies.machine.engines import Dask, on_worker
from reports.studies.machine.git import HOME
from reports.studies.machine.manifests import made_by
from reports.studies.machine.schedulers import OTHER
from reports.studies.machine.workers import PROGRESS, compute_all
from simulator.experiment import Cell, RunDirectory, read_json
from tests.reports.studies.clustered import cluster, die, fail, leave, leave_slowly, scheduler
from tests.reports.studies.commands import run_command
from tests.reports.studies.test_ab import plan
from tests.reports.studies.tiny import arguments, comparable

OURS = {**os.environ, "PYTHONPATH": str(HOME)}
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
    assert sorted(path.name for path in run.cell(CELLS[0]).iterdir()) == ["cell.json", "seal.json"]
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


@contextmanager
def server(first=b""):
    """A server of another kind: it sends its first words, if it has any, and listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        talks = []

        def accept():
            with suppress(OSError):
                while True:
                    talk, _ = listening.accept()
                    talks.append(talk)
                    talk.sendall(first)

        beside = threading.Thread(target=accept, daemon=True)
        beside.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        beside.join()
        for talk in talks:
            talk.close()


def told(address, tmp_path, capsys):
    """The one line for an address, without the address; in time, and before anything is written."""
    begin = time.monotonic()
    code, out, err = run_command(arguments(tmp_path / "run", "--engine", "dask", "--address", address), capsys)
    assert time.monotonic() - begin < 10
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "run").exists()
    before = f"cs3bench: error: --address {address}: no dask scheduler answers ("
    assert err.startswith(before)
    return err.removeprefix(before).removesuffix(")\n")


class TestAddress:
    def test_nobody_answers(self, tmp_path, capsys):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{taken.getsockname()[1]}"
            assert told(f"tcp://{place}", tmp_path, capsys) == "Connection refused"
            assert told(place, tmp_path, capsys) == "Connection refused"

    @pytest.mark.parametrize(("address", "words"), [
        ("nonsense://x", "scheme == 'nonsense', must be one of tcp, tls, ws, wss, ucx"),
        ("tpc://x:1", "scheme == 'tpc', must be one of tcp, tls, ws, wss, ucx; did you mean 'tcp'?"),
        ("http://10.0.0.1:8786", "scheme == 'http', must be one of tcp, tls, ws, wss, ucx"),
        ("tcp://", "must be like tcp://HOST:PORT, with a port from 1 to 65535"),
        ("tcp://10.0.0.1", "must be like tcp://HOST:PORT, with a port from 1 to 65535"),
        ("10.0.0.1:port", "must be like tcp://HOST:PORT, with a port from 1 to 65535"),
        ("tcp://10.0.0.1:99999", "must be like tcp://HOST:PORT, with a port from 1 to 65535"),
        ("tcp://10.0.0.1:0", "must be like tcp://HOST:PORT, with a port from 1 to 65535"),
        ("tcp://[::1", "must be like tcp://HOST:PORT, with a port from 1 to 65535"),
    ])  # fmt: skip
    def test_no_address(self, tmp_path, capsys, address, words):
        assert told(address, tmp_path, capsys) == words

    @pytest.mark.parametrize("first", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x08" + bytes(7), b"\0" * 64])
    def test_another_server_speaks_first(self, tmp_path, capsys, first, monkeypatch):
        monkeypatch.setattr("reports.studies.machine.schedulers.DEADLINE", 0.5)
        with server(first) as port:
            assert told(f"tcp://127.0.0.1:{port}", tmp_path, capsys)

    def test_another_server_says_nothing_and_nothing_is_said_after_the_line(self, tmp_path):
        """A process of its own: threads that are left behind complain when Python ends."""
        with server() as port:
            address = f"tcp://127.0.0.1:{port}"
            typed = arguments(tmp_path / "run", "--engine", "dask", "--address", address)
            command = [sys.executable, "-m", "reports", *typed]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=OURS)
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr == f"cs3bench: error: --address {address}: no dask scheduler answers ({OTHER})\n"
        assert not (tmp_path / "run").exists()

    def test_a_worker_is_no_scheduler(self, two, tmp_path, capsys):
        (address, *_) = two.scheduler_info["workers"]
        assert told(address, tmp_path, capsys) == "it is a dask Worker, must be the scheduler"

    def test_dask_is_not_installed(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        typed = arguments(tmp_path / "run", "--engine", "dask", "--address", "tcp://127.0.0.1:1")
        code, _, err = run_command(typed, capsys)
        assert code == 2
        assert err == "cs3bench: error: --engine dask: it is not installed, run: pip install 'cs3-bench[dask]'\n"

    def test_a_scheduler_that_dies_in_mid_run(self, run):
        """Killed while a worker computes: one line, soon, and the run can be resumed."""
        with scheduler() as (address, process):
            errors = []

            def work():
                try:
                    engine = Dask(address=address)
                    with engine.submitting(run.root) as submit:
                        submit(leave_slowly, CELLS[0], str(run.root), 1).result()
                except BaseException as error:
                    errors.append((error, time.monotonic()))

            beside = threading.Thread(target=work)
            beside.start()
            limit = time.monotonic() + 60
            while not list(run.root.glob("at-work-first-*")):
                assert beside.is_alive(), errors
                assert time.monotonic() < limit
                time.sleep(0.02)
            process.kill()
            killed = time.monotonic()
            beside.join(60)
            (run.root / "go-on").write_text("")
        ((error, at),) = errors
        assert str(error) == f"--address {address}: lost the scheduler; the same command resumes the run"
        assert at - killed < 20

    def test_nobody_works(self, run):
        with cluster(workers=0) as empty, pytest.raises(ValueError, match=r": the scheduler has no workers$"):
            all_of(run, empty, leave)

    @pytest.mark.parametrize("typed", [["--engine", "dask"], ["--address", "tcp://127.0.0.1:1"]])
    def test_an_engine_has_an_address_and_only_it(self, tmp_path, capsys, typed):
        code, _, err = run_command(arguments(tmp_path / "run", *typed), capsys)
        assert code == 2
        assert "dask needs an address, local has none" in err
        assert not (tmp_path / "run").exists()
