"""What a plug-in knows: the catalogue, its seed and the log, and nothing of the truth and of the market.

One process cannot hide the truth from code that looks for it. So this clause looks for what such code can hardly hide
in turn: that it builds a world, that it holds one, that it orders ads as only the truth does.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.marketplace import Marketplace
from simulator.records import Floats, Impressions, Keys, Ledger
from simulator.retrieval import top_k
from simulator.testing.bench import Bench
from simulator.testing.stage import TINY, K
from simulator.world import Demand, Truth, World
from simulator.world.informed import informed
from simulator.world.truth import truth_of

SECRETS = (World, Truth, Demand, Marketplace, Ledger)
"""What the market keeps to itself."""
MOST = 200_000
"""Objects that are looked at before a plug-in is believed to hold none of these."""
MARGIN = 3
"""Standard errors over users above the best informed model's recall."""


def knowledge(bench: Bench) -> str:
    """It builds no world, holds none, and finds the truly best ads no better than the best informed model could."""
    with _worlds_built() as built:
        fresh = bench.make()
        bench.trained().answer()
    if built:
        fresh.broken(f"it builds a world ({built[0]}), must know the catalogue, its seed and the log only")
    lived = bench.first_life
    held = next((type(one).__name__ for one in _reachable(lived.inner) if isinstance(one, SECRETS)), None)
    if held:
        lived.broken(f"it holds a {held} of the market's, must hold nothing that is the market's own")
    _below_the_ceiling(bench, fresh, None)
    _below_the_ceiling(bench, lived, lived.log)
    return ""


def _below_the_ceiling(bench: Bench, plugin: Any, log: Impressions | None) -> None:
    world, asked = bench.stage.world, bench.stage.everybody()
    truth = world.truth.everything(asked)
    recall = _recall(plugin.best(asked), truth)
    allowed = _recall(top_k(informed(TINY, world, log).everything(asked), K), truth)
    limit = allowed.mean() + MARGIN * allowed.std() / np.sqrt(allowed.size)
    if recall.mean() > limit:
        before, source = ("", "the catalogue and the log") if log else ("before it learned, ", "the catalogue")
        plugin.broken(
            f"{before}it finds {recall.mean():.0%} of the truly best {K} ads, whoever knows {source} finds {limit:.0%} "
            "at most: it knows the truth"
        )


def _recall(ads: npt.NDArray[Any], truth: Floats) -> npt.NDArray[np.float64]:
    """Share of each request's truly best ``K`` ads that are among ``ads`` [R, n]; pads are no ad."""
    best: Keys = top_k(truth, K).astype(np.int32)
    return np.asarray((best[:, :, None] == ads[:, None, :]).any(axis=2).mean(axis=1))


@contextmanager
def _worlds_built() -> Iterator[list[str]]:
    """Where worlds are built in this block, by whatever name the function is called."""
    found: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is truth_of.__code__:
            found.append(_stranger(frame))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(before)


def _stranger(frame: FrameType) -> str:
    """The file and line that is not of the world's own package."""
    at: FrameType | None = frame
    while at is not None and at.f_globals.get("__name__", "").startswith("simulator.world"):
        at = at.f_back
    return f"{at.f_code.co_filename.rpartition('/')[2]}:{at.f_lineno}" if at else "simulator.world"


def _reachable(start: Any) -> Iterator[Any]:
    """Objects that one holds, directly or not; what is a module's or a class's is nobody's own."""
    seen, waiting = {id(start)}, deque([start])
    while waiting and len(seen) < MOST:
        one = waiting.popleft()
        yield one
        for held in _holds(one):
            if id(held) not in seen:
                seen.add(id(held))
                waiting.append(held)


def _holds(one: Any) -> list[Any]:
    if isinstance(one, ModuleType | type | np.ndarray):
        return []
    if isinstance(one, FunctionType):
        # Not its globals: those are its module's.
        return [*(one.__closure__ or ()), *(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
    return gc.get_referents(one)
