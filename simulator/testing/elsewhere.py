"""Another hour, and other global random states: what a plug-in must not depend on, changed for the time of a block."""

from __future__ import annotations

import datetime
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from simulator.blame import INSTALLED, OURS

AHEAD = 1_000_003
"""Seconds that the clocks are ahead: another day, hour and minute."""
OTHER_SEED = 20_260_101


@contextmanager
def elsewhere() -> Iterator[None]:
    """Both changed."""
    with later(), otherwise():
        yield


@contextmanager
def otherwise() -> Iterator[None]:
    """The global random states of ``random``, numpy and torch are others; torch's only where somebody imported it."""
    put_back: list[tuple[Callable[[Any], Any], Any]] = [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),  # noqa: NPY002 - the global state is what is meant
    ]
    random.seed(OTHER_SEED)
    np.random.seed(OTHER_SEED)  # noqa: NPY002
    if torch := sys.modules.get("torch"):
        put_back.append((torch.set_rng_state, torch.get_rng_state()))
        torch.manual_seed(OTHER_SEED)
    try:
        yield
    finally:
        for restore, state in put_back:
            restore(state)


@contextmanager
def later() -> Iterator[None]:
    """The clocks of ``time`` and ``datetime`` are ahead, also for strangers' modules that imported them by name."""
    moved = {id(clock): new for clock, new in _moved()}
    with ExitStack() as stack:
        for module in [time, datetime, *_strangers()]:
            for name, value in [*vars(module).items()]:
                if id(value) in moved:
                    setattr(module, name, moved[id(value)])
                    stack.callback(setattr, module, name, value)
        yield


def _moved() -> Iterator[tuple[Any, Any]]:
    """Each clock, and the same ahead."""
    yield datetime.datetime, _Later
    for name in ("time", "monotonic", "perf_counter"):
        yield getattr(time, name), _ahead(getattr(time, name), AHEAD)
        yield getattr(time, f"{name}_ns"), _ahead(getattr(time, f"{name}_ns"), AHEAD * 10**9)


def _ahead(clock: Callable[[], Any], by: int) -> Callable[[], Any]:
    return lambda: clock() + by


class _Later(datetime.datetime):
    """Its now is later."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return super().now(tz) + datetime.timedelta(seconds=AHEAD)


def _strangers() -> list[ModuleType]:
    """Modules that are neither ours nor installed."""
    modules = [module for module in sys.modules.values() if getattr(module, "__file__", None)]
    return [module for module in modules if not str(module.__file__).startswith((*OURS, *INSTALLED))]
