"""What one worker computes: the burn-in of a world, or one arm's market in it. One thread each; results on disk.

What passes from the one to the other (the burn-in's log, the state of the logging ranker) is what ``stage`` needs.
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
from reports.studies.arms import Spelling, parse
from reports.studies.machine.states import load_array, load_state, packed, save_array, save_state
from reports.studies.machine.workers import Progress, one_thread
from reports.studies.market.ceilings import knowledge
from reports.studies.market.evaluation import PanelRow, evaluate, orders, read_panel, references, sample
from reports.studies.market.learned import learned, staleness
from reports.studies.market.segments import KEPT, active, by_segment, exposure, membership
from reports.studies.market.stage import Stage, burnt_in, logging_ranker
from simulator.blame import blamed
from simulator.experiment import Cell, RunDirectory, read_json, write_bytes, write_json
from simulator.feasible import check_worlds
from simulator.keyed_random import subseed
from simulator.log import read_parquet, write_parquet
from simulator.marketplace import Day, learn_from_log
from simulator.plugins import Ranker, Retriever
from simulator.records import DAY, PAD, Impressions, Ledger, concatenate
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
    ranker = logging_ranker(s, world)
    days = burnt_in(s, world, ranker, on_tick)
    log = concatenate([d.log for d in days])
    # The evaluation ranker learns from the same log from another start, teaches nobody, and is frozen at the seam.
    evaluator = logging_ranker(s, world, subseed(seed, "evaluator"))
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


def _kept(run: RunDirectory, world: int, model: str) -> Any:
    """State at the seam of the ``ranker`` or of the ``evaluator``."""
    work = run.work(Cell(world=world, name=BURN_IN))
    return load_state(work / f"{model}.{STATE}", work)


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
    market, burn_log = _stage(task, run).opened(task.cell.name)
    world, retriever, ranker = market.world, market.retriever, market.ranker
    evaluator = None
    if task.full:
        frozen = logging_ranker(s, world, subseed(seed, "evaluator"))
        frozen.restore(_kept(run, seed, "evaluator"))
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


def _stage(task: Task, run: RunDirectory) -> Stage:
    """The world at the seam, as its burn-in's cell left it."""
    s, seed = task.scenario, task.cell.world
    world, log = build(s.world, seed, s.all_days), burn_in_log(run, seed)
    return Stage(s, world, log, lambda: _kept(run, seed, "ranker"), {task.cell.name: task.settings})


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


__all__ = ["PAD", "Task", "compute", "ticks"]
