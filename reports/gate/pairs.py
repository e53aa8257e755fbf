"""Who is timed when: rounds over all benchmarks, in each a block of every side, the order turned round each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from reports.gate.decide import Floats

ROUND = 0.002
"""Seconds of a round; a longer run is a round of its own."""
ROUNDS = 3
"""Rounds of a block, whose median it is."""
WAITING = 0.01
"""Voluntary switches a run from which a benchmark waits for something: then only the wall clock sees all of it."""
CLOCKS = ("auto", "cpu", "wall")


class Side(Protocol):
    """What blocks are asked of: a worker, or a test's stand-in."""

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """One request and its answer."""


class Block(NamedTuple):
    """One side's rounds of one pair, seconds a run.

    Attributes:
        wall, cpu: by either clock, [m].
        waits: voluntary switches a run.
    """

    wall: tuple[float, ...]
    cpu: tuple[float, ...]
    waits: float


@dataclass(frozen=True, kw_only=True)
class Timings:
    """All blocks of one benchmark, [pairs] for every side.

    Attributes:
        clock: which the decision is taken by.
        median: side -> float64 [n], each block's median round, seconds a run.
        p95: side -> 95th percentile of all rounds, seconds a run.
        waits: side -> voluntary switches a run, mean.
    """

    clock: str
    median: Mapping[str, Floats]
    p95: Mapping[str, float]
    waits: Mapping[str, float]

    def log_ratio(self, over: str, under: str) -> Floats:
        """log(over / under) of each pair, [n]."""
        return np.asarray(np.log(self.median[over] / self.median[under]))


def order(sides: Sequence[str], i: int) -> list[str]:
    """Who comes first in pair ``i``: neighbours change places each time."""
    return list(sides) if i % 2 == 0 else list(reversed(sides))


def measure(
    workers: Mapping[str, Side],
    repeats: Mapping[str, int],
    pairs: int,
    *,
    clock: str = "auto",
    looks: Sequence[int] = (1,),
    undecided: Callable[[Timings], bool] = lambda _: True,
    cpus: Sequence[int] = (),
    on_pair: Callable[[], None] = lambda: None,
) -> dict[str, Timings]:
    """Time benchmarks that all sides have set up.

    Args:
        workers: side -> worker; neighbours are compared.
        repeats: benchmark -> runs of a round, the same for all sides.
        pairs: n.
        looks: multiples of n after which a benchmark is looked at.
        undecided: whether it then gets more pairs.
        clock: ``cpu``, ``wall``, or ``auto``: the processor's time of the process, which neighbours on the machine
            cannot lengthen by taking its turn; the wall where any side waits.
        cpus: processors to take turns on, both blocks of a pair on the same; none to leave that to the system.
        on_pair: told of each pair of each benchmark.
    """
    blocks: dict[str, dict[str, list[Block]]] = {name: {side: [] for side in workers} for name in repeats}
    open_names, i = list(repeats), 0
    for look in looks:
        while i < look * pairs:
            cpu = cpus[i // 2 % len(cpus)] if cpus else None
            for name in open_names:
                for side in order(list(workers), i):
                    found = workers[side].ask("block", name=name, repeats=repeats[name], rounds=ROUNDS, cpu=cpu)
                    blocks[name][side].append(Block(tuple(found["wall"]), tuple(found["cpu"]), found["waits"]))
                on_pair()
            i += 1
        open_names = [name for name in open_names if undecided(_timings(blocks[name], clock))]
    return {name: _timings(by_side, clock) for name, by_side in blocks.items()}


def _timings(blocks: Mapping[str, Sequence[Block]], clock: str) -> Timings:
    waits = {side: float(np.median([block.waits for block in of])) for side, of in blocks.items()}
    chosen = ("wall" if max(waits.values()) > WAITING else "cpu") if clock == "auto" else clock
    rounds = {side: np.array([getattr(block, chosen) for block in of]) for side, of in blocks.items()}
    return Timings(
        clock=chosen,
        median={side: np.median(of, axis=1) for side, of in rounds.items()},
        p95={side: float(np.quantile(of, 0.95)) for side, of in rounds.items()},
        waits=waits,
    )
