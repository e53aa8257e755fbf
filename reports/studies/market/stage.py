"""A world at the seam: after its burn-in, before any arm. Whoever compares arms in a world gets them from here.

A burn-in is one log made by the logging cascade (popularity with exploration, and a ranker), none of the compared
arms. Every arm's retriever learns from it in event order; every arm takes over the logging ranker as it stands at the
seam (another ranker learns from the log too); then each serves, logs and learns on its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from reports.studies.arms import DEFAULT_RANKER, ORACLE, Spelling, make_ranker, make_retriever, parse
from simulator.blame import blamed
from simulator.current_truth import CurrentTruth
from simulator.designs import DesignConfig
from simulator.guard import GuardedRanker, GuardedRetriever
from simulator.marketplace import Day, Marketplace, learn_from_log, publishes
from simulator.plugins import Ranker, Retriever
from simulator.ranking import OracleRanker
from simulator.records import DAY, Impressions, Requests, concatenate
from simulator.retrieval import OracleRetriever, PopularityRetriever
from simulator.scenario import Scenario
from simulator.shared_market import MarketArm, SharedMarket
from simulator.traffic import day_requests
from simulator.training_rows import Training
from simulator.world import PLACEMENTS, World, build

OnTick = Callable[[int], None]


def logging_ranker(scenario: Scenario, world: World, seed: int | None = None) -> Any:
    """The ranker of the logging cascade, that has learned nothing; of the world's seed, or of another."""
    own = world.seed if seed is None else seed
    return make_ranker(parse("popularity"), world.catalog, own, {}, oldest_row=scenario.oldest_row)


def burnt_in(
    scenario: Scenario,
    world: World,
    ranker: Ranker,
    on_tick: OnTick | None = None,
    *,
    truth: CurrentTruth | None = None,
    days: int | None = None,
) -> list[Day]:
    """The days of the logging cascade.

    Args:
        scenario: the resolved configuration.
        world: in which it serves.
        ranker: its second stage; knows what the logging cascade knows when this returns.
        on_tick: told of every tick.
        truth: that of its market, where the ranker is an oracle.
        days: how many, if not the scenario's.
    """
    logging = scenario.logging
    logger = PopularityRetriever(world.catalog, world.seed, temperature=logging.temperature, pool=logging.pool)
    market = Marketplace(world, scenario.market, logger, ranker, truth=truth)
    return [market.run_day(day, on_tick) for day in range(scenario.run.burn_in if days is None else days)]


class Stage:
    """A world after its burn-in; hands out fresh arms in markets that begin at the seam.

    Args:
        scenario: the resolved configuration.
        world: the world.
        log: what the logging cascade left, hidden vectors included.
        ranker: gives the logging ranker's state at the seam, another copy each time; None to rank by the truth instead.
        settings: hyper-parameters of the arms' towers by spelling, where they are not the defaults.
    """

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        log: Impressions,
        ranker: Callable[[], Any] | None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.scenario = scenario
        self.world = world
        self.log = log
        self.since = scenario.run.burn_in * DAY
        self._ranker = ranker
        self._settings = settings or {}
        self._learned: dict[str, tuple[Any, Any]] = {}

    @classmethod
    def lived(
        cls,
        scenario: Scenario,
        seed: int,
        *,
        true_ranker: bool = False,
        on_tick: OnTick | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Stage:
        """The world of a seed, its burn-in lived here and now; ``true_ranker``: it and all arms rank by the truth."""
        world = build(scenario.world, seed, scenario.all_days)
        truth = CurrentTruth(world, scenario.market.feedback)
        ranker: Any = OracleRanker(truth.pairs) if true_ranker else logging_ranker(scenario, world)
        log = concatenate([day.log for day in burnt_in(scenario, world, ranker, on_tick, truth=truth)])
        if true_ranker:
            return cls(scenario, world, log, None, settings)
        state = copy.deepcopy(ranker.snapshot())
        return cls(scenario, world, log, lambda: copy.deepcopy(state), settings)

    def opened(self, spelling: str) -> tuple[Marketplace, Impressions]:
        """A market of an arm alone, whose retriever has learned nothing yet, and the log that it is to learn from.

        The log is the burn-in's as the arm's ranker would have written it.
        """
        truth = CurrentTruth(self.world, self.scenario.market.feedback)
        arm, log = self._taken_over(spelling, truth)
        market = Marketplace(
            self.world,
            self.scenario.market,
            arm.retriever,
            arm.ranker,
            truth=truth,
            waiting=self._waiting(log),
            shown=log,
        )
        return market, log

    def alone(self, spelling: str) -> Marketplace:
        """A market of an arm alone that has learned from the burn-in."""
        market, log = self.opened(spelling)
        self._teach(market.retriever, log)
        return market

    def market(self, arms: Sequence[str], design: DesignConfig, training: Training = "own") -> SharedMarket:
        """One market of all the arms, that have learned from the burn-in."""
        truth = CurrentTruth(self.world, self.scenario.market.feedback)
        return SharedMarket(
            self.world,
            self.scenario.market,
            [self._arm(spelling, truth) for spelling in arms],
            design,
            training=training,
            since=self.since,
            truth=truth,
            waiting=self._waiting(self.log),
            shown=self.log,
        )

    def run(
        self, arms: Sequence[str], design: DesignConfig, training: Training, on_tick: OnTick | None
    ) -> tuple[SharedMarket, list[Day]]:
        """Fresh arms live through the test's days in one market."""
        market = self.market(arms, design, training)
        return market, [market.run_day(day, on_tick) for day in self._test]

    @property
    def _test(self) -> range:
        run = self.scenario.run
        return range(run.burn_in, run.burn_in + run.days)

    @cached_property
    def requests(self) -> Requests:
        """All requests of the test's days, in event order."""
        return self._requests(self._test)

    @cached_property
    def before(self) -> tuple[Any, Any]:
        """Every user's revenue and requests [U] of the burn-in."""
        U = self.world.catalog.users.rows
        asked = self._requests(range(self.scenario.run.burn_in)).user
        return np.bincount(self.log.user, self.log.paid, U), np.bincount(asked, minlength=U).astype(np.float64)

    def _requests(self, days: Sequence[int]) -> Requests:
        truth, traffic = self.world.truth, self.scenario.traffic
        return concatenate(
            [day_requests(traffic, self.world.seed, day, truth.activity, truth.arrival, PLACEMENTS) for day in days]
        )

    def _waiting(self, log: Impressions) -> Impressions:
        return log[log.ready_at > self.since]

    def _arm(self, spelling: str, truth: CurrentTruth) -> MarketArm:
        """An arm that has learned from the burn-in: once, then restored where the parts can be."""
        if spelling in self._learned:
            arm = self._made(spelling, truth)
            for part, state in zip((arm.retriever, arm.ranker), self._learned[spelling], strict=True):
                if state is not None:
                    part.restore(copy.deepcopy(state))  # type: ignore[attr-defined]
            return arm
        arm, log = self._taken_over(spelling, truth)
        self._teach(arm.retriever, log)
        parts: tuple[Any, Any] = (arm.retriever, None if self._ranker is None else arm.ranker)
        if all(part is None or hasattr(part, "snapshot") for part in parts):
            state, own = (None if part is None else copy.deepcopy(part.snapshot()) for part in parts)
            self._learned[spelling] = (state, own)
        return arm

    def _teach(self, retriever: Retriever, log: Impressions) -> None:
        for day in range(self.scenario.run.burn_in):
            learn_from_log(log, retriever, self.scenario.cascade, day)

    def _taken_over(self, spelling: str, truth: CurrentTruth) -> tuple[MarketArm, Impressions]:
        """An arm with its ranker as of the seam, and the burn-in's log as that would have written it."""
        arm = self._made(spelling, truth)
        if self._ranker is None:
            return arm, self.log
        if parse(spelling).ranker != DEFAULT_RANKER:
            return arm, backfill(self.log, arm.ranker, self.scenario)
        arm.ranker.restore(self._ranker())  # type: ignore[attr-defined]
        return arm, self.log

    def _made(self, spelling: str, truth: CurrentTruth) -> MarketArm:
        """An arm as it comes from its factories; where it fails, it is named."""
        parts = parse(spelling)
        name = f"arm '{parts.name}'"
        with blamed(f"{name} at time 0: its ranker's factory"):
            ranker = GuardedRanker(f"{name}, ranker", self._ranker_of(parts, truth))
        with blamed(f"{name} at time 0: its factory"):
            retriever = GuardedRetriever(f"{name}, retriever", self._retriever_of(spelling, parts, truth))
        return MarketArm(retriever=retriever, ranker=ranker)

    def _ranker_of(self, parts: Spelling, truth: CurrentTruth) -> Ranker:
        if self._ranker is None:
            return OracleRanker(truth.pairs)
        made: Ranker = make_ranker(parts, self.world.catalog, self.world.seed, {}, oldest_row=self.scenario.oldest_row)
        return made

    def _retriever_of(self, spelling: str, parts: Spelling, truth: CurrentTruth) -> Retriever:
        if parts.backbone == ORACLE:
            return OracleRetriever(truth.everything)
        settings = self._settings.get(spelling, {})
        made: Retriever = make_retriever(
            parts, self.world.catalog, self.world.seed, settings, {}, oldest_row=self.scenario.oldest_row
        )
        return made


def backfill(log: Impressions, ranker: Ranker, s: Scenario) -> Impressions:
    """The burn-in's log with pctr and hidden vectors of another ranker, each from before it learned from the row."""
    pctr = np.zeros(len(log), dtype=np.float32)
    hidden: list[Any] = []
    requests = Requests(
        id=log.request, user=log.user, time=log.time, context=log.context, arm=np.zeros(len(log), dtype=np.int8)
    )
    # The market's ticks: a day's last one is cut short if need be.
    starts = np.concatenate([np.arange(day * DAY, (day + 1) * DAY, s.cascade.tick) for day in range(s.run.burn_in)])
    ends = np.minimum(starts + s.cascade.tick, (starts // DAY + 1) * DAY)
    served = np.searchsorted(log.time, np.concatenate([[0], ends]))
    ready = np.searchsorted(log.ready_at, np.concatenate([[-1], ends]), side="right")
    for i, end in enumerate(ends):
        a, b = int(served[i]), int(served[i + 1])
        if b > a:
            part = Requests(**{k: getattr(requests, k)[a:b] for k in ("id", "user", "time", "context", "arm")})
            ranked = ranker.rank(part, log.ad[a:b, None])
            pctr[a:b] = ranked.pctr[:, 0]
            hidden.append(ranked.hidden[:, 0].astype(np.float16))
        if ready[i + 1] > ready[i]:
            ranker.update(log[int(ready[i]) : int(ready[i + 1])])
        if publishes(s.cascade, int(starts[i]), int(end)):
            ranker.sync(int(end))
    return replace(log, pctr=pctr, hidden=np.concatenate(hidden) if hidden else log.hidden)
