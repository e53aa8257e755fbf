"""``cs3bench``: the command line. Heavy modules are imported by the command that needs them, so ``--help`` is quick."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import click
except ImportError:  # `cs3` alone is installed: say what is missing, in one line
    print("cs3bench: error: the suite is not installed, run: pip install 'cs3-bench[suite]'", file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None

from reports import cli_ablation, cli_lab, cli_runs
from reports.cli_arena import arena, draw
from reports.cli_engine import with_engine
from reports.cli_growth import growth
from reports.cli_late import late
from reports.cli_latency import latency
from reports.gate.command import gate

if TYPE_CHECKING:
    from reports.studies.engines import Dask

SCENARIO = "quickstart"
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="cs3-bench", prog_name="cs3bench")
def cs3bench() -> None:
    """Simulated A/B tests of two-tower ad retrieval, with and without CS3 (arXiv 2604.19269).

    \b
    cs3bench ab                          dssm against dssm+cs3 in five twin worlds, a verdict and a page
    cs3bench ab --treatment dssm+cms     one mechanism alone
    cs3bench arena                       every rival in the same worlds, at its cost and at equal latency
    cs3bench ablation                    all eight cells of CS3 in every scenario
    cs3bench offline --path DIR          the same models and their controls on a real log
    cs3bench sweep --dial sync --path DIR
                                         how far the answer depends on one dial
    cs3bench tune --path DIR             every model's settings, by the same search
    cs3bench late                        late interaction and indexes at 10k, 100k and 1M ads
    cs3bench latency                     what a request costs in every cell, alone and under load
    cs3bench growth                      memory and time of a market as it grows
    cs3bench lab                         what live designs would have said, beside the truth
    cs3bench power --lift 0.02           days, users and worlds that each design needs
    cs3bench sensitivity --dial k        an arm's lift over a dial, and where it ends
    cs3bench replay RUN --request ID     why did this ad win?
    cs3bench gate --base REF             has anything become slower?
    cs3bench runs                        the runs of a folder: kind, size, state, verdict
    cs3bench compare RUN RUN...          runs, arms and scenarios beside each other
    cs3bench plot RUN --figure NAME      one figure for a paper: SVG, PDF, PNG
    """  # noqa: D301


cs3bench.add_command(arena)
cs3bench.add_command(cli_ablation.ablation)
cs3bench.add_command(late)
cs3bench.add_command(latency)
cs3bench.add_command(growth)
cs3bench.add_command(gate)
for _command_of_runs in (cli_runs.runs, cli_runs.compare, cli_runs.plot):
    cs3bench.add_command(_command_of_runs)
for _command_of_lab in (cli_lab.lab, cli_lab.power, cli_lab.sensitivity, cli_lab.replay):
    cs3bench.add_command(_command_of_lab)


@cs3bench.command()
@click.option("--scenario", default=SCENARIO, show_default=True, help="Name, or path of a TOML file.")
@click.option("--control", default="dssm", show_default=True, help="Arm: backbone+modifier+...@ranker.")
@click.option("--treatment", default="dssm+cs3", show_default=True, help="Arm that is compared with it.")
@click.option("--small", is_flag=True, help="The scenario's small form: a minute, too noisy to decide.")
@click.option("--worlds", type=click.IntRange(1), help="Number of twin worlds.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the first world; the others follow it.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/...]")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field of the scenario.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@with_engine
def ab(
    scenario: str,
    control: str,
    treatment: str,
    small: bool,
    worlds: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
    engine: Dask | None,
) -> None:
    """Compare two arms by the true effect: the whole market twice, once per arm, with common luck.

    An interrupted run resumes when the same command is given again.
    """
    from reports.arms import parse
    from simulator.scenario import load

    for spelling in (control, treatment):
        parse(spelling)
    extra = [f"run.worlds={worlds}"] * (worlds is not None) + [f"run.seed={seed}"] * (seed is not None)
    resolved = load(scenario, small=small, sets=[*sets, *extra])
    from reports.studies.ab import Plan, run_ab

    plan = Plan(scenario=resolved, control=control, treatment=treatment, small=small, command=_command())
    root, results = run_ab(plan, out, jobs or os.cpu_count() or 1, quiet=quiet, engine=engine)
    click.echo(_table(results))
    click.echo(f"\npage: {_page(root)}")


@cs3bench.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_(as_json: bool) -> None:
    """What there is: scenarios, retrievers, modifiers, rankers."""
    from simulator.plugins import MODIFIERS, RANKERS, RETRIEVERS, registered
    from simulator.scenario import names

    found = {
        "scenarios": names(),
        "retrievers": [*sorted(registered(RETRIEVERS)), "oracle"],
        "modifiers": sorted(registered(MODIFIERS)),
        "rankers": sorted(registered(RANKERS)),
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for kind, all_names in found.items():
        click.echo(f"{kind:<11} {', '.join(all_names)}")
    click.echo("\nAn arm is spelled retriever+modifier+...@ranker, e.g. dssm+cas+cms or dssm+cs3@dnn;")
    click.echo("yours is spelled package.module:factory.")


@cs3bench.command()
@click.argument("scenario", default=SCENARIO)
@click.option("--small", is_flag=True, help="The scenario's small form.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--days", type=click.IntRange(1), default=2, show_default=True, help="Days of logging to look at.")
@click.option("--set", "sets", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a field of the scenario.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Real logs.  [default: CS3BENCH_DATA]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Also draw the card there.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def world(
    scenario: str,
    small: bool,
    seed: int,
    days: int,
    sets: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """The world card: stylised facts of a scenario's world beside those of real logs, recomputed where they are."""
    from simulator.scenario import load

    resolved = load(scenario, small=small, sets=sets)
    if data is not None and not data.is_dir():
        raise ValueError(f"--data {data}: no such folder")
    from reports.studies.card import lines, survey
    from reports.studies.real_facts import data_folder

    found = survey(resolved, seed, days, data or data_folder())
    click.echo(json.dumps(found["facts"], indent=1) if as_json else lines(found["facts"], resolved))
    if out is not None:
        from reports.world_figures import draw

        click.echo("\n".join(f"figure: {path}" for path in draw(found, out)), err=as_json)


@cs3bench.command()
@click.option("--data", default="kuairand", show_default=True, help="Which reader.")
@click.option("--path", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the log.")
@click.option("--arm", "arms", multiple=True, help="Arm to replay, again for more.  [default: all cells and controls]")
@click.option(
    "--ranker", "rankers", multiple=True, help="Ranker to stand above as a reference besides, again for more."
)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="How many seeds.")
@click.option("--seed", type=click.IntRange(0), default=11, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run directory.  [default: runs/...]")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a field, e.g. label_wait=3600.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def offline(
    data: str,
    path: Path,
    arms: tuple[str, ...],
    rankers: tuple[str, ...],
    seeds: int,
    seed: int,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
) -> None:
    """Replay a real log, test-then-train in time order: does CS3 help, which part of it, and is the gain its own?

    An interrupted run resumes when the same command is given again.
    """
    from simulator.config import overrides, validated

    if not path.is_dir():
        raise ValueError(f"--path {path}: no such folder")
    from reports.studies.offline import OfflineConfig, lines, run

    given: dict[str, Any] = {"data": data, "path": str(path), "seeds": list(range(seed, seed + seeds))}
    if arms:
        given["arms"] = list(arms)
    if rankers:
        given["rankers"] = list(rankers)
    config = validated(OfflineConfig, given | overrides(sets), "offline")
    root = out or Path("runs") / f"offline-{data}-{config.digest()}"
    results = run(config, root, jobs=jobs or os.cpu_count() or 1, quiet=quiet, command=_command())
    click.echo("\n".join(lines(results)))
    click.echo(f"\npage: {root / 'index.html'}")


@cs3bench.command()
@click.option("--dial", required=True, help="alpha, beta, label_wait or sync.")
@click.option("--values", metavar="A,B,...", help="Values of the dial.  [default: its own]")
@click.option("--data", default="kuairand", show_default=True, help="Which reader.")
@click.option("--path", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the log.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many seeds.")
@click.option("--seed", type=click.IntRange(0), default=11, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory.  [default: runs/sweep-...]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def sweep(
    dial: str,
    values: str | None,
    data: str,
    path: Path,
    seeds: int,
    seed: int,
    jobs: int | None,
    out: Path | None,
    quiet: bool,
) -> None:
    """Replay a real log at each value of a dial: how far does the answer depend on it?

    An interrupted sweep resumes when the same command is given again.
    """
    from simulator.config import validated

    if not path.is_dir():
        raise ValueError(f"--path {path}: no such folder")
    from reports.studies.sweep import SweepConfig, lines, run

    given: dict[str, Any] = {"dial": dial, "data": data, "path": str(path), "seeds": list(range(seed, seed + seeds))}
    if values:
        try:
            given["values"] = [float(value) for value in values.split(",")]
        except ValueError:
            raise ValueError(f"--values {values}: must be numbers, separated by commas") from None
    root = out or Path("runs") / f"sweep-{data}-{dial}"
    config = validated(SweepConfig, given, "sweep")
    results = run(config, root, jobs=jobs or os.cpu_count() or 1, quiet=quiet, command=_command())
    click.echo("\n".join(lines(results)))
    click.echo(f"\npage: {root / 'index.html'}")


@cs3bench.command()
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
def tune(
    data: str,
    path: Path | None,
    scenario: str | None,
    models: tuple[str, ...],
    budget: int | None,
    seed: int | None,
    jobs: int | None,
    out: Path | None,
    sets: tuple[str, ...],
    quiet: bool,
) -> None:
    """Search every model's settings alike: same space, same start, same budget.

    With --path on a log's days before its test days, with --scenario in a world that no report uses. An interrupted
    search resumes when the same command is given again.
    """
    from simulator.config import validated

    if (path is None) == (scenario is None):
        raise ValueError(f"--path {path}, --scenario {scenario}: must be one of the two")
    given: dict[str, Any] = {key: value for key, value in (("budget", budget), ("seed", seed)) if value is not None} | (
        {"models": list(models)} if models else {}
    )
    root = out or Path("runs") / f"tune-{scenario or data}"
    at_once = jobs or os.cpu_count() or 1
    if scenario is not None:
        from reports.studies import market_tune
        from reports.studies.tune import lines
        from simulator.scenario import load

        market = validated(market_tune.MarketTuneConfig, {"scenario": load(scenario, sets=sets)} | given, "tune")
        results = market_tune.run(market, root, jobs=at_once, quiet=quiet, command=_command())
        click.echo("\n".join(lines(results, "recall", f"recall@{results['k']}")))
    else:
        from reports.studies.tune import TuneConfig, lines, run

        assert path is not None
        if not path.is_dir():
            raise ValueError(f"--path {path}: no such folder")
        config = validated(TuneConfig, {"data": data, "path": str(path)} | given, "tune")
        results = run(config, root, jobs=at_once, quiet=quiet, command=_command())
        click.echo("\n".join(lines(results)))
    click.echo(f"\nsettings: {root / 'tuned.toml'}")


@cs3bench.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
def report(run: Path) -> None:
    """Draw the page of a finished run again."""
    from simulator.experiment import read_json

    if not run.is_dir():
        raise ValueError(f"{run}: not a run directory")
    results = read_json(run / "results.json")
    kind = results.get("kind", results.get("study"))
    drawn = {"arena": draw, "ablation": cli_ablation.draw, "lab": cli_lab.draw, "sensitivity": cli_lab.draw_sensitivity}
    if kind not in ("ab", "offline", *drawn):
        kinds = ", ".join(("ab", "offline", *drawn))
        raise ValueError(f"{run / 'results.json'}: kind == {kind!r}, must be one of {kinds}")
    if kind in drawn:
        drawn[kind](run)
        return
    if kind == "offline":
        from reports.offline_page import write_page

        click.echo(f"page: {write_page(results, run)}")
        return
    click.echo(_table(results))
    click.echo(f"\npage: {_page(run)}")


@cs3bench.command()
@click.argument("name")
def check(name: str) -> None:
    """Run the public contract check over a retriever, a ranker, or an arm: a name, or package.module:factory."""
    from reports.studies.contract import check_name

    rows = check_name(name)
    for row in rows:
        state = "passed" if row.passed else "FAILED"
        click.echo(f"{state}  {row.name}: {row.detail}" if row.detail else f"{state}  {row.name}")
    failed = sum(not row.passed for row in rows)
    click.echo(f"{len(rows) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(1)


def _command() -> str:
    return shlex.join(["cs3bench", *sys.argv[1:]])


def _page(root: Path) -> Path:
    """Draw the page of a run directory."""
    from simulator.experiment import read_json

    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    from reports.page import write_page

    return write_page(results, timing, manifest, root)


def _percent(x: float | None, digits: int = 2) -> str:
    return "n/a" if x is None else f"{100 * x:+.{digits}f} %"


def _table(results: dict[str, Any]) -> str:
    """The verdict and the metrics, for a terminal."""
    control, treatment = results["control"], results["treatment"]
    head = f"{results['scenario']}: {treatment} against {control}, {len(results['worlds'])} twin worlds"
    rows = [("", control, treatment, "effect", "95 % CI", "p", "Holm")]
    for m in results["metrics"].values():
        relative = m["kind"] == "ratio"
        effect = m["rel_effect"] if relative else m["effect"]
        spell = _percent if relative else (lambda x: "n/a" if x is None else f"{x:+.4f}")
        lo, hi = m["ci"]
        rows.append(
            (
                m["label"],
                _number(m["control"]),
                _number(m["treatment"]),
                spell(effect),
                f"{spell(lo)} to {spell(hi)}",
                "n/a" if m["p"] is None else f"{m['p']:.3f}",
                "" if m["p_holm"] is None else f"{m['p_holm']:.3f}",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    body = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    found = results["verdict"]
    lamps = [f"  [{light['state']}] {light['text']}" for light in found["lights"]]
    served = [
        f"index of {arm}: finds {one['mean']:.2%} of what exact search finds (mean over {one['n_worlds']} worlds)"
        for arm, one in results.get("index_recall", {}).items()
    ]
    verdict = f"verdict: {found['word'].upper()}. {found['reason']}"
    return "\n".join([head, "", *body, "", *served, *([""] if served else []), verdict, *lamps])


def _number(x: float | None) -> str:
    if x is None:
        return "n/a"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"


def main() -> None:
    """Entry point: errors are one line on stderr, exit code 2; Ctrl-C leaves a run that can be resumed."""
    # A script's path does not hold the folder it was started in, where `my_model.py` is.
    if not {"", os.getcwd()} & set(sys.path):  # noqa: PTH109 - sys.path holds strings
        sys.path.append(os.getcwd())  # noqa: PTH109
    try:
        cs3bench(standalone_mode=False)
    except click.exceptions.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except click.exceptions.Abort:
        _say("interrupted; the same command resumes the run")
        raise SystemExit(INTERRUPTED) from None
    except KeyboardInterrupt:
        _say("interrupted; the same command resumes the run")
        raise SystemExit(INTERRUPTED) from None
    except click.ClickException as error:
        _say(f"error: {error.format_message()}")
        raise SystemExit(2) from None
    except ValueError as error:
        _say(f"error: {error}")
        raise SystemExit(2) from None
    except OSError as error:
        _say(f"error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}")
        raise SystemExit(2) from None


def _say(text: str) -> None:
    click.echo(f"cs3bench: {' '.join(text.split())}", err=True)


if __name__ == "__main__":
    main()
