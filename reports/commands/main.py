"""``cs3bench``: the command line. Heavy modules are imported by the command that needs them, so ``--help`` is quick."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

try:
    import click
except ImportError:  # `cs3` alone is installed: say what is missing, in one line
    print("cs3bench: error: the suite is not installed, run: pip install 'cs3-bench[suite]'", file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None

from reports.commands import ab as cli_ab
from reports.commands import ablation as cli_ablation
from reports.commands import arena as cli_arena
from reports.commands import lab as cli_lab
from reports.commands import offline as cli_offline
from reports.commands import options as cli_study
from reports.commands import runs as cli_runs
from reports.commands.growth import growth
from reports.commands.late import late
from reports.commands.latency import latency
from reports.drawing.terminal import echo, on_one_line
from reports.gate.command import gate

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


for _command in (
    cli_ab.ab, cli_arena.arena, cli_ablation.ablation, cli_offline.offline, cli_offline.sweep, cli_offline.tune,
    cli_lab.lab, cli_lab.power, cli_lab.sensitivity, cli_lab.replay, late, latency, growth, gate,
    cli_runs.runs, cli_runs.compare, cli_runs.plot,
):  # fmt: skip
    cs3bench.add_command(_command)


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
        echo(json.dumps(found, indent=1))
        return
    for kind, all_names in found.items():
        echo(f"{kind:<11} {', '.join(all_names)}")
    echo("\nAn arm is spelled retriever+modifier+...@ranker, e.g. dssm+cas+cms or dssm+cs3@dnn;")
    echo("yours is spelled package.module:factory.")


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
    from reports.studies.card.real_facts import data_folder
    from reports.studies.card.study import lines, survey

    found = survey(resolved, seed, days, data or data_folder())
    echo(json.dumps(found["facts"], indent=1) if as_json else lines(found["facts"], resolved))
    if out is not None:
        from reports.pages.card.figures import draw

        echo("\n".join(f"figure: {path}" for path in draw(found, out)), err=as_json)


@cs3bench.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
def report(run: Path) -> None:
    """Draw the page of a finished run again, and print its tables."""
    cli_study.draw(run)


@cs3bench.command()
@click.argument("name")
def check(name: str) -> None:
    """Run the public contract check over a retriever, a ranker, or an arm: a name, or package.module:factory."""
    from reports.studies.contract import check_name, told

    rows = check_name(name)
    for line in told(rows):
        echo(line)
    failed = sum(not row.passed for row in rows)
    echo(f"{len(rows) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(1)


def main() -> None:
    """Entry point: errors are one line on stderr, exit code 2; Ctrl-C leaves a run that can be resumed.

    SIGTERM and SIGHUP end a command as Ctrl-C does.
    """
    _reach_own_modules()
    _hear()
    try:
        cs3bench(standalone_mode=False)
    except click.exceptions.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except (click.exceptions.Abort, KeyboardInterrupt):
        # Whoever hung up may have taken the terminal along.
        with suppress(OSError):
            _say("interrupted; the same command resumes the run")
        raise SystemExit(INTERRUPTED) from None
    except click.exceptions.NoArgsIsHelpError as bare:
        click.echo(bare.ctx.get_help())
    except click.ClickException as error:
        _say(f"error: {error.format_message()}")
        raise SystemExit(2) from None
    except ValueError as error:
        _say(f"error: {error}")
        raise SystemExit(2) from None
    except MemoryError as error:
        _say(f"error: out of memory ({error}): fewer or smaller users, ads, requests or --jobs")
        raise SystemExit(2) from None
    except OSError as error:
        _say(f"error: {error.filename or ''}{': ' if error.filename else ''}{error.strerror or error}")
        raise SystemExit(2) from None


def _reach_own_modules() -> None:
    """Let the folder that the command is given in be searched, last, for `my_model.py`, if one was typed.

    A script's path does not hold that folder. Nor should it for a command that names no module: libraries ask for
    modules that are not installed, and would find a stranger's in the folder of a run that was received.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    except FileNotFoundError:
        # Not only relative paths need it: MKL ends the process without it.
        _say("error: the current folder is gone, must be one that is there")
        raise SystemExit(2) from None
    named = any(":" in word for word in sys.argv[1:]) and not (Path(here) / "manifest.json").exists()
    if (named or "--allow-code" in sys.argv) and not {"", here} & set(sys.path):
        sys.path.append(here)


def _hear() -> None:
    """SIGTERM and SIGHUP are heard as Ctrl-C is, once; a command that was told to ignore them goes on doing so."""
    heard = (signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> None:
        for one in heard:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for one in heard:
            if signal.getsignal(one) is signal.SIG_DFL:
                signal.signal(one, interrupt)


def _say(text: str) -> None:
    echo(f"cs3bench: {on_one_line(text)}", err=True)


if __name__ == "__main__":
    main()
