"""One world of the laboratory: the truth by twins, and what each live design would have reported of it.

1 burn-in by the logging cascade, 2 all traffic on the control, 3 all traffic on the treatment, 4 every live design in
that same world with the same luck, 5 the estimate of each, by day and by the share of users that is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reports.numbers.lifts import Lift, ratio_lift, two_sided_lift, winsorised
from reports.numbers.looks import LOOKS
from reports.numbers.rounding import Floats
from reports.numbers.split import srm
from reports.studies.machine.workers import Progress, one_thread
from reports.studies.market.learned import learned
from reports.studies.market.slates import COLUMNS, differing
from reports.studies.market.stage import Stage
from simulator.designs import BY_USER, Assignment, DesignConfig
from simulator.experiment import Cell, RunDirectory, write_json
from simulator.keyed_random import uniforms
from simulator.records import DAY, Impressions, Requests, concatenate, take
from simulator.scenario import Scenario
from simulator.training_rows import Training

USER_SHARES = (0.25, 0.5, 1.0)
"""Shares of the users from whom an estimate is also made alone: what a smaller test would have seen."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """One live design: how units are assigned, and what the arms learn from."""

    design: DesignConfig
    training: Training = "own"

    @property
    def key(self) -> str:
        """Its name in a cell."""
        return f"{self.design.name}, share {self.design.share:g}, {self.training}"


@dataclass(frozen=True, kw_only=True)
class LabTask:
    """A cell of the laboratory, with all that a worker needs to know.

    Attributes:
        cell: which.
        scenario: the resolved configuration, the level of the dial in it.
        control, treatment: arms by spelling.
        true_ranker: rank by the truth (and ``cascade.ranker_noise``) instead of by the arms' own rankers.
        lives: designs to run.
        root: the run directory. identity: of the run. index: position of the cell in the progress file.
    """

    cell: Cell
    scenario: Scenario
    control: str
    treatment: str
    true_ranker: bool
    lives: tuple[Live, ...]
    root: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0


def ticks(task: LabTask) -> int:
    """Work of a cell in ticks, for the progress bar: burn-in, two twins, the live markets."""
    run = task.scenario.run
    return (run.burn_in + run.days * (2 + len(task.lives))) * -(-DAY // task.scenario.cascade.tick)


def compute(task: LabTask, cells: int) -> str:
    """Compute one cell with one thread and leave it in the run directory; returns its path."""
    progress = Progress(Path(task.root), cells, task.index)
    progress.reset()
    run = RunDirectory(Path(task.root), {"identity": task.identity})
    with one_thread():
        facts = facts_of_world(task, progress.tick)
    with run.writing(task.cell) as out:
        write_json(out / "cell.json", facts)
    return str(task.cell.path)


def facts_of_world(task: LabTask, on_tick: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Truth and estimates of one world."""
    stage = Stage.lived(task.scenario, task.cell.world, true_ranker=task.true_ranker, on_tick=on_tick)
    twins = [stage.run([arm], DesignConfig(), "own", on_tick)[1] for arm in (task.control, task.treatment)]
    money = [np.array([day.log.paid.sum() for day in days]) for days in twins]
    logs = [concatenate([day.log for day in days]) for days in twins]
    until = stage.since + task.scenario.run.days * DAY
    spend = max(float(money[0].sum()), 1e-12)
    return {
        "world": task.cell.world,
        "revenue": {"control": money[0], "treatment": money[1]},
        "bound": sum(day.bound_spend for day in twins[0]) / spend,
        "learned": [learned(stage.log, log, task.scenario.cascade, stage.since, until) for log in logs],
        "slates_differ": differing(*({name: getattr(log, name) for name in COLUMNS} for log in logs)),
        "requests": len(stage.requests),
        "users": task.scenario.world.users,
        "live": {live.key: _live(stage, [task.control, task.treatment], live, on_tick) for live in task.lives},
    }


def _live(stage: Stage, arms: Sequence[str], live: Live, on_tick: Callable[[int], None] | None) -> dict[str, Any]:
    market, days = stage.run(arms, live.design, live.training, on_tick)
    log = concatenate([day.log for day in days])
    assignment, since = market.assignment, stage.since
    by_user = live.design.name in BY_USER
    found: dict[str, Any] = {
        "revenue": float(log.paid.sum()),
        "unpaid": sum(day.unpaid for day in days),
        "by_day": [
            estimate(stage, assignment, log[log.time < since + d * DAY], _before(stage.requests, since + d * DAY))
            for d in range(1, len(days) + 1)
        ],
        "srm": _srm(stage, assignment) if by_user else None,
    }
    if live.design.name in ("user_split", "budget_split"):
        u = uniforms(stage.world.seed, "looked at", np.arange(stage.world.catalog.users.rows))
        found["by_users"] = [
            estimate(stage, assignment, log[u[log.user] < share], take(stage.requests, u[stage.requests.user] < share))
            for share in USER_SHARES
        ]
        found["cuped"] = estimate(stage, assignment, log, stage.requests, covariate=True)
        found["winsorised"] = estimate(stage, assignment, log, stage.requests, cap=True)
        found["looks"] = _looks(stage, assignment, log, len(days))
    return found


def _looks(stage: Stage, assignment: Assignment, log: Impressions, days: int) -> list[dict[str, float]]:
    """The estimate of everything so far, at evenly spaced times of the test."""
    found = []
    for i in range(1, LOOKS + 1):
        time = stage.since + i * days * DAY // LOOKS
        asked = _before(stage.requests, time)
        found.append(estimate(stage, assignment, log[log.time < time], asked) | {"requests": len(asked)})
    return found


def _before(requests: Requests, time: int) -> Requests:
    return take(requests, slice(0, int(np.searchsorted(requests.time, time))))


def _srm(stage: Stage, assignment: Assignment) -> float | None:
    """p of the users' split against its share; only users who came are counted, as a live test would."""
    users = np.unique(stage.requests.user)
    sides = assignment.asked(users, np.zeros(users.size, dtype=np.int64))
    share = assignment.design.share
    return srm([int((sides == 0).sum()), int(sides.sum())], [1 - share, share]) if 0 < share < 1 else None


def estimate(
    stage: Stage,
    assignment: Assignment,
    log: Impressions,
    requests: Requests,
    *,
    covariate: bool = False,
    cap: bool = False,
) -> dict[str, float]:
    """The lift of revenue that a design's owner would report.

    Args:
        stage: the world and its burn-in.
        assignment: who was on which side.
        log: impressions that are looked at.
        requests: requests that are looked at, shown anything or not.
        covariate: adjust by the users' revenue per request in the burn-in (users only).
        cap: winsorise a user's revenue at the burn-in's 99 % quantile, stretched to as many requests (users only).
    """
    design, demand = assignment.design, stage.world.demand
    U, C = stage.world.catalog.users.rows, demand.budget.size
    asked_often = np.bincount(requests.user, minlength=U)
    ads = np.bincount(demand.campaign, minlength=C)
    users = np.arange(U, dtype=np.int32)
    asked = assignment.asked(users, np.zeros(U, dtype=np.int64))
    campaign_side = np.zeros(C, dtype=np.int8)
    campaign_side[demand.campaign] = assignment.ads
    if design.name == "switchback":
        first = stage.since // design.block
        n = int(requests.time[-1] // design.block - first) + 1
        block = np.arange(first, first + n)
        start = block * design.block
        side = assignment.asked(np.zeros(n, dtype=np.int32), start)
        money = np.bincount(log.time // design.block - first, log.paid, n)
        found = ratio_lift(money, np.bincount(requests.time // design.block - first, minlength=n), side)
    elif design.name == "ad_side":
        kept = ads > 0
        money = np.bincount(demand.campaign[log.ad], log.paid, C)
        found = ratio_lift(money[kept], ads[kept], campaign_side[kept])
    elif design.name == "two_sided":
        found = two_sided_lift(
            log.paid, log.user, demand.campaign[log.ad], asked=asked, side=campaign_side, requests=asked_often, ads=ads
        )
    else:
        money, kept = np.bincount(log.user, log.paid, U), asked_often > 0
        given = None
        if covariate:
            before, often = stage.before
            given = (before[kept], often[kept])
        earned: Floats = money.astype(np.float64)
        if cap:
            before, often = stage.before
            earned = winsorised(earned, before[often > 0] * (len(requests) / max(float(often.sum()), 1.0)))
        found = ratio_lift(earned[kept], asked_often[kept], asked[kept], covariate=given)
    return _plain(found)


def _plain(lift: Lift) -> dict[str, float]:
    return {key: float(value) for key, value in lift._asdict().items()}
