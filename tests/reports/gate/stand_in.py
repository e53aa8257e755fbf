"""Workers without processes and without a clock: each answers at the speed that it is told, with keyed noise."""

from __future__ import annotations

import numpy as np

from reports.gate.manifest import Manifest
from reports.gate.process import WorkerError
from reports.gate.trees import Tree

NAMES = ("a/one", "a/two", "b/three")
DECLARED = Manifest(dict.fromkeys(NAMES, 1e-6), {})
BASE, HEAD = Tree(name="main", commit="b" * 40), Tree(name="head", commit="a" * 40, dirty=True)


class Fake:
    """A worker of one side.

    Args:
        seed: of its noise.
        speed: benchmark -> seconds a run; 1 ms for others.
        faults: (request, benchmark) -> (kind, text) of the error that answers it.
        waits: voluntary switches a run.
        said: overrides of what ``hello`` says.
    """

    def __init__(self, seed, *, speed=None, faults=None, waits=0.0, said=None, names=NAMES, wall=1.0):
        self.rng = np.random.default_rng(seed)
        self.speed, self.faults, self.waits, self.said = speed or {}, faults or {}, waits, said or {}
        self.names, self.wall = names, wall
        self.asked: list[tuple[str, dict]] = []
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def ask(self, do, **given):
        self.asked.append((do, given))
        fault = self.faults.get((do, given.get("name")))
        if fault is not None:
            raise WorkerError(*fault)
        if do == "hello":
            shown = [
                {"name": n, "group": n[0], "threads": 1, "pure": True, "disabled": "", "info": {}} for n in self.names
            ]
            return {"python": "3", "floor": 1e-7, "cpus": [0, 1], "manifest": None, "benchmarks": shown, **self.said}
        seconds = self.speed.get(given["name"], 1e-3)
        if do == "repeats":
            return {"repeats": 4, "seconds": seconds}
        if do == "block":
            cpu = [seconds * float(np.exp(0.03 * x)) for x in self.rng.standard_normal(given["rounds"])]
            return {"cpu": cpu, "wall": [self.wall * x for x in cpu], "waits": self.waits}
        return {"right": True}


class Makes:
    """Makes the workers of a run, side by side, and keeps them: ``made[i][side]`` of the i-th set of processes."""

    def __init__(self, **by_side):
        self.by_side = by_side
        self.made: list[dict[str, Fake]] = []

    def __call__(self, tree, side):
        if not self.made or side in self.made[-1]:
            self.made.append({})
        settings = self.by_side.get(side, {})
        if callable(settings):
            settings = settings(len(self.made) - 1)
        seed = 1000 * len(self.made) + ["base", "head", "twin"].index(side)
        self.made[-1][side] = Fake(seed, **settings)
        return self.made[-1][side]
