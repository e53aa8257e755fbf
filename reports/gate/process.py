"""A handle on a worker process: JSON lines over two pipes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
SUITE = HERE / "suite"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class WorkerError(Exception):
    """A worker's answer was an error.

    Attributes:
        kind: ``import`` if something that was wanted is not there, ``lost`` if the process ended, else ``other``.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def environment(path: Sequence[Path]) -> dict[str, str]:
    """The parent's, with one thread, the same hashes in every process, and these folders in front of the packages."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSTARTUP")}
    env.update(dict.fromkeys(THREADS, "1"), PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
    if path:
        env["PYTHONPATH"] = os.pathsep.join(map(str, path))
    return env


def command(python: str, path: Sequence[Path], *more: str, suite: Path = SUITE) -> list[str]:
    """The worker's command line; our packages come from the last folder of the path alone, if there is one."""
    root = ["--root", str(path[-1])] if path else []
    return [python, "-P", str(HERE / "worker.py"), "--suite", str(suite), *root, *more]


class Worker:
    """One process that runs benchmarks over one tree's packages, alive until it is closed.

    Args:
        path: folders in front of its packages, the last one the tree's; none for what its interpreter has installed.
        python: its interpreter.
        slow: name -> share of runs that it does twice.
        suite: folder of the benchmarks.
    """

    def __init__(
        self,
        path: Sequence[Path] = (),
        *,
        python: str = sys.executable,
        slow: Mapping[str, float] | None = None,
        suite: Path = SUITE,
    ) -> None:
        planted = [word for name, share in (slow or {}).items() for word in ("--slow", f"{name}={share}")]
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # A session of its own: Ctrl-C is heard by the parent, which then closes its workers.
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command(python, path, *planted, suite=suite),
                cwd=tempfile.gettempdir(),
                env=environment(path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError:
            self._said.close()
            raise

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """One request and its answer.

        Raises:
            WorkerError: the answer is an error, or the process is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise WorkerError("lost", f"worker ended: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"]["kind"], answer["error"]["text"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = [line.strip() for line in self._said if line.strip()]
        return lines[-1][:300] if lines else f"exit code {code}"

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
