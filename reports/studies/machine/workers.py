"""Worker processes that compute the cells of a study, and the bar that shows how far they are.

A cell computes with one thread and leaves its numbers in the run directory, so what is found there does not depend on
how many workers there were. A worker that dies takes its cell with it, and the cell is computed again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

import numpy as np

from reports.studies.machine import sources
from reports.studies.machine.engines import Dask
from reports.studies.machine.kernels import agree, kernels
from simulator.experiment import Cell, RunDirectory, write_bytes

PROGRESS = "progress.bin"
"""File of a run directory, there while somebody works on it."""
REFRESH = 0.5
"""Seconds between two looks at the progress."""
DEATHS = 3
"""Times that workers may die in a row before a cell has ended between."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Split = Callable[[Sequence[Cell], Sequence[Cell]], tuple[list[Cell], list[Cell]]]
"""(cells that have not started, cells that have not ended) -> (those that may start now, the others)."""


class Progress:
    """Ticks done per cell, in a small file that the workers and the bar share."""

    def __init__(self, root: Path, cells: int, index: int = 0, *, fresh: bool = False) -> None:
        path = root / PROGRESS
        if fresh or not path.exists() or path.stat().st_size != 8 * cells:
            # Written, not just made long: on a full disk it must fail here, not when a page of it is touched. A new
            # file each time: shortening one that somebody has mapped would kill them.
            path.unlink(missing_ok=True)
            write_bytes(path, bytes(8 * cells))
        self._done = np.memmap(path, dtype=np.int64, mode="r+", shape=(cells,))
        self._index = index

    def tick(self, _: int) -> None:
        """One more."""
        self._done[self._index] += 1

    def reset(self) -> None:
        """Start the cell over."""
        self._done[self._index] = 0

    def total(self) -> int:
        """Ticks done by all cells."""
        return int(self._done.sum())


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread in this block, so that the numbers do not depend on the machine's cores.

    Summaries too: a dot product of 20,000 terms has another last bit with two threads.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def together(cells: Sequence[Cell], _: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """The split of cells that wait for nobody."""
    return list(cells), []


def compute_all(
    run: RunDirectory,
    calls: Mapping[Cell, tuple[Any, ...]],
    compute: Callable[..., Any],
    *,
    cells: int,
    ticks: int,
    jobs: int,
    label: str,
    quiet: bool,
    split: Split = together,
    engine: Dask | None = None,
) -> None:
    """Compute cells, ``jobs`` at a time; with one job in this process. The first error ends all.

    Args:
        run: where they are left.
        calls: the arguments of ``compute`` for each cell that is to be computed.
        compute: a function that a spawned process can import.
        cells: number of cells of the study, the size of the progress file that ``compute`` ticks in.
        ticks: ticks of all cells of ``calls``.
        jobs: worker processes.
        label: what the bar says.
        quiet: no bar; there is none either when stderr is no terminal.
        split: which cells may start.
        engine: compute them there instead of on this machine.

    Raises:
        ValueError: one line, if workers keep dying, memory runs out, or the engine cannot be had.
    """
    if not calls:
        return
    run.tidy()
    if engine is None:
        agree(run.root, [kernels()])
    try:
        with _drawn(Progress(run.root, cells, fresh=True), ticks, label, quiet):
            if engine is not None:
                with engine.submitting(run.root) as submit:
                    _side_by_side(dict(calls), compute, split, submit)
            elif jobs == 1:
                _one_by_one(run, calls, compute, split)
            else:
                _with_fresh_workers(run, dict(calls), compute, split, jobs)
    finally:
        (run.root / PROGRESS).unlink(missing_ok=True)


def as_told(compute: Callable[..., Any], arguments: tuple[Any, ...], root: str, known: Mapping[str, str]) -> Any:
    """Compute a cell, unless the code that makes it was edited since the run began."""
    from reports.studies.machine.manifests import refuse_changed

    refuse_changed(Path(root), known)
    return compute(*arguments)


def _one_by_one(
    run: RunDirectory, calls: Mapping[Cell, tuple[Any, ...]], compute: Callable[..., Any], split: Split
) -> None:
    missing = list(calls)
    ready, blocked = split(missing, missing)
    while ready:
        cell = ready.pop(0)
        with _enough_memory(cell):
            as_told(compute, calls[cell], str(run.root), {})
        missing.remove(cell)
        fresh, blocked = split(blocked, missing)
        ready += fresh


@contextmanager
def _enough_memory(cell: Cell) -> Iterator[None]:
    """Call out of memory by its name.

    Raises:
        ValueError: one line with the cell and what to lower.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch tells by a RuntimeError of these words.
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        said = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{cell.path}: out of memory{f' ({said})' if said else ''}, lower --jobs, world.users, world.ads or "
            "traffic.requests_per_day"
        ) from None


def _with_fresh_workers(
    run: RunDirectory, missing: dict[Cell, tuple[Any, ...]], compute: Callable[..., Any], split: Split, jobs: int
) -> None:
    """Side by side on this machine; when a worker dies, go on with new ones."""
    deaths = 0
    while missing:
        before = len(missing)
        try:
            with _pool(run, min(jobs, len(missing))) as pool:

                def submit(compute: Callable[..., Any], *given: Any) -> Future[Any]:
                    with _deaf():
                        return pool.submit(as_told, compute, given, str(run.root), sources.known)

                _side_by_side(missing, compute, split, submit)
        except BrokenProcessPool:
            deaths = 1 if len(missing) < before else deaths + 1
            if deaths > DEATHS:
                cells = ", ".join(str(cell.path) for cell in list(missing)[:jobs])
                raise ValueError(
                    f"a worker process died {deaths} times, last while some of {cells} were computed: "
                    "out of memory? Try fewer --jobs"
                ) from None


def _side_by_side(
    missing: dict[Cell, tuple[Any, ...]], compute: Callable[..., Any], split: Split, submit: Callable[..., Future[Any]]
) -> None:
    """Compute cells as soon as they may start; each leaves ``missing`` when it has ended."""
    ready, blocked = split(list(missing), list(missing))
    running: dict[Future[Any], Cell] = {}
    while ready or running:
        running |= {submit(compute, *missing[cell]): cell for cell in ready}
        ready = []
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            with _enough_memory(running[future]):
                future.result()
            del missing[running.pop(future)]
            fresh, blocked = split(blocked, list(missing))
            ready += fresh


@contextmanager
def _pool(run: RunDirectory, jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes with one thread each; on an error or Ctrl-C they are ended at once."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_follow_parent)
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        run.tidy()
        raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _deaf() -> Iterator[None]:
    """Workers that start in this block never hear Ctrl-C, which a terminal sends to all: the parent answers it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_parent() -> None:
    """First words of a worker: it ends when its parent is gone, or it would write beside the run that resumes."""
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


@contextmanager
def _drawn(progress: Progress, total: int, label: str, quiet: bool) -> Iterator[None]:
    """A bar with the time left, redrawn beside the work of this block."""
    from tqdm import tqdm

    shape = "{l_bar}{bar}| {n_fmt}/{total_fmt} ticks [{elapsed} gone, {remaining} left]"
    ended = threading.Event()
    with tqdm(total=total, desc=label, bar_format=shape, disable=quiet or None, leave=False) as bar:

        def follow() -> None:
            while not ended.wait(REFRESH):
                bar.update(progress.total() - bar.n)

        # tqdm counts nothing while it is disabled, so there is nothing to follow.
        beside = None if bar.disable else threading.Thread(target=follow, daemon=True)
        if beside is not None:
            beside.start()
        try:
            yield
        finally:
            ended.set()
            if beside is not None:
                beside.join()
