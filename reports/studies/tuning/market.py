"""Question: what are each rival's best settings in a market, when every one gets the same space and the same budget?

``cs3bench tune --scenario NAME`` makes one burn-in log in a world that no report uses, replays it once per point of a
search (``search``) for each arm apart, and scores a point by what its published state finds: recall@K of the nightly
panel against the true eCPM order, mean over the last nights. The truth chooses settings here, in a world of its own; it
reaches no model. The winners go to a file that ``cs3bench arena`` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from reports.studies import arms
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.states import load_array
from reports.studies.machine.workers import Progress, compute_all, one_thread
from reports.studies.market.evaluation import read_panel, sample
from reports.studies.tuning.offline import described, write_tuned
from reports.studies.tuning.search import Point, Space, search
from reports.studies.tuning.settings import NIGHTS, burn_in_log
from simulator import feasible
from simulator.config import MOST_SEED, Section
from simulator.experiment import Cell, RunDirectory, read_json, write_json
from simulator.log import read_parquet, write_parquet
from simulator.marketplace import learn_from_log
from simulator.records import DAY, Impressions
from simulator.scenario import Scenario
from simulator.seal import read_point, write_point
from simulator.world import build

SPACE = Space(
    ladders={
        "lr": (1.5e-5, 3e-5, 6e-5, 1.2e-4, 2.5e-4, 5e-4, 1e-3, 2e-3),
        "table_lr": (0.03, 0.1, 0.3, 1.0, 3.0),
        "hidden": ((64, 32), (128, 64), (256, 128), (512, 256), (1024, 512)),
        "l2": (0.0, 1e-6, 1e-5, 1e-4, 1e-3),
    },
    start={"lr": 1.2e-4, "table_lr": 0.3, "hidden": (256, 128), "l2": 1e-5},
    natural=("l2",),
)
"""Around the towers' defaults, which an earlier grid chose on the same world (docs/tuning.md)."""
RIVALS = (
    "dssm-bare", "dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cs3", "dat", "dat+cs3", "inttower", "inttower+cs3",
    "hit", "hit+cs3", "seqtower", "seqtower+cs3", "maxsim", "maxsim+cs3", "dssm+kd", "dssm+listkl", "dssm+cit",
    "dssm+kd+cs3",
)  # fmt: skip
"""Every rival that learns and is no control."""
LOG = "log"
"""Name of the cell that holds the burn-in log."""


class MarketTuneConfig(Section):
    """What is tuned.

    Attributes:
        scenario: the resolved scenario; its burn-in's first ``days`` days are replayed.
        models: arms by spelling.
        budget: points per arm.
        seed: of the tuning world and its models; no report uses it.
        days: of the burn-in.
    """

    scenario: Scenario
    models: tuple[str, ...] = Field(default=RIVALS, min_length=1)
    budget: int = Field(default=8, ge=1)
    seed: int = Field(default=902, ge=0, le=MOST_SEED)
    days: int = Field(default=5, ge=1)

    @property
    def shortened(self) -> Scenario:
        """The scenario with the burn-in that is replayed."""
        run = self.scenario.run.model_copy(update={"burn_in": self.days})
        return self.scenario.model_copy(update={"run": run})


@dataclass(frozen=True, kw_only=True)
class Task:
    """The log, or one arm's search.

    Attributes:
        cell: which; its name is ``LOG`` or an arm.
        config: the run's.
        root: the run directory.
        identity: what the run is.
        index: position of the cell in the progress file.
    """

    cell: Cell
    config: MarketTuneConfig
    root: str
    identity: dict[str, Any]
    index: int


def run(
    config: MarketTuneConfig, out: Path, *, jobs: int = 1, quiet: bool = False, command: str = ""
) -> dict[str, Any]:
    """Search for every arm, or for those that are left, and write ``tuning.json`` and ``tuned.toml``.

    Args:
        config: what to tune.
        out: the run directory.
        jobs: worker processes.
        quiet: no progress bar.
        command: what was typed, for the record.

    Returns:
        The dict of ``tuning.json``.

    Raises:
        ValueError: for an unknown arm, or a ranker other than the burn-in's: its log holds one ranker's columns.
    """
    if len(set(config.models)) < len(config.models):
        raise ValueError(f"models == {list(config.models)}, must name each once")
    for model in config.models:
        if arms.parse(model).backbone == arms.ORACLE:
            raise ValueError(f"model == '{model}', must have settings to search: the oracle has none")
        if arms.parse(model).ranker != arms.DEFAULT_RANKER:
            raise ValueError(f"model == '{model}', must be an arm on the burn-in's ranker, {arms.DEFAULT_RANKER}")
    feasible.check(config.shortened)
    feasible.check_worlds(config.shortened, [config.seed])
    identity = {"kind": "market-tune", "config": config.model_dump(mode="json"), **made_by()}
    log = Cell(world=config.seed, name=LOG)
    every = [log, *(Cell(world=config.seed, name=model) for model in config.models)]
    written = manifest(identity, command=command, seeds=[config.seed], cells=len(every), arms=config.models)

    def answer(directory: RunDirectory) -> Answer:
        missing = directory.missing(every)
        per_day = -(-DAY // config.scenario.cascade.tick)

        def split(waiting: Sequence[Cell], running: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
            """All wait for the log."""
            ready = [cell for cell in waiting if cell == log or log not in running]
            return ready, [cell for cell in waiting if cell not in ready]

        compute_all(
            directory,
            {
                cell: (Task(cell=cell, config=config, root=str(out), identity=identity, index=i), len(every))
                for i, cell in enumerate(every)
                if cell in missing
            },
            compute,
            cells=len(every),
            ticks=sum(config.days * per_day * (1 if cell == log else config.budget) for cell in missing),
            jobs=jobs,
            label="tuning",
            quiet=quiet,
            split=split,
        )
        found = {cell.name: read_json(directory.cell(cell) / "cell.json") for cell in every[1:]}
        results = {
            "schema": 1,
            "kind": "market-tune",
            "scenario": config.scenario.name,
            "budget": config.budget,
            "days": config.days,
            "k": config.scenario.cascade.candidates,
            "models": found,
        }
        return Answer(results)

    return run_or_resume(out, written, answer, file="tuning.json", after=lambda results: write_tuned(results, out))


def compute(task: Task, cells: int) -> None:
    """The log, or one arm's search. Every point is kept, so that an interrupted search goes on where it was."""
    progress = Progress(Path(task.root), cells, task.index)
    progress.reset()
    directory = RunDirectory(Path(task.root), {"identity": task.identity})
    with one_thread():
        if task.cell.name == LOG:
            _write_log(task, directory)
            return
        points = Path(task.root) / "points" / task.cell.path
        points.mkdir(parents=True, exist_ok=True)

        def score(point: Point) -> float:
            path = points / f"{'-'.join(map(str, point))}.json"
            if not path.exists():
                write_point(path, {"recall": evaluate(task, SPACE.values(point), progress)})
            found = read_point(path)["recall"]
            return float("nan") if found is None else float(found)

        found = search(SPACE, score, task.config.budget)
        with directory.writing(task.cell) as out:
            write_json(out / "cell.json", described(SPACE, found, "recall"))


def _write_log(task: Task, directory: RunDirectory) -> None:
    scenario = task.config.shortened
    log = burn_in_log(scenario, build(scenario.world, task.cell.world, scenario.all_days))
    with directory.writing(task.cell) as out:
        write_parquet(replace(log, hidden=np.zeros((len(log), 0), dtype=np.float16)), out / "log.parquet")
        np.save(out / "hidden.npy", log.hidden)
        write_json(out / "cell.json", {"rows": len(log)})


def evaluate(task: Task, params: dict[str, Any], progress: Progress) -> float:
    """Recall@K of one point, mean over the last nights."""
    scenario, seed = task.config.shortened, task.cell.world
    at = RunDirectory(Path(task.root), {"identity": task.identity}).cell(Cell(world=seed, name=LOG))
    log: Impressions = read_parquet(Impressions, at / "log.parquet")
    log = replace(log, label=log.label.copy(), hidden=load_array(at / "hidden.npy", at, rows=len(log)))
    world = build(scenario.world, seed, scenario.all_days)
    retriever = arms.make_retriever(
        arms.parse(task.cell.name), world.catalog, seed, params, {}, oldest_row=scenario.oldest_row
    )
    recall = []
    for day in range(task.config.days):
        learn_from_log(log, retriever, scenario.cascade, day, progress.tick)
        if day >= task.config.days - NIGHTS:
            panel = sample(world, day, scenario.run.panel, "panel")
            recall.append(read_panel(retriever, panel, scenario.cascade.candidates, world).recall)
    return float(np.mean(recall))
