"""Question: on a real log, does a tower with CS3 predict clicks better than the same tower without, and why?

``cs3bench offline`` replays the log once per seed, test-then-train (``replay``), with every arm on the same rows.
Beside the eight cells of CAS x CTS x CMS stand the rankers, which the towers learn from, the smoothed averages, which
they must beat, and the controls that tell whether a gain is CS3's: towers without counters, DAT, shuffled vectors, an
untrained ranker, a wider tower. Each arm is scored in two modes: *prequential*, its state moves on through the test
days, and *frozen*, its state stops before them. Every model has the settings that the same search found for it
(``tune``).

A cell is one seed and one model; it leaves the scores of every row, and a run that was interrupted goes on from the
cells that it finds. Results are the same for any number of workers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reports.studies import arms
from reports.studies.arm_settings import strangers
from reports.studies.machine.manifests import made_by, manifest
from reports.studies.machine.runner import Answer, run_or_resume
from reports.studies.machine.states import fitting, load_array, load_arrays
from reports.studies.machine.workers import Progress, compute_all, one_thread
from reports.studies.offline.fields import LabelWait, Seeds, Sync, check_learned
from reports.studies.offline.files import ReadLog, read_once, refuse_changed
from reports.studies.offline.models import (
    check_scores,
    check_settings,
    horizon,
    make_arm,
    models_of,
    settings,
    takes_settings,
)
from reports.studies.offline.probes import (
    SCALES,
    Panel,
    draw_panel,
    frozen_logits,
    frozen_scores,
    logit_of,
    noise_curve,
    tau,
)
from reports.studies.offline.replay import OnStep, Probe, replay_ranker, replay_retriever, steps
from reports.studies.offline.results import assemble
from reports.studies.offline.scored import Scored
from simulator.config import Section
from simulator.datasets.log import RealLog
from simulator.experiment import Cell, RunDirectory, digest, read_json, write_json
from simulator.files import DamagedError
from simulator.plugins import RANKERS, make
from simulator.records import Impressions

ARMS = (
    "dssm-bare", "dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cas+cts", "dssm+cas+cms", "dssm+cts+cms", "dssm+cs3",
    "dssm-bare+cs3", "dssm-wide", "dat", "dssm+cts+shuffled", "dssm+cms+shuffled", "dssm+cms@dnn-untrained",
)  # fmt: skip
NOISE_ARMS = ("dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cs3", "dat")
Array = npt.NDArray[Any]


class OfflineConfig(Section):
    """What is replayed and how.

    Attributes:
        data: name of a reader.
        path: folder of the log.
        arms: spellings of the arms.
        rankers: rankers that stand above as a reference, besides those that an arm learns from.
        seeds: of the models' initialisation and negatives, a replay each; below 11 and from 101 on they chose settings.
        label_wait: seconds from an impression to its label.
        sync: seconds between publications.
        tuned: take each model's own settings from the file of this log's search; ``FALLBACK`` where it has none.
        retriever: hyper-parameters that overrule the towers' settings.
        modifiers: hyper-parameters of the modifiers.
        ranker: hyper-parameters that overrule the rankers' settings.
        noise: standard deviations of the noise curve; () for none.
        noise_arms: arms that get one.
        panel: requests of the test days on which the order of candidates is compared; 0 for none.
    """

    data: str = "kuairand"
    path: str
    arms: tuple[str, ...] = Field(default=ARMS, min_length=1)
    rankers: tuple[str, ...] = ()
    seeds: Seeds = (11, 12, 13, 14, 15)
    label_wait: LabelWait = 1800
    sync: Sync = 1800
    tuned: bool = True
    retriever: dict[str, Any] = Field(default_factory=dict)
    modifiers: dict[str, Any] = Field(default_factory=dict)
    ranker: dict[str, Any] = Field(default_factory=dict)
    noise: tuple[Annotated[float, Field(ge=0, le=1000)], ...] = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)
    noise_arms: tuple[str, ...] = NOISE_ARMS
    panel: int = Field(default=200, ge=0)

    def digest(self) -> str:
        """Eight hex digits that name the study, wherever its log lies."""
        return digest(self.model_dump(mode="json", exclude={"path"}))


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell to compute, with all that the worker needs to know.

    Attributes:
        cell: the seed (in the place of a world) and the model: an arm, or a ranker spelled ``@name``.
        config: the run's.
        root: the run directory.
        identity: what the run is.
        index: position of the cell in the progress file.
    """

    cell: Cell
    config: OfflineConfig
    root: str
    identity: dict[str, Any]
    index: int


def run(config: OfflineConfig, out: Path, *, jobs: int = 1, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Run the study, or what is left of it, and write its run directory.

    Args:
        config: what to replay.
        out: the run directory: ``manifest.json``, ``cells/``, ``results.json``, ``timing.json``, ``figures/``,
            ``index.html``.
        jobs: worker processes, at least 1; the results do not depend on it.
        quiet: no progress bar.
        command: what was typed, for the record.

    Returns:
        The dict of ``results.json``.

    Raises:
        ValueError: as :func:`checked`, or for a directory that holds another run.
    """
    if jobs < 1:
        raise ValueError(f"jobs == {jobs}, must be at least 1")
    models, data = checked(config)
    identity = identity_of(config, data)
    cells = [Cell(world=seed, name=model) for seed in config.seeds for model in models]
    made: dict[str, Any] = {"arms": models, "reader": config.data, "data": read_with_files(config).told()}

    def answer(run: RunDirectory) -> Answer:
        _compute_missing(
            config, run, identity, cells, sum(1 for _ in steps(data.impressions, config.sync)), jobs, quiet
        )
        scored = {model: [_load(run, Cell(world=seed, name=model)) for seed in config.seeds] for model in models}
        with one_thread():
            results = assemble(study_of(config), data, scored)
        seconds = {str(cell.path): read_json(run.cell(cell) / "timing.json")["seconds"] for cell in cells}
        return Answer(results, lambda: {"wall_seconds": {"cells": seconds}, "jobs": jobs})

    def page(results: dict[str, Any]) -> None:
        from reports.pages.offline.page import write_page

        write_page(results, out)

    written = manifest(identity, command=command, seeds=config.seeds, cells=len(cells), **made)
    return run_or_resume(out, written, answer, timed_again=True, after=page)


def checked(config: OfflineConfig) -> tuple[list[str], RealLog]:
    """The models and the log of a study that can be run: nothing is replayed for one that cannot.

    Raises:
        ValueError: one line, for an unknown reader, arm or setting, a log that cannot be read, or one that ends before
            anything is learned.
    """
    models = models_of(config)
    check_settings(config)
    data = read(config)
    check_learned(data.impressions, config.label_wait, config.sync, int(np.flatnonzero(data.test)[0]))
    check_scores(config, data)
    return models, data


def study_of(config: OfflineConfig) -> dict[str, Any]:
    """What the results say of the config."""
    return {
        "data": config.data,
        "arms": list(dict.fromkeys(config.arms)),
        "seeds": list(config.seeds),
        "label_wait": config.label_wait,
        "sync": config.sync,
        "noise": list(config.noise),
        "settings": settings(config),
    }


def read(config: OfflineConfig) -> RealLog:
    """The log of a config.

    Raises:
        ValueError: for an unknown reader, or a log that cannot be read.
    """
    return read_with_files(config).log


def read_with_files(config: OfflineConfig) -> ReadLog:
    """The same, with the files that it came from; a process reads it once for all its cells."""
    return read_once(config.data, config.path, config.label_wait)


def identity_of(config: OfflineConfig, data: RealLog) -> dict[str, Any]:
    """What makes two runs the same run. Where the log lies is not what it is: the digest of its rows is."""
    rows = hashlib.sha256()
    for column in ("time", "user", "ad", "label", "context"):
        rows.update(np.ascontiguousarray(getattr(data.impressions, column)).tobytes())
    return {
        "kind": "offline",
        "config": config.model_dump(mode="json", exclude={"path"}),
        "settings": settings(config),
        "rows_sha256": rows.hexdigest(),
        **made_by(),
    }


# --- cells: one seed, one model ---


def _compute_missing(
    config: OfflineConfig,
    run: RunDirectory,
    identity: dict[str, Any],
    cells: Sequence[Cell],
    periods: int,
    jobs: int,
    quiet: bool,
) -> None:
    missing = set(run.missing(cells))
    tasks = {
        cell: Task(cell=cell, config=config, root=str(run.root), identity=identity, index=i)
        for i, cell in enumerate(cells)
        if cell in missing
    }

    def split(waiting: Sequence[Cell], under_way: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
        """An arm waits for the ranker of its seed, whose hidden vectors it reads."""
        ready = [cell for cell in waiting if ranker_of(cell) not in under_way]
        return ready, [cell for cell in waiting if cell not in ready]

    compute_all(
        run,
        {cell: (task, len(cells)) for cell, task in tasks.items()},
        compute,
        cells=len(cells),
        ticks=periods * len(tasks),
        jobs=jobs,
        label="replaying",
        quiet=quiet,
        split=split,
    )


def ranker_of(cell: Cell) -> Cell | None:
    """The cell of an arm's ranker; None for a ranker."""
    return None if cell.name.startswith("@") else Cell(world=cell.world, name=f"@{arms.parse(cell.name).ranker}")


def compute(task: Task, cells: int) -> None:
    """Replay the log into one model and leave its scores in the run directory."""
    begin = time.perf_counter()
    progress = Progress(Path(task.root), cells, task.index)
    progress.reset()
    run = RunDirectory(Path(task.root), {"identity": task.identity})
    refuse_changed(read_with_files(task.config), run.root)
    with one_thread(), strangers(task.cell.name):
        replayed = _ranker if task.cell.name.startswith("@") else _arm
        found = replayed(task, run, progress.tick)
    with run.writing(task.cell) as out:
        np.save(out / "prequential.npy", found.prequential)
        np.save(out / "frozen.npy", found.frozen)
        write_json(out / "timing.json", {"seconds": time.perf_counter() - begin})
        write_json(out / "cell.json", {"seed": task.cell.world, "tau": found.tau, "noise": found.noise})


def _ranker(task: Task, run: RunDirectory, on_step: OnStep) -> Scored:
    """Replay into a ranker; what it writes on the rows stays for the arms until the run is finished."""
    config, data, name = task.config, read(task.config), task.cell.name[1:]
    # A ranker that takes no settings is made without.
    spelling = arms.parse(f"random@{name}")
    wanted = takes_settings(make(spelling.learned.name, RANKERS))
    given = horizon(config) | settings(config)[task.cell.name] if wanted else {}
    ranker = arms.make_ranker(spelling, data.catalog, task.cell.world, given)
    log, test = data.impressions, data.test
    kept: dict[str, Any] = {"frozen": np.zeros(0, dtype=np.float32), "panel": None}

    def look(model: Any) -> None:
        kept["frozen"] = frozen_logits(model, log[test])
        if config.panel:
            kept["panel"] = draw_panel(model, log, test, data.catalog.ads.rows, config.panel, seed=0)

    log = replay_ranker(log, ranker, sync=config.sync, on_step=on_step, probe=_before_test(test, look))
    panel = {f"panel_{field}": value for field, value in kept["panel"]._asdict().items()} if kept["panel"] else {}
    with run.keeping(task.cell) as folder:
        np.savez(folder / "log.npz", pctr=log.pctr, hidden=log.hidden, **panel)
    return Scored(prequential=logit_of(log.pctr), frozen=kept["frozen"], tau=None, noise={})


def _arm(task: Task, run: RunDirectory, on_step: OnStep) -> Scored:
    """Replay into a retriever the rows as the ranker left them."""
    config, data = task.config, read(task.config)
    log, panel = _ranked(task, run)
    test = data.test
    retriever = make_arm(config, data, task.cell.name, task.cell.world)
    kept: dict[str, Any] = {"frozen": np.zeros(0, dtype=np.float32), "tau": None, "noise": {}}

    def look(model: Any) -> None:
        kept["frozen"] = frozen_scores(model, log[test])
        if panel is not None:
            kept["tau"] = tau(model, log, panel)
        if config.noise and task.cell.name in config.noise_arms:
            kept["noise"] = noise_curve(model, log[test], config.noise, SCALES, task.cell.world)

    scores = replay_retriever(log, retriever, sync=config.sync, on_step=on_step, probe=_before_test(test, look))
    return Scored(prequential=scores, **kept)


def _before_test(test: Array, look: Any) -> Probe | None:
    return Probe(int(np.flatnonzero(test)[0]), look) if test.any() else None


def _ranked(task: Task, run: RunDirectory) -> tuple[Impressions, Panel | None]:
    """The log as the arm's ranker left it, and the ranker's panel. Replayed again where it was cleared away."""
    ranker = ranker_of(task.cell)
    assert ranker is not None
    path = run.work(ranker) / "log.npz"
    if not run.kept(ranker):
        _ranker(replace(task, cell=ranker), run, lambda _: None)
    kept, log = load_arrays(path, path.parent), read(task.config).impressions
    pctr, hidden = (fitting(kept.get(name), path, path.parent, rows=len(log)) for name in ("pctr", "hidden"))
    panel = Panel(*(kept[f"panel_{field}"] for field in Panel._fields)) if "panel_row" in kept else None
    return replace(log, pctr=pctr, hidden=hidden), panel


def _load(run: RunDirectory, cell: Cell) -> Scored:
    folder = run.cell(cell)
    try:
        found = read_json(folder / "cell.json")
        # JSON knows no NaN: a level without AUC was kept as null.
        known = {scale: [np.nan if auc is None else auc for auc in by] for scale, by in found["noise"].items()}
        scores, frozen = (load_array(folder / f"{mode}.npy", folder) for mode in ("prequential", "frozen"))
        return Scored(prequential=scores, frozen=frozen, tau=found["tau"], noise=known)
    except KeyError as error:
        raise DamagedError(f"{folder}: damaged or incomplete ({error}); remove it to compute it again") from error


__all__ = ["ARMS", "OfflineConfig", "models_of", "read", "run", "settings"]
