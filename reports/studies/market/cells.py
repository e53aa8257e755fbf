"""What one worker computes: the burn-in of a world, or one arm's market in it. One thread each; results on disk.

A burn-in is one log made by the logging cascade (popularity with exploration, and a ranker), none of the compared
arms. Every arm's retriever learns from it in event order; every arm takes over the logging ranker as it stands at the
seam; then each serves, logs and learns on its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from reports.numbers.calibration import logloss, pcoc, reliability
from reports.numbers.discrimination import auc
from reports.studies.arms import DEFAULT_RANKER, ORACLE, Spelling, make_ranker, make_retriever, parse
from reports.studies.machine.states import load_array, load_state, packed, save_array, save_state
from reports.studies.machine.workers import Progress, one_thread
from reports.studies.market.ceilings import knowledge
from reports.studies.market.evaluation import PanelRow, evaluate, orders, read_panel, references, sample
from reports.studies.market.learned import learned, staleness
from reports.studies.market.segments import KEPT, active, by_segment, exposure, membership
from simulator.blame import blamed
from simulator.current_truth import CurrentTruth
from simulator.experiment import Cell, RunDirectory, read_json, write_bytes, write_json
from simulator.feasible import check_worlds
from simulator.guard import GuardedRanker, GuardedRetriever
from simulator.keyed_random import subseed
from simulator.log import read_parquet, write_parquet
from simulator.marketplace import Day, Marketplace, learn_from_log, publishes
from simulator.plugins import Ranker, Retriever
from simulator.records import DAY, PAD, Impressions, Ledger, Requests, concatenate
from simulator.retrieval import OracleRetriever, PopularityRetriever, RandomRetriever
from simulator.scenario import Scenario
from simulator.world import World, build

BURN_IN, A_A = "burn-in", "a-a"
"""Names of the cells that are no arm's."""
STATE = "safetensors"
ARM_STATE = f"arm.{STATE}"
"""Files of weights, in the work of a cell."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell to compute, with all that the worker needs to know.

    Attributes:
        cell: which.
        scenario: the resolved configuration.
        root: the run directory.
        index: position of the cell in the progress file.
        keep_state: also save the arm's state, for the latency phase.
        full: also make the final evaluation (funnel, K sweep, recall, tau).
        with_references: also evaluate the reference retrievers.
        settings: hyper-parameters of the arm's towers, where they are not the defaults.
    """

    cell: Cell
    scenario: Scenario
    root: str
    identity: dict[str, Any]
    index: int
    keep_state: bool = False
    full: bool = True
    with_references: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def ticks(scenario: Scenario, cell: Cell) -> int:
    """Work of a cell in ticks, for the progress bar."""
    per_day = -(-DAY // scenario.cascade.tick)
    if cell.name == A_A:
        return 6 * per_day
    return (scenario.run.burn_in + (scenario.run.burn_in if cell.name == BURN_IN else cell.days)) * per_day


def compute(task: Task, cells: int) -> str:
    """Compute one cell with one thread and leave it in the run directory; returns its path."""
    progress = Progress(Path(task.root), cells, task.index)
    progress.reset()
    run = RunDirectory(Path(task.root), {"identity": task.identity})
    with one_thread():
        if task.cell.name == BURN_IN:
            _burn_in(task, run, progress.tick)
        elif task.cell.name == A_A:
            _same_twice(task, run, progress.tick)
        else:
            _arm(task, run, progress.tick)
    return str(task.cell.path)


# --- burn-in -----------------------------------------------------------------------------------------------------


def _burn_in(task: Task, run: RunDirectory, on_tick: Callable[[int], None]) -> None:
    s, seed = task.scenario, task.cell.world
    world = build(s.world, seed, s.all_days)
    logger = PopularityRetriever(world.catalog, seed, temperature=s.logging.temperature, pool=s.logging.pool)
    ranker = make_ranker(parse("popularity"), world.catalog, seed, {}, oldest_row=s.oldest_row)
    market = Marketplace(world, s.market, logger, ranker)
    days = [market.run_day(day, on_tick) for day in range(s.run.burn_in)]
    log = concatenate([d.log for d in days])
    # The evaluation ranker learns from the same log from another start, teaches nobody, and is frozen at the seam.
    evaluator = make_ranker(parse("popularity"), world.catalog, subseed(seed, "evaluator"), {}, oldest_row=s.oldest_row)
    for day in range(s.run.burn_in):
        learn_from_log(log, evaluator, s.cascade, day, on_tick)
    with run.keeping(task.cell) as work:
        save_state(work / f"ranker.{STATE}", _state(ranker))
        save_state(work / f"evaluator.{STATE}", _state(evaluator))
        save_array(work / "hidden.npy", log.hidden)
    with run.writing(task.cell) as out:
        write_parquet(_without_hidden(log), out / "log.parquet")
        write_json(out / "cell.json", {"world": seed, "days": [_day_facts(d, world) for d in days]})


def _state(model: Any) -> Any:
    return model.snapshot()


def _without_hidden(log: Impressions) -> Impressions:
    return replace(log, hidden=np.zeros((len(log), 0), dtype=np.float16))


def _day_facts(day: Day, world: World) -> dict[str, float]:
    """One day's account: sums that metrics are made of, and who got something out of it.

    Conversions are those of the day's clicks, whenever they happen; the keys are there if the world has any.
    """
    log, ledger, sold = day.log, day.ledger, day.conversions
    chance = ledger.examine_p.astype(np.float64) * ledger.true_ctr
    return {
        "requests": day.requests,
        "impressions": len(log),
        "clicks": int(ledger.click.sum()),
        "revenue": float(log.paid.sum()),
        "expected_revenue": float((chance * log.price).sum()),
        "welfare": float((chance * ledger.value).sum()),
        "surplus": float((chance * (ledger.value - log.price)).sum()),
        "bound_spend": day.bound_spend,
        "unpaid": day.unpaid,
        **active(log, ledger, world.demand),
        **({} if sold is None else {"conversions": sold.ad.size, "conversion_value": float(sold.value.sum())}),
    }


def burn_in_log(run: RunDirectory, world: int) -> Impressions:
    """The log of a world's burn-in with its hidden vectors, while its work files are there."""
    cell = Cell(world=world, name=BURN_IN)
    log: Impressions = read_parquet(Impressions, run.cell(cell) / "log.parquet")
    work = run.work(cell)
    return replace(log, label=log.label.copy(), hidden=load_array(work / "hidden.npy", work, rows=len(log)))


def _load_burn_in(run: RunDirectory, world: int) -> tuple[Impressions, Any, Any]:
    """The burn-in's log with its hidden vectors, the ranker's and the evaluation ranker's state."""
    work = run.work(Cell(world=world, name=BURN_IN))
    ranker, evaluator = (load_state(work / f"{n}.{STATE}", work) for n in ("ranker", "evaluator"))
    return burn_in_log(run, world), ranker, evaluator


def _same_twice(task: Task, run: RunDirectory, on_tick: Callable[[int], None]) -> None:
    """A/A: the control twice, in a tiny copy of the scenario, two arms with a market each. Any difference is a bug."""
    tiny = tiny_copy(task.scenario)
    with tempfile.TemporaryDirectory(dir=run.work(task.cell)) as scratch:
        part = replace(task, scenario=tiny, root=scratch, identity={"a-a": 1})
        pair = RunDirectory(Path(scratch), {"identity": part.identity})
        _burn_in(replace(part, cell=Cell(world=task.cell.world, name=BURN_IN)), pair, on_tick)
        facts = []
        for variant in ("a", "b"):
            cell = Cell(world=task.cell.world, name=task.cell.variant, days=tiny.run.days, variant=variant)
            _arm(replace(part, cell=cell), pair, on_tick)
            facts.append(read_json(pair.cell(cell) / "cell.json"))
    with run.writing(task.cell) as out:
        write_json(out / "cell.json", {"equal": facts[0] == facts[1], "revenue": [_revenue(f) for f in facts]})


def _revenue(facts: dict[str, Any]) -> float:
    return float(sum(day["revenue"] for day in facts["days"]))


def tiny_copy(s: Scenario) -> Scenario:
    """The scenario cut down to seconds, for the A/A light; no further than something can still be sold in it."""
    ads = min(s.world.ads, 100)
    short = s.model_copy(
        update={
            "traffic": s.traffic.model_copy(update={"requests_per_day": min(s.traffic.requests_per_day, 1000)}),
            "cascade": s.cascade.model_copy(update={"candidates": max(1, min(s.cascade.candidates, ads // 4))}),
            "run": s.run.model_copy(update={"burn_in": 1, "days": 1, "panel": 20, "evaluation": 20, "tau": 10}),
        }
    )
    few = s.world.model_copy(update={"users": min(s.world.users, 300), "ads": ads})
    cuts = (short.model_copy(update={"world": few}), short, s)
    return next((one for one in cuts if _sells(one)), s)


def _sells(s: Scenario) -> bool:
    """Whether the first world is there from its first day, and somebody in it can buy a click."""
    try:
        check_worlds(s, [s.run.seed])
    except ValueError:
        return False
    return True


# --- arms --------------------------------------------------------------------------------------------------------


def _arm(task: Task, run: RunDirectory, on_tick: Callable[[int], None]) -> None:
    s, seed = task.scenario, task.cell.world
    spelling = parse(task.cell.name)
    world = build(s.world, seed, s.all_days)
    log, ranker_state, evaluator_state = _load_burn_in(run, seed)
    market, burn_log = _opened(task, spelling, world, log, ranker_state)
    retriever, ranker = market.retriever, market.ranker
    evaluator = None
    if task.full:
        frozen = make_ranker(
            parse("popularity"), world.catalog, subseed(seed, "evaluator"), {}, oldest_row=s.oldest_row
        )
        frozen.restore(evaluator_state)  # type: ignore[attr-defined]
        evaluator = orders(s, world, frozen)
    panel: list[PanelRow] = []
    tau: list[float] = []

    def at_night(day: int) -> None:
        asked = sample(world, day, s.run.panel, "panel")
        panel.append(read_panel(retriever, asked, s.cascade.candidates, world))
        if evaluator is not None:
            tau.append(evaluator.tau(retriever))

    # 1. Learn the burn-in's log in event order, reading the panel every night.
    for day in range(s.run.burn_in):
        learn_from_log(burn_log, retriever, s.cascade, day, on_tick)
        at_night(day)
    # 2. The arms part: serve, log and learn alone.
    days: list[Day] = []
    for day in range(s.run.burn_in, s.run.burn_in + task.cell.days):
        days.append(market.run_day(day, on_tick))
        at_night(day)
    # 3. Measure.
    log, ledger = concatenate([d.log for d in days]), concatenate([d.ledger for d in days])
    facts = _account(task, world, burn_log, days, log, ledger)
    facts["panel"] = {"recall": [p.recall for p in panel], "logloss": [p.logloss for p in panel], "tau": tau}
    facts |= {"cost": _cost(retriever), "ranker_calls": int(getattr(retriever, "ranker_calls", 0))}
    facts["knowledge"] = knowledge(s, world, concatenate([burn_log, log]), retriever, ranker)
    if evaluator is not None:
        facts |= evaluate(s, world, retriever, ranker, evaluator)
    if task.with_references:
        facts["references"] = _references(s, world, burn_log, log, retriever, ranker, spelling)
    # 4. Keep.
    if task.keep_state and all(hasattr(model, "snapshot") for model in (retriever, ranker)):
        state = {"retriever": _state(retriever), "ranker": _state(ranker)}
        with blamed(f"arm '{spelling.name}' at time {(s.run.burn_in + task.cell.days) * DAY}: saving its snapshot"):
            content = packed(state)
        with run.keeping(task.cell) as work:
            write_bytes(work / ARM_STATE, content)
    with run.writing(task.cell) as out:
        write_parquet(_without_hidden(log), out / "log.parquet")
        write_parquet(ledger, out / "ledger.parquet")
        write_json(out / "cell.json", facts)


def _opened(
    task: Task, spelling: Spelling, world: World, burn_log: Impressions, ranker_state: Any
) -> tuple[Marketplace, Impressions]:
    """The arm's market as it stands at the seam, and the burn-in's log as its ranker would have written it."""
    s, seed, name = task.scenario, task.cell.world, f"arm '{spelling.name}'"
    with blamed(f"{name} at time 0: its ranker's factory"):
        made = make_ranker(spelling, world.catalog, seed, {}, oldest_row=s.oldest_row)
        ranker = GuardedRanker(f"{name}, ranker", made)
    if spelling.ranker == DEFAULT_RANKER:
        ranker.restore(ranker_state)
    else:
        burn_log = backfill(burn_log, ranker, s)
    truth = CurrentTruth(world, s.market.feedback)
    with blamed(f"{name} at time 0: its factory"):
        retriever = GuardedRetriever(f"{name}, retriever", _retriever(task, spelling, world, truth))
    waiting = burn_log[burn_log.ready_at > s.run.burn_in * DAY]
    return Marketplace(world, s.market, retriever, ranker, truth=truth, waiting=waiting, shown=burn_log), burn_log


def _account(
    task: Task, world: World, burn_log: Impressions, days: list[Day], log: Impressions, ledger: Ledger
) -> dict[str, Any]:
    """What the test's log and ledger say of an arm: money by day and by segment, exposure, predictions, staleness."""
    s = task.scenario
    sold = [d.conversions for d in days if d.conversions is not None]
    since, until = s.run.burn_in * DAY, (s.run.burn_in + task.cell.days) * DAY
    members = membership(burn_log, world, since)
    by = by_segment(members, log, ledger, concatenate(sold) if sold else None, world)
    return {
        "world": task.cell.world,
        "arm": task.cell.name,
        "days": [_day_facts(d, world) for d in days],
        "segments": {name: by[name]["expected_revenue"] for name in KEPT},
        "by_segment": by,
        "exposure": exposure(log, ledger, world.demand, since, until),
        "retriever": _prediction(1 / (1 + np.exp(-log.logit.astype(np.float64))), log, ledger),
        "ranker": _prediction(log.pctr.astype(np.float64), log, ledger),
        "staleness": staleness(burn_log, log, s.cascade),
        "learned": learned(burn_log, log, s.cascade, since, until),
    }


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


def _retriever(task: Task, spelling: Spelling, world: World, truth: CurrentTruth) -> Retriever:
    if spelling.backbone == ORACLE:
        return OracleRetriever(truth.everything)
    return make_retriever(
        spelling, world.catalog, task.cell.world, task.settings, {}, oldest_row=task.scenario.oldest_row
    )


def _cost(retriever: Any) -> dict[str, int] | None:
    cost = getattr(retriever, "cost", None)
    return dict(cost()._asdict()) if callable(cost) else None


def _prediction(p: Any, log: Impressions, ledger: Ledger) -> dict[str, Any] | None:
    """AUC, log loss, calibration on the matured slot-0 rows that retrieval chose (predictions are for slot 0)."""
    rows = (log.slot == 0) & np.isfinite(p) & ~log.explored
    if not rows.any():
        return None
    q, y = p[rows], log.label[rows]
    curve = reliability(q, y, true_p=(ledger.examine_p * ledger.true_ctr)[rows])
    return {
        "auc": float(auc(q, y)),
        "logloss": float(logloss(q, y)),
        "pcoc": float(pcoc(q, y)),
        "n": int(rows.sum()),
        "reliability": {k: getattr(curve, k) for k in ("p", "y", "lo", "hi", "n", "true")},
    }


def _references(
    s: Scenario,
    world: World,
    burn: Impressions,
    log: Impressions,
    retriever: Retriever,
    ranker: Ranker,
    spelling: Spelling,
) -> dict[str, dict[str, float]]:
    """The reference retrievers beside the arm's own, in front of the arm's ranker."""
    popularity = PopularityRetriever(world.catalog, world.seed)
    for rows in (burn, log):
        popularity.update(rows)
    popularity.sync(0)
    oracle = OracleRetriever(world.truth.everything)
    known: dict[str, Retriever] = {
        "random": RandomRetriever(world.catalog, world.seed),
        "popularity": popularity,
        spelling.name: retriever,
        "oracle": oracle,
    }
    return references(s, world, ranker, known)


__all__ = ["PAD", "Task", "backfill", "compute", "ticks"]
