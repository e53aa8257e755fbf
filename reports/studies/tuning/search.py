"""A search over hyper-parameters that every model gets alike: the same ladders, the same start, the same budget.

Each hyper-parameter has a ladder of values. From the best point so far the search goes down and up one ladder after
another, each as long as it pays. When all neighbours of the best point are known to be no better, what is left of the
budget goes to points drawn from all ladders, which may start a better climb. It is a coordinate search with restarts
(Hooke & Jeeves, JACM 1961, without the pattern move): unlike a random draw of as many points it tells whether the
winner's neighbours are worse, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Point = tuple[int, ...]
"""A rung per ladder."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """Ladders by hyper-parameter, and where every search starts.

    Attributes:
        ladders: name -> its values, in order.
        start: name -> one of them.
        natural: names whose first rung is a natural end (no dropout, no L2): below it there is nothing.
    """

    ladders: Mapping[str, Sequence[Any]]
    start: Mapping[str, Any]
    natural: tuple[str, ...] = ()

    def first(self) -> Point:
        """The start as rungs.

        Raises:
            ValueError: if it is not on the ladders.
        """
        for name, ladder in self.ladders.items():
            if self.start[name] not in ladder:
                raise ValueError(f"start.{name} == {self.start[name]}, must be one of {list(ladder)}")
        return tuple(list(ladder).index(self.start[name]) for name, ladder in self.ladders.items())

    def point(self, values: Mapping[str, Any]) -> Point:
        """Hyper-parameters as a point; lists count as tuples."""
        found = []
        for name, ladder in self.ladders.items():
            value = values[name]
            found.append(list(ladder).index(tuple(value) if isinstance(value, list) else value))
        return tuple(found)

    def values(self, point: Point) -> dict[str, Any]:
        """A point as hyper-parameters."""
        return {name: ladder[rung] for (name, ladder), rung in zip(self.ladders.items(), point, strict=True)}

    def on_boundary(self, point: Point) -> list[str]:
        """Hyper-parameters at an end of their ladder that is not a natural one."""
        return [
            name
            for (name, ladder), rung in zip(self.ladders.items(), point, strict=True)
            if rung == len(ladder) - 1 or (rung == 0 and name not in self.natural)
        ]

    def neighbours(self, point: Point) -> list[Point]:
        """Points one rung away in one hyper-parameter."""
        return [
            moved(point, place, step)
            for place, ladder in enumerate(self.ladders.values())
            for step in (-1, 1)
            if 0 <= point[place] + step < len(ladder)
        ]

    def size(self) -> int:
        """Number of points."""
        return int(np.prod([len(ladder) for ladder in self.ladders.values()]))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found.

    Attributes:
        tried: points in the order in which they were tried, with their scores.
        best: the best of them; the earlier one of equals.
        surrounded: every neighbour of the best point was tried.
    """

    tried: dict[Point, float]
    best: Point
    surrounded: bool

    @classmethod
    def of(cls, space: Space, tried: Mapping[Point, float]) -> Found:
        """What a set of scores says."""
        best = max(tried, key=lambda point: tried[point])
        return cls(tried=dict(tried), best=best, surrounded=all(near in tried for near in space.neighbours(best)))


def moved(point: Point, place: int, step: int) -> Point:
    """A point some rungs further in one hyper-parameter."""
    return (*point[:place], point[place] + step, *point[place + 1 :])


def search(space: Space, score: Callable[[Point], float], budget: int, seed: int = 0) -> Found:
    """Spend a budget of evaluations on a space.

    Args:
        space: what may be tried.
        score: the figure of merit of a point, the higher the better; NaN is the worst.
        budget: distinct points to evaluate, at least 1; fewer if the space has fewer.
        seed: of the restarts, the same for every model.
    """
    if budget < 1:
        raise ValueError(f"budget == {budget}, must be at least 1")
    budget = min(budget, space.size())
    draws = np.random.default_rng(seed)
    tried: dict[Point, float] = {}

    def ask(point: Point) -> float:
        if point not in tried:
            found = score(point)
            tried[point] = found if np.isfinite(found) else -np.inf
        return tried[point]

    def climb(best: Point, place: int) -> Point:
        """Down one ladder, then up it, each as long as it pays."""
        for step in (-1, 1):
            near = moved(best, place, step)
            while inside(near, place) and (near in tried or len(tried) < budget) and ask(near) > tried[best]:
                best, near = near, moved(near, place, step)
        return best

    rungs = [len(ladder) for ladder in space.ladders.values()]

    def inside(point: Point, place: int) -> bool:
        return 0 <= point[place] < rungs[place]

    best = space.first()
    ask(best)
    while len(tried) < budget:
        known = len(tried)
        for place in range(len(rungs)):
            best = climb(best, place)
        if len(tried) == known:
            drawn = tuple(int(draws.integers(n)) for n in rungs)
            best = max(best, drawn, key=ask)
    return Found.of(space, tried)
