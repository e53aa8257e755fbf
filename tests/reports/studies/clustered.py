"""What the workers of a test cluster compute, and a cluster as somebody else would have started it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_info

from reports.studies.machine.workers import Progress, one_thread
from simulator.experiment import Cell, RunDirectory, write_json


@contextmanager
def cluster(workers: int = 2, threads: int = 1) -> Iterator[Any]:
    """Separate worker processes on this machine, ended with the block."""
    import distributed

    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        dashboard_address=":0",
        memory_limit=0,
        silence_logs=50,
    ) as found:
        yield found


@contextmanager
def scheduler() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler with one worker, each a process of its own as a user starts it: address and the scheduler's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    shared = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    said = {"env": shared, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    port = address.rpartition(":")[2]
    python = [sys.executable, "-m"]
    start = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    join = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with subprocess.Popen([*python, *start], **said) as one, subprocess.Popen([*python, *join], **said) as other:
        try:
            _wait_for(int(port))
            yield address, one
        finally:
            other.kill()
            one.kill()


def _wait_for(port: int) -> None:
    limit = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < limit
            time.sleep(0.05)


def leave(cell: Cell, root: str, cells: int) -> int:
    """Leave who computed the cell and with how many threads; returns the process."""
    Progress(Path(root), cells).reset()
    run = RunDirectory(Path(root), {"identity": {}})
    with one_thread():
        threads = [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]
    with run.writing(cell) as out:
        write_json(out / "cell.json", {"pid": os.getpid(), "threads": threads})
    return os.getpid()


def leave_slowly(cell: Cell, root: str, cells: int) -> int:
    """Say who is at work, and wait until somebody says go on; the first of them is killed in the middle."""
    RunDirectory(Path(root), {"identity": {}})
    mark = Path(root) / f"at-work-{cell.name}-{os.getpid()}"
    run = RunDirectory(Path(root), {"identity": {}})
    with run.writing(cell) as out:
        (out / "half").write_text("half")
        mark.write_text("")
        while not (Path(root) / "go-on").exists():
            time.sleep(0.02)
        (out / "half").unlink()
        write_json(out / "cell.json", {"pid": os.getpid()})
    return os.getpid()


def die(cell: Cell, root: str, cells: int) -> None:
    """What a machine out of memory does."""
    os._exit(9)


def fail(cell: Cell, root: str, cells: int) -> None:
    """An error that the caller can mend."""
    raise ValueError(f"no such {cell.name}")
