"""Cells on other machines: a dask.distributed cluster that somebody has started.

Workers read and write the run directory itself, so it must lie on a file system that all share. What a cell leaves does
not depend on where it was computed; a worker that dies takes its cell with it, and the scheduler gives it to another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reports.studies.machine.schedulers import answering, distributed

PATIENCE = 5
"""Seconds to wait for a scheduler's first worker, and for its goodbye."""

_one_cell = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Dask:
    """A running dask.distributed scheduler.

    Attributes:
        address: of the scheduler, e.g. ``tcp://10.0.0.1:8786``.
    """

    address: str

    def ready(self) -> None:
        """Ask the scheduler who it is, before anything runs.

        Raises:
            ValueError: one line, if dask is not installed, or no scheduler answers within a second or two.
        """
        answering(self.address)

    @contextmanager
    def submitting(self, root: Path) -> Iterator[Callable[..., Future[Any]]]:
        """``submit(compute, *arguments)``, which computes on some worker.

        Args:
            root: the run directory.

        Raises:
            ValueError: one line, if there is no scheduler, no worker, or a worker that would change the numbers; if
                workers keep dying on one cell, or the scheduler is lost.
        """
        from reports.studies.machine import sources
        from reports.studies.machine.kernels import agree, kernels
        from reports.studies.machine.manifests import made_by

        self.ready()
        given = (str((root / "manifest.json").absolute()), made_by(), sources.known)
        with self._client() as client:
            agree(root, list(client.run(kernels, on_error="ignore").values()))
            pool = client.get_executor(pure=False)
            try:
                yield lambda compute, *arguments: pool.submit(on_worker, compute, arguments, *given)
            except distributed().KilledWorker as error:
                n = error.allowed_failures + 1
                raise ValueError(f"--address {self.address}: {n} workers died on one cell, out of memory?") from None
            except CancelledError:
                raise self._lost() from None
            finally:
                pool.shutdown(wait=False)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A connection with at least one worker behind it, each of which computes one cell at a time."""
        try:
            client = distributed().Client(self.address, timeout=PATIENCE, set_as_default=False)
        except Exception as error:
            raise ValueError(f"--address {self.address}: no dask scheduler answers ({error})") from None
        try:
            self._check(client)
            yield client
        finally:
            client.close(timeout=PATIENCE)

    def _check(self, client: Any) -> None:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
            workers = client.scheduler_info(n_workers=-1)["workers"]
        except TimeoutError:
            raise ValueError(f"--address {self.address}: the scheduler has no workers") from None
        except OSError:
            raise self._lost() from None
        for name, worker in workers.items():
            if worker["nthreads"] != 1:
                raise ValueError(
                    f"worker {name}: nthreads == {worker['nthreads']}, must be 1, "
                    "start it with: dask worker --nthreads 1"
                )

    def _lost(self) -> ValueError:
        return ValueError(f"--address {self.address}: lost the scheduler; the same command resumes the run")


def on_worker(
    compute: Callable[..., Any],
    arguments: tuple[Any, ...],
    manifest: str,
    made: dict[str, Any],
    known: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Compute one cell on a worker, if it has the run's directory, code and kernels.

    Raises:
        ValueError: one line, if it has not.
    """
    from reports.studies.machine.kernels import refuse_untold
    from reports.studies.machine.manifests import made_by, refuse_changed
    from simulator.experiment import read_json

    if not Path(manifest).exists():
        raise ValueError(f"{manifest}: not there for the dask workers, --out must be on a file system that all share")
    if made_by() != made:
        raise ValueError(f"a dask worker has {made_by()}, must have {made}")
    refuse_changed(Path(manifest).parent, known)
    refuse_untold(read_json(Path(manifest)))
    # Threads of one process would set each other's number of threads.
    with _one_cell:
        return compute(*arguments)


__all__ = ["Dask", "on_worker"]
