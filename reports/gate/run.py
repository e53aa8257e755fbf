"""The gate in numbered steps: build, set up, calibrate, time in pairs, confirm by a fresh pair, decide."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from reports.gate import decide, manifest
from reports.gate.pairs import CLOCKS, ROUND, Timings, measure
from reports.gate.process import Worker, WorkerError
from reports.gate.trees import Tree

BASE, HEAD, TWIN = "base", "head", "twin"
"""The sides. The twin is the head once more: what differs between those two is the machine's doing."""

Record = dict[str, Any]
MakesWorker = Callable[[Tree, str], Any]
Progress = Callable[[str, int], Callable[[], None]]


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What the user may choose.

    Attributes:
        threshold: slowdown that is allowed; 0.1 is 10 %.
        pairs: of each benchmark and each pair of processes, up to four times as many where they do not decide.
        only: patterns of names; none for all.
        clock: ``cpu``, ``wall`` or ``auto`` (pairs.py).
        aa: time the head's twin beside it, for the false-alarm rate and the smallest slowdown.
    """

    threshold: float = 0.10
    pairs: int = 20
    only: tuple[str, ...] = ()
    clock: str = "auto"
    aa: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 10:
            raise ValueError(f"threshold == {self.threshold}, must be over 0 and under 10 (0.1 is 10 %)")
        if self.clock not in CLOCKS:
            raise ValueError(f"clock == '{self.clock}', must be one of {', '.join(CLOCKS)}")


def as_process(tree: Tree, _: str) -> Worker:
    """A worker process over a tree."""
    return Worker(tree.path, python=tree.python, suite=tree.suite)


def silent(_: str, __: int) -> Callable[[], None]:
    """No progress is shown."""
    return lambda: None


@dataclass
class Found:
    """What is known of the benchmarks so far.

    Attributes:
        rows: benchmark -> its row of the results.
        repeats: benchmark that is still to be timed -> runs of a round.
    """

    rows: dict[str, Record] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)

    def settle(self, name: str, status: str, reason: str) -> None:
        """A benchmark that is timed no more."""
        self.rows[name] = {**self.rows.get(name, {"name": name}), "status": status, "reason": reason}
        self.repeats.pop(name, None)


def run(
    config: GateConfig,
    base: Tree,
    head: Tree,
    *,
    make: MakesWorker = as_process,
    declared: manifest.Manifest | None = None,
    progress: Progress = silent,
) -> Record:
    """Compare two trees.

    Returns:
        The results, as they are written to JSON: ``benchmarks`` with a ``status`` each (``passed``, ``failed``, or
        ``new`` and ``incomparable``, which are listed and count as neither), ``false_alarm``, ``passed``, ``failed``.

    Raises:
        ValueError: bad input: the base does not import, a name is unknown, nothing can be compared.
    """
    declared = declared or manifest.declared(head.suite / "manifest.toml")
    sides = {BASE: base, HEAD: head, **({TWIN: head} if config.aa else {})}
    found = Found()
    with workers(sides, make) as live:
        # 1: who is there
        hello = {side: _hello(worker, sides[side], not config.only) for side, worker in live.items()}
        registry = {one["name"]: one for one in hello[HEAD]["benchmarks"]}
        theirs = hello[BASE]["manifest"]
        faults = manifest.problems(declared, registry, None if theirs is None else manifest.of(theirs))
        names = manifest.chosen(config.only, [*registry, *(name for name in faults if name not in registry)])
        for name in names:
            found.rows[name] = {"name": name, **{k: registry.get(name, {}).get(k) for k in ("group", "info", "pure")}}
            if name in faults:
                found.settle(name, "failed", faults[name])
        # 2: set up where it can be, the same runs for all sides
        _set_up(found, live, [name for name in names if name not in faults], declared, hello[HEAD]["floor"], progress)
        confidence = decide.at_a_look(decide.level(len(found.repeats)))
        if config.pairs < (fewest := decide.fewest_pairs(confidence)):
            raise ValueError(f"pairs == {config.pairs}, must be at least {fewest} for {len(found.repeats)} benchmarks")
        # 3: time
        cpus = hello[HEAD]["cpus"]
        first = _time(found, live, config, confidence, cpus, progress("timing", config.pairs * len(found.repeats)))
        # 4: what was computed is still right
        _still_right(found, live)
    # 5: a fresh pair of processes has to agree
    suspects = [name for name in found.repeats if decide.alarms(_bounds(first[name], confidence), config.threshold)]
    second = {}
    if suspects:
        with workers({BASE: base, HEAD: head}, make) as live:
            _again(live, sides, suspects)
            again = Found(repeats={name: found.repeats[name] for name in suspects})
            second = _time(
                again, live, config, confidence, cpus, progress("a fresh pair", config.pairs * len(suspects))
            )
    # 6: decide
    for name in list(found.repeats):
        found.rows[name].update(_row(first[name], second.get(name), config, confidence))
    return _results(config, base, head, found, confidence, hello)


@contextmanager
def workers(sides: Mapping[str, Tree], make: MakesWorker) -> Iterator[dict[str, Any]]:
    """One worker for each side, alive in this block."""
    with ExitStack() as stack:
        yield {side: stack.enter_context(make(tree, side)) for side, tree in sides.items()}


def _hello(worker: Any, tree: Tree, imports: bool) -> Record:
    try:
        answer: Record = worker.ask("hello", imports=imports)
    except WorkerError as error:
        raise ValueError(f"{tree.name}: does not import: {error}") from None
    return answer


def _set_up(
    found: Found,
    live: Mapping[str, Any],
    names: Sequence[str],
    declared: manifest.Manifest,
    floor: float,
    progress: Progress,
) -> None:
    told = progress("setting up", len(names))
    for name in names:
        try:
            for side in (side for side in live if side != BASE):
                live[side].ask("setup", name=name)
            calibrated = live[HEAD].ask("repeats", name=name, seconds=ROUND)
        except WorkerError as error:
            found.settle(name, "failed", f"the head cannot run it: {error}")
            _unless_lost(error)
            continue
        finally:
            told()
        short = manifest.too_short(calibrated["seconds"], declared.least[name], floor)
        if short:
            found.settle(name, "failed", short)
            continue
        try:
            live[BASE].ask("setup", name=name)
        except WorkerError as error:
            _unless_lost(error)
            new = error.kind == "import"
            found.settle(name, "new" if new else "incomparable", f"the base {'lacks' if new else 'fails'} it: {error}")
            continue
        found.repeats[name] = calibrated["repeats"]


def _again(live: Mapping[str, Any], sides: Mapping[str, Tree], names: Sequence[str]) -> None:
    """Fresh processes, set up alike."""
    for side, worker in live.items():
        _hello(worker, sides[side], imports=False)
        for name in names:
            try:
                worker.ask("setup", name=name)
            except WorkerError as error:
                raise ValueError(f"{name}: had run before, and failed in a fresh process: {error}") from None


def _unless_lost(error: WorkerError) -> None:
    """A process that is gone cannot be asked for the others."""
    if error.kind == "lost":
        raise ValueError(str(error)) from None


def _time(
    found: Found,
    live: Mapping[str, Any],
    config: GateConfig,
    confidence: float,
    cpus: Sequence[int],
    on_pair: Callable[[], None],
) -> dict[str, Timings]:
    def undecided(timings: Timings) -> bool:
        return decide.undecided(_bounds(timings, confidence), config.threshold)

    try:
        return measure(
            live,
            found.repeats,
            config.pairs,
            clock=config.clock,
            looks=decide.LOOKS,
            undecided=undecided,
            cpus=cpus,
            on_pair=on_pair,
        )
    except WorkerError as error:
        raise ValueError(f"a benchmark that had run before failed while timed: {error}") from None


def _still_right(found: Found, live: Mapping[str, Any]) -> None:
    # The base last: what is wrong in both fails.
    for name in list(found.repeats):
        for side in sorted(live, key=lambda one: one == BASE):
            try:
                live[side].ask("check", name=name)
            except WorkerError as error:
                mine = side != BASE
                found.settle(name, "failed" if mine else "incomparable", f"wrong result of the {side}: {error}")
                break


def _bounds(timings: Timings, confidence: float) -> decide.Bounds:
    return decide.bounds(timings.log_ratio(HEAD, BASE), confidence)


def _row(first: Timings, second: Timings | None, config: GateConfig, confidence: float) -> Record:
    """What is shown of a benchmark that was timed."""
    once = _bounds(first, confidence)
    again = None if second is None else _bounds(second, confidence)
    confirmed = again is not None and decide.alarms(again, config.threshold)
    if confirmed:
        status, reason = "failed", "slower, and a fresh pair of processes agrees"
    elif again is not None:
        status, reason = "passed", "an alarm that a fresh pair of processes did not confirm"
    else:
        status, reason = "passed", "faster" if once.hi < -np.log1p(config.threshold) else ""
    return {
        "status": status,
        "reason": reason,
        "clock": first.clock,
        "seconds": {side: float(np.median(of)) for side, of in first.median.items()},
        "waits": dict(first.waits),
        "ratio": ratios(once),
        "confirmation": None if again is None else ratios(again),
        "p95": {**first.p95, "ratio": first.p95[HEAD] / first.p95[BASE]},
        "aa": _against_itself(first, config, confidence),
    }


def ratios(found: decide.Bounds) -> Record:
    """Bounds as ratios head / base; null where there is no bound."""
    lo, hi = (float(np.exp(end)) if np.isfinite(end) else None for end in (found.lo, found.hi))
    return {"value": float(np.exp(found.log_ratio)), "lo": lo, "hi": hi, "n": found.n}


def _against_itself(timings: Timings, config: GateConfig, confidence: float) -> Record | None:
    """A/A: the head against its twin; either could have been called the slower one."""
    if TWIN not in timings.median:
        return None
    d = timings.log_ratio(TWIN, HEAD)
    found = decide.bounds(d, confidence)
    worse = d if found.log_ratio >= 0 else -d
    ns = [look * config.pairs for look in decide.LOOKS]
    return {
        "ratio": ratios(found),
        "alarm": decide.alarms(decide.bounds(worse, confidence), config.threshold),
        "alarm_rate": min(1.0, sum(decide.alarm_rate(worse, 0.0, config.threshold, confidence, n) for n in ns)),
        "smallest_slowdown": decide.smallest_slowdown(-worse, config.threshold, confidence, ns[-1]),
    }


def _results(
    config: GateConfig, base: Tree, head: Tree, found: Found, confidence: float, hello: Mapping[str, Record]
) -> Record:
    rows = list(found.rows.values())
    count = {status: sum(row["status"] == status for row in rows) for status in ("passed", "failed")}
    if not any(count.values()):
        reasons = {row["reason"] for row in rows}
        raise ValueError(f"{base.name}: nothing can be compared: {sorted(reasons)[0] if reasons else 'no benchmark'}")
    aa = [row["aa"] for row in rows if row.get("aa")]
    return {
        "study": "gate",
        "base": {"name": base.name, "commit": base.commit, "python": hello[BASE]["python"]},
        "head": {"commit": head.commit, "dirty": head.dirty, "python": hello[HEAD]["python"]},
        "config": {**asdict(config), "level": decide.level(len(found.repeats)), "level_at_a_look": confidence},
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "benchmarks": rows,
        "false_alarm": {
            "tried": len(aa),
            "alarms": sum(one["alarm"] for one in aa),
            "gate_rate": decide.false_alarm(np.array([one["alarm_rate"] for one in aa])),
        }
        if aa
        else None,
        **count,
    }
