"""The script that a worker process runs: benchmarks of the head's suite over the packages on its path.

Started as ``python -P worker.py --suite FOLDER --root TREE``; it reads a JSON object a line and answers with another:

    {"do": "hello", "imports": b}                     what this process is, and which benchmarks the suite holds
    {"do": "setup", "name": N}                        sets up, runs once and checks the result
    {"do": "repeats", "name": N, "seconds": s}        how many runs take so long
    {"do": "block", "name": N, "repeats": r, "rounds": m, "cpu": c}
                                                      m rounds of r runs on processor c -> seconds a run, by two clocks
    {"do": "check", "name": N}                        is the last result right?

It knows nothing of ours but the suite: the packages may be those of another revision.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import platform
import resource
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple, TextIO

PACKAGES = ("simulator", "baselines", "cs3", "reports")
MOST_REPEATS = 100_000


class OnlyFrom:
    """Finds our packages in one folder and nowhere else.

    Without it an editable installation of the head would fill in, module by module, what the base lacks.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module's spec; None for what is not ours.

        Raises:
            ModuleNotFoundError: it is ours and not there.
        """
        if name.partition(".")[0] not in PACKAGES:
            return None
        found = PathFinder.find_spec(name, [str(self.root)] if path is None else path, target)
        if found is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return found


class Live(NamedTuple):
    """A benchmark that is set up, and the result of its last run."""

    case: Any
    last: list[Any]


class Session:
    """One worker's state: the suite, and what is set up.

    Args:
        benchmarks: name -> Benchmark.
        slow: name -> share of the runs that are done twice: a planted slowdown of known size.
    """

    def __init__(self, benchmarks: Mapping[str, Any], slow: Mapping[str, float]) -> None:
        self.benchmarks = benchmarks
        self.slow = slow
        self.live: dict[str, Live] = {}

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request; an error is an answer too."""
        given = {key: value for key, value in asked.items() if key != "do"}
        try:
            found: dict[str, Any] = getattr(self, f"do_{asked['do']}")(**given)
        except (ImportError, AttributeError) as error:
            return {"error": {"kind": "import", "text": one_line(error)}}
        except Exception as error:
            return {"error": {"kind": "other", "text": one_line(error)}}
        return found

    def do_hello(self, imports: bool) -> dict[str, Any]:
        """Who this is; the packages must be there, and import if that is asked for: torch comes with them."""
        for name in PACKAGES:
            if imports:
                importlib.import_module(name)
            elif importlib.util.find_spec(name) is None:
                raise ImportError(f"No module named '{name}'")
        return {
            "python": platform.python_version(),
            "pid": os.getpid(),
            "floor": clock_floor(),
            "cpus": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
            "manifest": own_manifest(),
            "benchmarks": [
                {
                    "name": one.name,
                    "group": one.group,
                    "threads": one.threads,
                    "pure": one.pure,
                    "disabled": one.disabled,
                    "info": one.extra_info(),
                }
                for one in self.benchmarks.values()
            ],
        }

    def do_setup(self, name: str) -> dict[str, Any]:
        """Sets a benchmark up, runs it once and checks the result."""
        self.live[name] = Live(self.benchmarks[name].setup(), [None])
        self._round(name, 1)
        return self.do_check(name)

    def do_check(self, name: str) -> dict[str, Any]:
        """Checks the last result."""
        live = self.live[name]
        live.case.check(live.last[0])
        return {"right": True}

    def do_repeats(self, name: str, seconds: float) -> dict[str, Any]:
        """Calibrates: runs that take ``seconds`` of the processor's time, in fours unless one is enough."""
        repeats, spent = 1, 0.0
        while True:
            spent = min(self._round(name, repeats)[1] for _ in range(3))
            if spent >= seconds or repeats >= MOST_REPEATS:
                break
            repeats *= 2 if spent <= 0 else max(2, min(8, int(seconds / spent)))
        each = max(spent / repeats, 1e-9)
        fours = min(MOST_REPEATS, -(-round(seconds / each) // 4) * 4)
        return {"repeats": 1 if each >= seconds and name not in self.slow else max(4, fours), "seconds": each}

    def do_block(self, name: str, repeats: int, rounds: int, cpu: int | None) -> dict[str, Any]:
        """One untimed run to warm up, then ``rounds`` rounds -> seconds a run by the wall and by the processor."""
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        self._round(name, 1)
        extra = round(repeats * self.slow.get(name, 0.0))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        taken = [self._round(name, repeats + extra) for _ in range(rounds)]
        waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
        return {
            "wall": [wall / repeats for wall, _ in taken],
            "cpu": [cpu / repeats for _, cpu in taken],
            "waits": waits / (rounds * repeats),
        }

    def _round(self, name: str, repeats: int) -> tuple[float, float]:
        """Seconds of so many runs, by the wall and by the processor; no garbage is collected in them."""
        case, last = self.live[name]
        collecting = gc.isenabled()
        gc.disable()
        try:
            if case.fresh is None:
                run = case.run
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(repeats):
                    result = run(None)
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            else:
                wall = cpu = 0.0
                for _ in range(repeats):
                    given = case.fresh()
                    began, busy = time.perf_counter(), time.process_time()
                    result = case.run(given)
                    cpu += time.process_time() - busy
                    wall += time.perf_counter() - began
        finally:
            if collecting:
                gc.enable()
        last[0] = result
        return wall, cpu


def clock_floor() -> float:
    """Seconds below which a run says more of the clock than of itself: 20 times the cost of reading both clocks."""
    costs = []
    for _ in range(200):
        began = time.perf_counter()
        time.process_time()
        costs.append(time.perf_counter() - began)
    return 20 * sorted(costs)[100]


def own_manifest() -> dict[str, Any] | None:
    """The manifest beside the suite that the packages on the path bring; None if they have none."""
    with contextlib.suppress(ImportError):
        found = importlib.util.find_spec("reports.gate.suite")
        if found is not None and found.origin is not None:
            path = Path(found.origin).with_name("manifest.toml")
            if path.is_file():
                return tomllib.loads(path.read_text(encoding="utf-8"))
    return None


def load_suite(folder: Path) -> dict[str, Any]:
    """The registry in a folder, under a name that no package on the path has."""
    spec = importlib.util.spec_from_file_location(
        "gate_suite", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return dict(module.BENCHMARKS)


def one_line(error: BaseException) -> str:
    """Type and message, on one line and not without end."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 300 else f"{text[:297]}..."


def serve(session: Session, lines: Iterable[str], out: TextIO) -> None:
    """Answers line by line until there are no more."""
    for line in lines:
        out.write(json.dumps(session.answer(json.loads(line))) + "\n")
        out.flush()


def main(arguments: list[str] | None = None) -> None:
    """What a benchmark prints goes to stderr: stdout is for answers."""
    parser = argparse.ArgumentParser(prog="worker")
    parser.add_argument("--suite", type=Path, required=True)
    parser.add_argument("--root", type=Path, help="take our packages from there alone")
    parser.add_argument("--slow", action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument("--count", metavar="NAME", help="only run this benchmark, for a counter of instructions")
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.root is not None:
        sys.meta_path.insert(0, OnlyFrom(given.root))
    slow = {name: float(share) for name, _, share in (item.rpartition("=") for item in given.slow)}
    session = Session(load_suite(given.suite), slow)
    if given.count:
        session.live[given.count] = Live(session.benchmarks[given.count].setup(), [None])
        session._round(given.count, given.runs)
        return
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(session, sys.stdin, out)


if __name__ == "__main__":
    main()
