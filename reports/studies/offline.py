"""Question: on a real log, does a tower with CS3 predict clicks better than the same tower without?

``cs3bench offline`` replays the log once per seed, test-then-train (``replay``), with every arm on the same rows, and
measures AUC, GAUC and log loss on the test days. Beside the arms stand the ranker, which the towers learn from, and the
smoothed averages, which they must beat. Days before the test are trained on in the same loop.

A cell is one seed and one ranker with its arms: it leaves the scores of every row, and a run that was interrupted goes
on from the cells that it finds. Results are the same for any number of workers.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import expit

from reports import arms, metrics, statistics
from reports.studies.averages import smoothed_averages
from reports.studies.manifests import made_by, manifest
from reports.studies.replay import replay_ranker, replay_retriever, steps
from reports.studies.workers import Progress, compute_all, one_thread
from simulator.config import Section
from simulator.datasets.kuairand import KuaiRand, read_kuairand
from simulator.experiment import Cell, RunDirectory, digest, plain, read_json, write_json
from simulator.plugins import nearest

READERS = {"kuairand": read_kuairand}
AVERAGES = {"averages: user + video": None, "averages: user + video + tab": "tab"}
"""Row of the results -> context field that is averaged too."""
MEASURES = ("auc", "gauc", "logloss")
REPLICATES = 500
"""Resamples of the bootstrap over users."""

Array = npt.NDArray[Any]
Scores = dict[str, Array]
"""Row of the results -> float32 [n], its logit of each row of the log."""


class OfflineConfig(Section):
    """What is replayed and how.

    Attributes:
        data: name of a reader.
        path: folder of the log.
        arms: spellings of the arms, each compared with the one before it.
        seeds: of the models' initialisation and negatives, a replay each; below 11 and from 101 on they chose settings.
        label_wait: seconds from an impression to its label.
        sync: seconds between publications.
        retriever: hyper-parameters of the towers, where they differ from the defaults. No softmax terms here: they
            teach which video was clicked among others, and a row of this log has no others; on 1 to 4 May (seeds 101,
            102) plain BCE is 5.5 points of AUC better. Rates suited to one short pass, chosen on the same days.
        modifiers: hyper-parameters of the modifiers.
        ranker: hyper-parameters of the ranker.
    """

    data: str = "kuairand"
    path: str
    arms: tuple[str, ...] = Field(default=("dssm-bare", "dssm", "dssm+cs3"), min_length=1)
    seeds: tuple[int, ...] = Field(default=(11, 12, 13, 14, 15), min_length=1)
    label_wait: int = Field(default=1800, ge=0)
    sync: int = Field(default=1800, gt=0)
    retriever: dict[str, Any] = Field(default_factory=lambda: {"softmax": 0.0, "lr": 1e-3, "table_lr": 0.03})
    modifiers: dict[str, Any] = Field(default_factory=dict)
    ranker: dict[str, Any] = Field(default_factory=dict)

    def digest(self) -> str:
        """Eight hex digits that name the study, wherever its log lies."""
        return digest(self.model_dump(mode="json", exclude={"path"}))


@dataclass(frozen=True, kw_only=True)
class Task:
    """A cell to compute, with all that the worker needs to know.

    Attributes:
        cell: the seed (in the place of a world) and the ranker.
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
        ValueError: for an unknown reader or arm, a log that cannot be read, or a directory that holds another run.
    """
    if jobs < 1:
        raise ValueError(f"jobs == {jobs}, must be at least 1")
    groups = by_ranker(config.arms)
    data = read(config)
    identity = identity_of(config, data)
    run = RunDirectory(out, manifest(identity, command=command, seeds=config.seeds))
    cells = [Cell(world=seed, name=ranker) for seed in config.seeds for ranker in groups]
    _compute_missing(config, run, identity, cells, sum(1 for _ in steps(data.impressions, config.sync)), jobs, quiet)
    results = assemble(config, data, [_load(run, seed, list(groups)) for seed in config.seeds])
    write_json(out / "results.json", results)
    seconds = {str(cell.path): read_json(run.cell(cell) / "timing.json")["seconds"] for cell in cells}
    write_json(out / "timing.json", {"wall_seconds": {"cells": seconds}, "jobs": jobs})
    run.finish()
    from reports.offline_page import write_page

    write_page(results, out)
    return results


def read(config: OfflineConfig) -> KuaiRand:
    """The log of a config.

    Raises:
        ValueError: for an unknown reader, or a log that cannot be read.
    """
    if config.data not in READERS:
        raise ValueError(f"data == '{config.data}', must name a reader{nearest(config.data, READERS)}")
    return _read(config.data, config.path, config.label_wait)


@functools.lru_cache(maxsize=1)
def _read(name: str, path: str, label_wait: int) -> KuaiRand:
    """A process reads the log once for all its cells."""
    return READERS[name](path, label_wait=label_wait)


def identity_of(config: OfflineConfig, data: KuaiRand) -> dict[str, Any]:
    """What makes two runs the same run. Where the log lies is not what it is: the digest of its rows is."""
    rows = hashlib.sha256()
    for column in ("time", "user", "ad", "label", "context"):
        rows.update(np.ascontiguousarray(getattr(data.impressions, column)).tobytes())
    return {
        "kind": "offline",
        "config": config.model_dump(mode="json", exclude={"path"}),
        "rows_sha256": rows.hexdigest(),
        **made_by(),
    }


def by_ranker(spellings: Sequence[str]) -> dict[str, list[str]]:
    """Arms that share a ranker. It learns from the log alone, so it is equal in all of them and runs once for all."""
    groups: dict[str, list[str]] = {}
    for spelling in dict.fromkeys(spellings):
        groups.setdefault(arms.parse(spelling).ranker, []).append(spelling)
    return groups


# --- cells: one seed, one ranker, its arms ---


def _compute_missing(
    config: OfflineConfig,
    run: RunDirectory,
    identity: dict[str, Any],
    cells: Sequence[Cell],
    periods: int,
    jobs: int,
    quiet: bool,
) -> None:
    tasks = {
        cell: Task(cell=cell, config=config, root=str(run.root), identity=identity, index=i)
        for i, cell in enumerate(cells)
        if not run.done(cell)
    }
    models = {ranker: 1 + len(group) for ranker, group in by_ranker(config.arms).items()}
    compute_all(
        run,
        {cell: (task, len(cells)) for cell, task in tasks.items()},
        compute,
        cells=len(cells),
        ticks=periods * sum(models[cell.name] for cell in tasks),
        jobs=jobs,
        label="replaying",
        quiet=quiet,
    )


def compute(task: Task, cells: int) -> None:
    """Replay the log for one seed and the arms of one ranker, and leave the scores in the run directory."""
    begin = time.perf_counter()
    progress = Progress(Path(task.root), cells, task.index)
    progress.reset()
    run = RunDirectory(Path(task.root), {"identity": task.identity})
    with one_thread():
        scores = replayed(task.config, task.cell, progress)
    with run.writing(task.cell) as out:
        for i, logit in enumerate(scores.values()):
            np.save(out / f"{i}.npy", logit)
        write_json(out / "timing.json", {"seconds": time.perf_counter() - begin})
        write_json(out / "cell.json", {"seed": task.cell.world, "models": list(scores)})


def replayed(config: OfflineConfig, cell: Cell, progress: Progress) -> Scores:
    """The scores of a cell's ranker and arms. Models live one after another: memory holds the log and one of them."""
    data, seed = read(config), cell.world
    # Rows are learned at the first step after their labels are ready: older versions of what is read are never wanted.
    horizon = {"horizon": config.label_wait + 2 * config.sync}
    group = [arms.parse(name) for name in by_ranker(config.arms)[cell.name]]
    own = cell.name == arms.DEFAULT_RANKER
    ranker = arms.make_ranker(group[0], data.catalog, seed, (horizon if own else {}) | config.ranker)
    log = replay_ranker(data.impressions, ranker, sync=config.sync, on_step=progress.tick)
    del ranker
    # The ranker's probability as a logit, so that every row of the results is one kind of number.
    p = np.clip(log.pctr.astype(np.float64), 1e-7, 1 - 1e-7)
    scores: Scores = {f"ranker {cell.name}": np.log(p / (1 - p)).astype(np.float32)}
    for arm in group:
        retriever = arms.make_retriever(arm, data.catalog, seed, horizon | config.retriever, horizon | config.modifiers)
        scores[arm.name] = replay_retriever(log, retriever, sync=config.sync, on_step=progress.tick)
        del retriever
    return scores


def _load(run: RunDirectory, seed: int, rankers: Sequence[str]) -> Scores:
    scores: Scores = {}
    for ranker in rankers:
        folder = run.cell(Cell(world=seed, name=ranker))
        try:
            models = read_json(folder / "cell.json")["models"]
            scores |= {model: np.load(folder / f"{i}.npy") for i, model in enumerate(models)}
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise ValueError(f"{folder}: damaged ({error}); remove it to compute it again") from error
    return scores


# --- results ---


def assemble(config: OfflineConfig, data: KuaiRand, scores: Sequence[Scores]) -> dict[str, Any]:
    """The dict of ``results.json`` from the scores of every seed.

    Args:
        config: the run's.
        data: the log.
        scores: [seeds], in the order of ``config.seeds``.

    Returns:
        Plain numbers, lists and strings; None where a number does not exist.
    """
    log, test = data.impressions, data.test
    columns = list(data.catalog.context)
    floor = {
        name: smoothed_averages(log, data.catalog.base_ctr, context=None if field is None else columns.index(field))
        for name, field in AVERAGES.items()
    }
    models = [*[name for name in scores[0] if name.startswith("ranker ")], *dict.fromkeys(config.arms)]
    by_name = {**{name: [logit] for name, logit in floor.items()}, **{m: [s[m] for s in scores] for m in models}}
    kinds = dict.fromkeys(floor, "averages") | {m: "ranker" if m.startswith("ranker ") else "arm" for m in models}
    measured = {
        name: [measure(logit[test], log.label[test], log.user[test]) for logit in logits]
        for name, logits in by_name.items()
    }
    dates = np.unique(data.date)
    chain = list(dict.fromkeys(config.arms))
    found: dict[str, Any] = plain(
        {
            "schema": 1,
            "kind": "offline",
            "data": {"name": config.data, **described(data)},
            "seeds": list(config.seeds),
            "label_wait": config.label_wait,
            "sync": config.sync,
            "rows": [
                {
                    "name": name,
                    "kind": kinds[name],
                    **{key: over_seeds([values[key] for values in found]) for key in MEASURES},
                }
                for name, found in measured.items()
            ],
            "contrasts": [
                contrast(control, treatment, by_name, measured, data)
                for control, treatment in itertools.pairwise(chain)
            ],
            "by_day": {
                "date": dates.tolist(),
                "test": [bool(day) for day in dates >= data.date[test].min()] if test.any() else [False] * len(dates),
                "rows": [int((data.date == day).sum()) for day in dates],
                "auc": {name: daily_auc(logits, data, dates) for name, logits in by_name.items()},
            },
        }
    )
    return found


def measure(logit: Array, label: Array, user: Array) -> dict[str, float]:
    """AUC, GAUC by user and log loss of rows [n]."""
    grouped = metrics.gauc(logit, label, user)
    return {
        "auc": metrics.auc(logit, label),
        "gauc": grouped.value,
        "logloss": metrics.logloss(expit(logit.astype(np.float64)), label),
    }


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean with its t interval over seeds; no interval with one value."""
    known = np.asarray(values, dtype=np.float64)
    if not np.isfinite(known).all():
        return {"mean": None, "ci": None, "per_seed": list(values)}
    around = statistics.paired_difference(np.zeros_like(known), known)
    return {"mean": around.effect, "ci": [around.lo, around.hi], "per_seed": list(values)}


def contrast(
    control: str,
    treatment: str,
    scores: Mapping[str, Sequence[Array]],
    measured: Mapping[str, Sequence[Mapping[str, float]]],
    data: KuaiRand,
) -> dict[str, Any]:
    """Treatment minus control: paired over seeds, and (AUC) over users, who are the larger source of chance.

    Seeds tell what another initialisation would have given on the same test rows. Users tell what other users would
    have given: the logits are averaged over seeds and whole users are resampled.
    """
    found: dict[str, Any] = {"control": control, "treatment": treatment, "n_seeds": len(measured[control])}
    for key in MEASURES:
        before, after = ([values[key] for values in measured[name]] for name in (control, treatment))
        if not np.isfinite([before, after]).all():
            found[key] = None
            continue
        paired = statistics.paired_difference(before, after)
        found[key] = {"effect": paired.effect, "ci": [paired.lo, paired.hi], "p": paired.p}
    test = data.test
    label, user = data.impressions.label[test], data.impressions.user[test]
    without, with_it = (np.mean([logit[test] for logit in scores[name]], axis=0) for name in (control, treatment))
    resampled = statistics.paired_bootstrap(
        metrics.auc_by_weight, without, with_it, label, user, REPLICATES, np.random.default_rng(0)
    )
    found["users"] = {"effect": resampled.diff, "ci": [resampled.lo, resampled.hi], "p": resampled.p}
    return found


def daily_auc(logits: Sequence[Array], data: KuaiRand, dates: Array) -> dict[str, list[float | None]]:
    """AUC of each day, mean over seeds with its t interval."""
    days = [data.date == day for day in dates]
    label = data.impressions.label
    found = [over_seeds([metrics.auc(logit[day], label[day]) for logit in logits]) for day in days]
    lows, highs = ([None if one["ci"] is None else one["ci"][end] for one in found] for end in (0, 1))
    return {"mean": [one["mean"] for one in found], "lo": lows, "hi": highs}


def described(data: KuaiRand) -> dict[str, Any]:
    """The log in numbers: sizes, what was dropped and why."""
    report, test = data.report, data.test
    return {
        "users": data.catalog.users.rows,
        "videos": data.catalog.ads.rows,
        "rows": report.rows,
        "duplicates": report.duplicates,
        "earlier": report.earlier,
        "kept": report.kept,
        "train_rows": int((~test).sum()),
        "test_rows": int(test.sum()),
        "click_rate": report.click_rate,
        "gauc_covered": _covered(data),
        "history": report.history_source,
        "malformed": [
            {"file": m.file, "kind": m.kind, "count": m.count, "lines": list(m.lines)} for m in report.malformed
        ],
    }


def _covered(data: KuaiRand) -> float:
    """Share of the test rows whose user has both a click and none among them: what GAUC is about."""
    label, user = data.impressions.label[data.test], data.impressions.user[data.test]
    return metrics.gauc(np.zeros(label.size), label, user).covered


def lines(results: Mapping[str, Any]) -> list[str]:
    """The results as the lines of a table for a terminal: means with 95 % intervals over seeds, then the contrasts."""

    def spelled(value: Mapping[str, Any]) -> str:
        if value["mean"] is None:
            return "n/a"
        ends = [end for end in value["ci"] or () if end is not None]
        return f"{value['mean']:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")

    data = results["data"]
    width = max(len(row["name"]) for row in results["rows"]) + 2
    text = [
        f"{data['name']}: {data['test_rows']:,} test rows after {data['train_rows']:,}; "
        f"{data['duplicates']:,} duplicates dropped, {sum(m['count'] for m in data['malformed']):,} malformed",
        " " * width + "".join(f"{title:<26}" for title in ("AUC", "GAUC", "log loss")).rstrip(),
    ]
    text += [
        (f"{row['name']:<{width}}" + "".join(f"{spelled(row[key]):<26}" for key in MEASURES)).rstrip()
        for row in results["rows"]
    ]
    for pair in results["contrasts"]:
        users = pair["users"]
        if users["ci"][0] is not None:
            # The estimate and its interval belong together: logits averaged over seeds, users resampled.
            text.append(
                f"{pair['treatment']} - {pair['control']}: AUC of the mean logits {users['effect']:+.4f}, "
                f"95 % over users [{users['ci'][0]:+.4f}, {users['ci'][1]:+.4f}]"
            )
    return text
