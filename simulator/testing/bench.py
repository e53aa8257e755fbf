"""Makes fresh plug-ins of one factory, runs them through the market, and puts the clauses to them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from simulator.blame import ContractError, blamed
from simulator.keyed_random import subseed
from simulator.testing.elsewhere import elsewhere
from simulator.testing.stage import FlippedQueue, stage_of
from simulator.testing.watched import Note, Watched


class Check(NamedTuple):
    """One clause of the contract.

    Attributes:
        name: of the clause.
        passed: kept, or skipped for a reason that ``detail`` tells.
        detail: one line: what was wrong, where and when; empty if there is nothing to say.
    """

    name: str
    passed: bool
    detail: str


Filed = Callable[[Any], Any]
"""A state -> the state as it comes back from a file."""


def pickled(state: Any) -> Any:
    """The state there and back through pickle: bytes of this process, never those of somebody's file."""
    return pickle.loads(pickle.dumps(state))  # noqa: S301


class Bench:
    """Makes fresh plug-ins of one factory, and runs them through the market."""

    def __init__(
        self, factory: Callable[..., Any], seed: int, name: str | None, watch: type[Watched], filed: Filed | None = None
    ) -> None:
        self.factory = factory
        self.seed = seed
        # Never the world's own: whoever has that can build the world.
        self.own_seed = subseed(seed, "plug-in of the contract check")
        self.watch = watch
        self.filed = filed or pickled
        # A copy: a plug-in that writes to what it is handed spoils its own stage only.
        self.stage = copy.deepcopy(stage_of(seed))
        own = getattr(factory, "__name__", type(factory).__name__)
        self.named = name is not None or own != "<lambda>"
        self.name = name or own

    def make(self) -> Any:
        """A fresh watched plug-in (typed Any: the clauses know which of the two they ask)."""
        with blamed(f"{self.name} at time 0: its factory"):
            inner = self.factory(self.stage.world.catalog, self.own_seed)
        if not self.named:
            self.name, self.named = type(inner).__name__, True
        return self.watch(self.name, inner, self.stage)

    def life(self, *, flipped: bool = False) -> Any:
        """A fresh plug-in after one day of the market: ``notes`` of all that it served, and the market's ``log``."""
        plugin = self.make()
        market = plugin.market()
        if flipped:
            market.queue = FlippedQueue()
        try:
            # The log holds hidden vectors in half precision; those that do not fit are the `probabilities` clause's.
            with np.errstate(over="ignore"):
                plugin.log = market.run_day(0).log
        except ContractError:
            raise
        except ValueError as error:
            plugin.broken(f"the market stopped: {error}")
        return plugin

    def day(self, *, flipped: bool = False) -> list[Note]:
        """All that a fresh plug-in serves in one day of the market."""
        notes: list[Note] = self.life(flipped=flipped).notes
        return notes

    @cached_property
    def first_life(self) -> Any:
        """A plug-in that lived one day."""
        return self.life()

    @cached_property
    def first_day(self) -> list[Note]:
        """What it served."""
        notes: list[Note] = self.first_life.notes
        return notes

    @cached_property
    def second_day(self) -> list[Note]:
        """What another one served, of the same seed, at another time of the clock and among other random states."""
        with elsewhere():
            return self.day()

    def trained(self) -> Any:
        """A fresh plug-in that has learned and published the stage's log."""
        plugin = self.make()
        plugin.learn(self.stage.log)
        return plugin


Clause = Callable[[Bench], str]
"""Puts one clause of the contract to a bench's plug-ins: raises ContractError, or returns a remark."""


def judged(bench: Bench, clauses: Mapping[str, Clause]) -> list[Check]:
    """The clauses one by one; where the first one (that the verbs are there) is broken, no other is tried."""
    checks: list[Check] = []
    for name, clause in clauses.items():
        checks.append(_judge(name, bench, clause))
        if not checks[0].passed:
            break
    return checks


def _judge(name: str, bench: Bench, clause: Clause) -> Check:
    try:
        return Check(name, True, clause(bench))
    except ContractError as error:
        return Check(name, False, str(error))
