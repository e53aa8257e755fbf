"""Question: what are each model's best settings, when every model gets the same space and the same budget?

``cs3bench tune`` replays the days of a log before its test days once per point of a search (``search``), for each model
apart, and scores a point by its AUC on the last of those days. The winners go to a file that ``cs3bench offline``
reads. The rankers come first: the towers that learn from a ranker are tuned on the log of the tuned one. In a second
round every tower tries the winners of all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from reports.drawing.tables import table
from reports.numbers.discrimination import auc
from reports.studies import arms
from reports.studies.arm_settings import check_settings, strangers
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.states import load_arrays
from reports.studies.machine.workers import Progress, compute_all, one_thread
from reports.studies.offline.fields import LabelWait, Seed, Sync, check_both_classes, check_learned, once
from reports.studies.offline.files import refuse_changed
from reports.studies.offline.replay import DivergedError, replay_ranker, replay_retriever, steps
from reports.studies.offline.study import OfflineConfig, read, read_with_files
from reports.studies.tuning.search import Found, Point, Space, search
from simulator.config import Section
from simulator.experiment import Cell, RunDirectory, plain, read_json, write_bytes, write_json
from simulator.plugins import RANKERS, RETRIEVERS, make
from simulator.records import Impressions
from simulator.seal import read_point, write_point

TOWER_SPACE = Space(
    ladders={
        "lr": (1.5625e-5, 3.125e-5, 6.25e-5, 1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3),
        "table_lr": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        "hidden": ((32, 16), (64, 32), (128, 64), (256, 128), (512, 256), (1024, 512)),
        "dropout": (0.0, 0.1, 0.2, 0.3, 0.5),
        "l2": (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    },
    start={"lr": 1e-3, "table_lr": 0.03, "hidden": (256, 128), "dropout": 0.0, "l2": 1e-5},
    natural=("dropout", "l2"),
)
RANKER_SPACE = Space(
    ladders=dict(TOWER_SPACE.ladders)
    | {"hidden": ((32, 16, 64), (64, 32, 64), (128, 64, 64), (256, 128, 64), (512, 256, 64), (1024, 512, 64))},
    start=dict(TOWER_SPACE.start) | {"hidden": (256, 128, 64)},
    natural=TOWER_SPACE.natural,
)
"""The same ladders; the last width is that of h_uv, which every ranker has in common."""
MODELS = (
    "@dnn", "dssm-bare", "dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cas+cts", "dssm+cas+cms", "dssm+cts+cms",
    "dssm+cs3", "dssm-bare+cs3", "dssm-wide", "dat",
)  # fmt: skip
"""Rankers are spelled ``@name``."""
MOST_POINTS = 10_000
"""Points of a search: there are not many more on the ladders."""
TRADED = "traded"
"""Variant of the cells of the second round."""


class TuneConfig(Section):
    """What is tuned.

    Attributes:
        data: name of a reader.
        path: folder of the log.
        models: arms, and rankers spelled ``@name``.
        budget: points per model.
        seed: of the models; no report uses it.
        days: the last days before the test, on which points are scored.
        label_wait: seconds from an impression to its label.
        sync: seconds between publications.
        retriever: what is the same for all towers and not searched: plain BCE here, see ``OfflineConfig``.
    """

    data: str = "kuairand"
    path: str
    models: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(once)] = MODELS
    budget: int = Field(default=20, ge=1, le=MOST_POINTS)
    seed: Seed = 101
    days: int = Field(default=4, ge=1)
    label_wait: LabelWait = 1800
    sync: Sync = 1800
    retriever: dict[str, Any] = Field(default_factory=lambda: {"softmax": 0.0})

    def offline(self) -> OfflineConfig:
        """The same log as the offline study reads."""
        return OfflineConfig(data=self.data, path=self.path, label_wait=self.label_wait, sync=self.sync)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One model's search.

    Attributes:
        cell: the seed and the model.
        config: the run's.
        root: the run directory.
        identity: what the run is.
        index: position of the cell in the progress file.
    """

    cell: Cell
    config: TuneConfig
    root: str
    identity: dict[str, Any]
    index: int


def run(config: TuneConfig, out: Path, *, jobs: int = 1, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Search for every model, or for those that are left, and write ``tuning.json`` and ``tuned.toml``.

    Args:
        config: what to tune.
        out: the run directory.
        jobs: worker processes.
        quiet: no progress bar.
        command: what was typed, for the record.

    Returns:
        The dict of ``tuning.json``.

    Raises:
        ValueError: for an unknown reader or model, or a log that cannot be read.
    """
    check(config)
    identity = {"kind": "tune", "config": config.model_dump(mode="json", exclude={"path"}), **made_by()}
    made: dict[str, Any] = {
        "cells": 2 * len(config.models),
        "arms": config.models,
        "reader": config.data,
        "data": read_with_files(config.offline()).told(),
    }

    def answer(run: RunDirectory) -> Answer:
        cells = [Cell(world=config.seed, name=model) for model in config.models]
        periods = sum(1 for _ in steps(fit_rows(config)[0], config.sync))
        traded = [replace(cell, variant=TRADED) for cell in cells]
        every = [*cells, *traded]
        missing = run.missing(every)
        towers = [cell for cell in cells if not cell.name.startswith("@")]

        def split(waiting: Sequence[Cell], running: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
            """A tower that learns from a ranker waits for the ranker; nobody trades before everybody has searched."""
            ready = [cell for cell in waiting if not set(_before(cell, cells)) & set(running)]
            return ready, [cell for cell in waiting if cell not in ready]

        points = config.budget * len(cells) + len(towers) ** 2
        compute_all(
            run,
            {
                cell: (Task(cell=cell, config=config, root=str(run.root), identity=identity, index=i), len(every))
                for i, cell in enumerate(every)
                if cell in missing
            },
            compute,
            cells=len(every),
            ticks=periods * points * len(missing) // len(every),
            jobs=jobs,
            label="tuning",
            quiet=quiet,
            split=split,
        )
        found = {cell.name: read_json(run.cell(cell) / "cell.json") for cell in traded}
        results = {"schema": 1, "kind": "tune", "data": config.data, "budget": config.budget, "models": found}
        return Answer(results)

    written = manifest(identity, command=command, seeds=[config.seed], **made)
    return run_or_resume(out, written, answer, file="tuning.json", after=lambda results: write_tuned(results, out))


def write_tuned(results: Mapping[str, Any], out: Path) -> None:
    """Write the winners of a search, ``tuned.toml``."""
    best = {model: one["best"] for model, one in results["models"].items()}
    write_bytes(out / "tuned.toml", spelled(best).encode())


def check(config: TuneConfig) -> None:
    """Refuse a search that cannot be run, before its first point.

    Raises:
        ValueError: for an unknown model, one that a search moves nothing in, or rows that no point can be scored on.
    """
    for model in config.models:
        spelling = arms.parse(f"dssm{model}" if model.startswith("@") else model)
        backbone = spelling.backbone
        if backbone == arms.ORACLE or not arms.takes_extras(make(backbone, RETRIEVERS)):
            raise ValueError(f"model == '{model}', must be a tower or a ranker: {backbone} has no settings to search")
        if (needed := ranker_of(model)) and needed not in config.models:
            raise ValueError(f"models == {list(config.models)}, must hold '{needed}' for {model}")
        _check_searched(model, spelling, config)
    rows, scored = fit_rows(config)
    check_both_classes(rows.label[scored], f"the last {config.days} days before the test")
    check_learned(rows, config.label_wait, config.sync, int(np.flatnonzero(scored)[-1]))


def _check_searched(model: str, spelling: arms.Spelling, config: TuneConfig) -> None:
    """Refuse a model that does not take what is searched or what is the same for all."""
    start = dict(space_of(model).start)
    if model.startswith("@"):
        name = spelling.learned.name
        check_settings(name, make(name, RANKERS), start)
    else:
        check_settings(spelling.backbone, make(spelling.backbone, RETRIEVERS), start | config.retriever)


def _before(cell: Cell, searches: Sequence[Cell]) -> list[Cell]:
    """The cells that a cell reads."""
    if cell.variant == TRADED:
        alike = cell.name.startswith("@")
        return [one for one in searches if one.name.startswith("@") == alike]
    return [one for one in searches if one.name == ranker_of(cell.name)]


def ranker_of(model: str) -> str | None:
    """The ranker whose predictions or hidden vectors a model reads, spelled ``@name``; None if it reads none."""
    if model.startswith("@"):
        return None
    spelling = arms.parse(model)
    return f"@{spelling.ranker}" if arms.OF_THE_RANKER & set(spelling.modifiers) else None


def fit_rows(config: TuneConfig) -> tuple[Impressions, Any]:
    """The rows before the test days, and which of them are scored: bool [n]."""
    data = read(config.offline())
    before = ~data.test
    dates = data.date[before]
    return data.impressions[before], np.isin(dates, np.unique(dates)[-config.days :])


def compute(task: Task, cells: int) -> None:
    """One model's search, or its trade. Every point is kept, so that an interrupted search goes on where it was."""
    progress = Progress(Path(task.root), cells, task.index)
    progress.reset()
    run = RunDirectory(Path(task.root), {"identity": task.identity})
    refuse_changed(read_with_files(task.config.offline()), run.root)
    space = space_of(task.cell.name)
    points = Path(task.root) / "points" / replace(task.cell, variant="").path
    points.mkdir(parents=True, exist_ok=True)

    def score(point: Point) -> float:
        path = points / f"{'-'.join(map(str, point))}.json"
        if not path.exists():
            with one_thread(), strangers(task.cell.name):
                write_point(path, {"auc": evaluate(task, space.values(point), progress)})
        return number(read_point(path)["auc"])

    found = _traded(task, run, space, score) if task.cell.variant else search(space, score, task.config.budget)
    with run.writing(task.cell) as out:
        if task.cell.name.startswith("@") and not task.cell.variant:
            with one_thread(), strangers(task.cell.name):
                log = ranked(task.config, task.cell.name[1:], space.values(found.best), progress)
            np.savez(out / "log.npz", pctr=log.pctr, hidden=log.hidden)
        write_json(out / "cell.json", described(space, found))


def space_of(model: str) -> Space:
    """The ladders of a model."""
    return RANKER_SPACE if model.startswith("@") else TOWER_SPACE


def _traded(task: Task, run: RunDirectory, space: Space, score: Callable[[Point], float]) -> Found:
    """What a search found, and the winners of all other towers' searches tried too.

    A coordinate search may end beside a better hill that another model's search came upon; with the winners traded no
    model is worse off for the path that its own search took. Rankers do not trade: towers learn from the one found.
    """
    cells = [Cell(world=task.cell.world, name=model) for model in task.config.models]
    mine = read_json(run.cell(replace(task.cell, variant="")) / "cell.json")
    tried = {space.point(one): number(one["auc"]) for one in mine["tried"]}
    if not task.cell.name.startswith("@"):
        for cell in _before(task.cell, cells):
            won = space.point(read_json(run.cell(cell) / "cell.json")["best"])
            if won not in tried:
                tried[won] = score(won)
    return Found.of(space, tried)


def number(kept: float | None) -> float:
    """A score as it was kept in JSON, which knows no infinity: the worst one for a point that has none."""
    return -np.inf if kept is None else kept


def evaluate(task: Task, params: Mapping[str, Any], progress: Progress) -> float:
    """AUC of one point on the scored days; NaN where its training diverges."""
    try:
        return _auc(task, params, progress)
    except DivergedError:
        return np.nan


def _auc(task: Task, params: Mapping[str, Any], progress: Progress) -> float:
    config, name = task.config, task.cell.name
    rows, scored = fit_rows(config)
    if name.startswith("@"):
        logit: Any = ranked(config, name[1:], params, progress).pctr
    else:
        spelling = arms.parse(name)
        if ranker_of(name):
            rows = of_tuned_ranker(task, rows, spelling.ranker)
        horizon = {"horizon": config.label_wait + 2 * config.sync}
        catalog = read(config.offline()).catalog
        given = horizon | config.retriever | dict(params)
        retriever = arms.make_retriever(spelling, catalog, config.seed, given, horizon)
        logit = replay_retriever(rows, retriever, sync=config.sync, on_step=progress.tick)
    return float(auc(logit[scored], rows.label[scored]))


def ranked(config: TuneConfig, name: str, params: Mapping[str, Any], progress: Progress) -> Impressions:
    """The rows before the test as a ranker left them."""
    horizon = {"horizon": config.label_wait + 2 * config.sync}
    catalog = read(config.offline()).catalog
    ranker = arms.make_ranker(arms.parse(f"dssm@{name}"), catalog, config.seed, horizon | dict(params))
    return replay_ranker(fit_rows(config)[0], ranker, sync=config.sync, on_step=progress.tick)


def of_tuned_ranker(task: Task, rows: Impressions, ranker: str) -> Impressions:
    """The rows with what the tuned ranker wrote on them."""
    path = RunDirectory(Path(task.root), {"identity": task.identity}).cell(
        Cell(world=task.cell.world, name=f"@{ranker}")
    )
    kept = load_arrays(path / "log.npz", path)
    return replace(rows, pctr=kept["pctr"], hidden=kept["hidden"])


def described(space: Space, found: Found, measure: str = "auc") -> dict[str, Any]:
    """A search as plain values; ``measure`` names the score."""
    described: dict[str, Any] = plain(
        {
            "best": space.values(found.best),
            measure: found.tried[found.best],
            "surrounded": found.surrounded,
            "on_boundary": space.on_boundary(found.best),
            "tried": [space.values(point) | {measure: score} for point, score in found.tried.items()],
        }
    )
    return described


def spelled(best: Mapping[str, Mapping[str, Any]]) -> str:
    """Winners as TOML, a table per model."""
    tables = []
    for model, params in best.items():
        lines = [f'["{model}"]', *(f"{name} = {_toml(value)}" for name, value in params.items())]
        tables.append("\n".join(lines))
    return "\n\n".join(tables) + "\n"


def _toml(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else repr(value)


def lines(results: Mapping[str, Any], measure: str = "auc", label: str = "AUC") -> list[str]:
    """The winners as the lines of a Markdown table; ``measure`` is the score's key, ``label`` its heading."""
    models = results["models"]
    names = list(next(iter(models.values()))["best"])
    rows = []
    for model, one in models.items():
        values = [_toml(one["best"][name]) for name in names]
        ends = ", ".join(one["on_boundary"]) or "no"
        around = "yes" if one["surrounded"] else "no"
        best = "n/a" if one[measure] is None else f"{one[measure]:.4f}"
        rows.append([f"`{model}`", best, str(len(one["tried"])), *values, around, ends])
    return table("", ("model", label, "points", *names, "neighbours all tried", "at an end"), rows).markdown()
