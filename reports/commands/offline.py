"""``cs3bench offline``, ``sweep`` and ``tune``: replays of a real log, and the search of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.commands.options import StudyOptions, numbers, resumable, tell, typed
from reports.drawing.terminal import echo

MOST_SEEDS = 1000
"""Replays of a log, at most; a mistake otherwise."""


@click.command()
@click.option("--data", default="kuairand", show_default=True, help="Which reader.")
@click.option("--path", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the log.")
@click.option("--arm", "arms", multiple=True, help="Arm to replay, again for more.  [default: all cells and controls]")
@click.option(
    "--ranker", "rankers", multiple=True, help="Ranker to stand above as a reference besides, again for more."
)
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=5, show_default=True, help="How many seeds.")
@click.option("--seed", type=click.IntRange(0), default=11, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/...]")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a field, e.g. label_wait=3600.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@resumable
def offline(
    asked: StudyOptions,
    data: str,
    path: Path,
    arms: tuple[str, ...],
    rankers: tuple[str, ...],
    seeds: int,
    seed: int,
) -> None:
    """Replay a real log, test-then-train in time order: does CS3 help, which part of it, and is the gain its own?

    An interrupted run resumes when the same command is given again.
    """
    from simulator.config import overrides, validated
    from simulator.names import component

    if not path.is_dir():
        raise ValueError(f"--path {path}: no such folder")
    from reports.studies.offline.study import OfflineConfig, run

    given: dict[str, Any] = {"data": data, "path": str(path), "seeds": list(range(seed, seed + seeds))}
    if arms:
        given["arms"] = list(arms)
    if rankers:
        given["rankers"] = list(rankers)
    config = validated(OfflineConfig, given | overrides(asked.sets), "offline")
    root = asked.out or Path("runs") / component(f"offline-{data}-{config.digest()}")
    run(config, root, jobs=asked.workers, quiet=asked.quiet, command=typed())
    tell(root)
    echo(f"page: {root / 'index.html'}")


@click.command()
@click.option("--dial", required=True, help="alpha, beta, label_wait or sync.")
@click.option("--values", metavar="A,B,...", help="Values of the dial.  [default: its own]")
@click.option("--data", default="kuairand", show_default=True, help="Which reader.")
@click.option("--path", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the log.")
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=3, show_default=True, help="How many seeds.")
@click.option("--seed", type=click.IntRange(0), default=11, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory.  [default: runs/sweep-...]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@resumable
def sweep(asked: StudyOptions, dial: str, values: str | None, data: str, path: Path, seeds: int, seed: int) -> None:
    """Replay a real log at each value of a dial: how far does the answer depend on it?

    An interrupted sweep resumes when the same command is given again.
    """
    from simulator.config import validated
    from simulator.names import component

    if not path.is_dir():
        raise ValueError(f"--path {path}: no such folder")
    from reports.studies.offline.sweep import SweepConfig, run

    given: dict[str, Any] = {"dial": dial, "data": data, "path": str(path), "seeds": list(range(seed, seed + seeds))}
    if values is not None:
        given["values"] = numbers(values, "--values")
    root = asked.out or Path("runs") / component(f"sweep-{data}-{dial}")
    config = validated(SweepConfig, given, "sweep")
    run(config, root, jobs=asked.workers, quiet=asked.quiet, command=typed())
    tell(root)
    echo(f"page: {root / 'index.html'}")


@click.command()
@click.option("--data", default="kuairand", show_default=True, help="Which reader.")
@click.option("--path", type=click.Path(path_type=Path, file_okay=False), help="Folder of the log.")
@click.option("--scenario", help="Tune in a market instead of on a log: name, or path of a TOML file.")
@click.option("--model", "models", multiple=True, help="Arm, or ranker spelled @name, again for more.  [default: all]")
@click.option("--budget", type=click.IntRange(1), help="Points per model.  [default: 20, in a market 8]")
@click.option("--seed", type=click.IntRange(0), help="No report uses it.  [default: 101, in a market 902]")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/tune-...]"
)
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field of the scenario.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@resumable
def tune(
    asked: StudyOptions,
    data: str,
    path: Path | None,
    scenario: str | None,
    models: tuple[str, ...],
    budget: int | None,
    seed: int | None,
) -> None:
    """Search every model's settings alike: same space, same start, same budget.

    With --path on a log's days before its test days, with --scenario in a world that no report uses. An interrupted
    search resumes when the same command is given again.
    """
    from simulator.config import validated
    from simulator.names import component

    if (path is None) == (scenario is None):
        raise ValueError(f"--path {path}, --scenario {scenario}: must be one of the two")
    if path is not None and asked.sets:
        raise ValueError(f"--set {asked.sets[0]}: must be left out with --path, it overrides fields of a scenario")
    given: dict[str, Any] = {key: value for key, value in (("budget", budget), ("seed", seed)) if value is not None} | (
        {"models": list(models)} if models else {}
    )
    root = asked.out or Path("runs") / component(f"tune-{scenario or data}")
    if scenario is not None:
        from reports.studies.tuning import market as market_tune
        from reports.studies.tuning.offline import lines
        from simulator.scenario import load

        market = validated(market_tune.MarketTuneConfig, {"scenario": load(scenario, sets=asked.sets)} | given, "tune")
        results = market_tune.run(market, root, jobs=asked.workers, quiet=asked.quiet, command=typed())
        echo("\n".join(lines(results, "recall", f"recall@{results['k']}")))
    else:
        from reports.studies.tuning.offline import TuneConfig, lines, run

        assert path is not None
        if not path.is_dir():
            raise ValueError(f"--path {path}: no such folder")
        config = validated(TuneConfig, {"data": data, "path": str(path)} | given, "tune")
        results = run(config, root, jobs=asked.workers, quiet=asked.quiet, command=typed())
        echo("\n".join(lines(results)))
    echo(f"\nsettings: {root / 'tuned.toml'}")
