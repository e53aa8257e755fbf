"""A second witness: how many instructions a run takes, counted by valgrind's cachegrind; no clock, so no noise.

Two processes a side and benchmark, one with a single run and one with ``MORE`` more: their difference is what the runs
took, without the interpreter's start. Only pure kernels: numpy and the interpreter, on one thread. Valgrind offers no
AVX-512, so numpy takes other paths than it may take on the bare machine; and an instruction is not a unit of time. So
this witness is printed beside the timings and decides nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reports.gate.process import command, environment
from reports.gate.trees import Tree

MORE = 20
REFS = re.compile(r"^==\d+== I\s+refs:\s+([\d,]+)$", re.MULTILINE)

Counts = Callable[[Tree, str, int], int]


class CountError(Exception):
    """Valgrind gave no count; one line."""


def refs(tree: Tree, name: str, runs: int) -> int:
    """Instructions of a whole process that runs a benchmark so many times.

    Raises:
        CountError: valgrind failed.
    """
    with tempfile.TemporaryDirectory(prefix="gate-counts-") as folder:
        tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={Path(folder) / 'out'}"]
        found = subprocess.run(  # noqa: S603
            [*tool, *command(tree.python, tree.path, "--count", name, "--runs", str(runs), suite=tree.suite)],
            cwd=folder,
            env=environment(tree.path),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    return parsed(found.stderr, found.returncode, name)


def parsed(said: str, code: int, name: str) -> int:
    """The count in what valgrind said.

    Raises:
        CountError: there is none.
    """
    match = REFS.search(said)
    if code != 0 or match is None:
        own = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("==")]
        raise CountError(f"valgrind could not count {name}: {own[-1][:200] if own else f'exit code {code}'}")
    return int(match[1].replace(",", ""))


def instructions(
    results: dict[str, Any],
    base: Tree,
    head: Tree,
    progress: Callable[[str, int], Callable[[], None]],
    *,
    count: Counts = refs,
    there: bool | None = None,
) -> dict[str, Any]:
    """Instructions a run of base and head, for the pure benchmarks that were compared.

    Returns:
        ``reason`` why there are none, or empty; ``benchmarks``: name -> ``base``, ``head`` and their ``ratio``.
    """
    if not (shutil.which("valgrind") is not None if there is None else there):
        return {"reason": "valgrind is not installed", "benchmarks": {}}
    names = [row["name"] for row in results["benchmarks"] if row.get("ratio") and row.get("pure")]
    if not names:
        return {"reason": "no pure kernel was compared", "benchmarks": {}}
    told = progress("counting instructions", 2 * len(names))
    found = {}
    for name in names:
        per_run = {}
        for side, tree in (("base", base), ("head", head)):
            try:
                per_run[side] = (count(tree, name, 1 + MORE) - count(tree, name, 1)) / MORE
            except CountError as error:
                return {"reason": str(error), "benchmarks": {}}
            told()
        found[name] = {**per_run, "ratio": per_run["head"] / per_run["base"] if per_run["base"] > 0 else None}
    return {"reason": "", "benchmarks": found}
