"""Does the gate work here? Planted slowdowns, with and without a noisy neighbour, and the head against itself.

The plant does every fourth run of one benchmark twice, in the head's worker only: 25 % more of the same work, whatever
the machine does meanwhile. The neighbour is a process that multiplies matrices on one core for the time of the gate.
Each gate here is a whole one, with fresh processes; its benchmarks are few and quick, so that it takes seconds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reports.gate.process import Worker, environment
from reports.gate.run import HEAD as HEAD_SIDE
from reports.gate.run import GateConfig, MakesWorker, Progress, run
from reports.gate.trees import Tree, head_root, head_tree

RUNS = 20
SLOWDOWN = 0.25
PLANTED = "auction/gsp"
ONLY = ("auction/gsp", "draws/uniforms-grid")
PAIRS = 20
FALSE_ALARMS = 2
"""Of 50 gates."""

NOISE = """
import numpy
x = numpy.ones((400, 400))
while True:
    x = x @ x / 400
"""


def planted(tree: Tree, side: str) -> Worker:
    """A worker; the head's does a fourth more work in one benchmark."""
    slow = {PLANTED: SLOWDOWN} if side == HEAD_SIDE else {}
    return Worker(tree.path, python=tree.python, slow=slow, suite=tree.suite)


def plain(tree: Tree, _: str) -> Worker:
    """A worker."""
    return Worker(tree.path, python=tree.python, suite=tree.suite)


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps a core busy in this block."""
    command = [sys.executable, "-c", NOISE]
    with subprocess.Popen(command, env=environment(()), start_new_session=True) as process:  # noqa: S603
        try:
            yield
        finally:
            process.kill()


def self_tested(
    runs: int, progress: Progress, root: Path | None = None, *, plant: MakesWorker = planted
) -> dict[str, Any]:
    """``runs`` gates with a plant, as many with a noisy neighbour too, and 2.5 times as many of head against head.

    Returns:
        ``rows`` with how many gates found what they should; ``passed`` and ``failed`` count them.
    """
    config = GateConfig(only=ONLY, pairs=PAIRS, aa=False)
    told = progress("self-test", 2 * runs + 5 * runs // 2)
    with head_tree(root or head_root()) as head:

        def failing(make: MakesWorker) -> set[str]:
            found = run(config, head, head, make=make)
            told()
            return {row["name"] for row in found["benchmarks"] if row["status"] == "failed"}

        quiet = [failing(plant) for _ in range(runs)]
        with neighbour():
            noisy = [failing(plant) for _ in range(runs)]
        same = [failing(plain) for _ in range(5 * runs // 2)]
    return judged(quiet, noisy, same)


def judged(quiet: list[set[str]], noisy: list[set[str]], same: list[set[str]]) -> dict[str, Any]:
    """What the gates failed, held against what they had to."""
    caught, caught_in_noise = (sum(PLANTED in names for names in of) for of in (quiet, noisy))
    others = sum(bool(names - {PLANTED}) for names in (*quiet, *noisy))
    false = sum(bool(names) for names in same)
    allowed = FALSE_ALARMS * len(same) // 50
    share = f"{100 * SLOWDOWN:g} %"
    rows = [
        _row(f"slowdown of {share} caught", caught, len(quiet), caught == len(quiet)),
        _row(
            f"slowdown of {share} caught beside a noisy neighbour",
            caught_in_noise,
            len(noisy),
            caught_in_noise == len(noisy),
        ),
        _row("false alarms, head against head", false, len(same), false <= allowed),
        _row(
            "false alarms of other benchmarks in the planted gates", others, len(quiet) + len(noisy), others <= allowed
        ),
    ]
    passed = sum(row["passed"] for row in rows)
    return {"study": "gate self-test", "rows": rows, "passed": passed, "failed": len(rows) - passed}


def _row(what: str, count: int, n: int, passed: bool) -> dict[str, Any]:
    return {"what": what, "count": count, "n": n, "passed": passed}


def lines(found: dict[str, Any]) -> str:
    """For a terminal."""
    said = [f"{'passed' if r['passed'] else 'FAILED'}  {r['what']}: {r['count']} of {r['n']}" for r in found["rows"]]
    return "\n".join([*said, f"{found['passed']} passed, {found['failed']} failed"])
