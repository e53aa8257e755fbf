"""``cs3bench gate``: the command, its files and its exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from reports.drawing.terminal import echo

INTERRUPTED = 130
PATTERN = "NAME"
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--base", metavar="REF", help="Revision to compare with; built in a temporary git worktree.")
@click.option("--base-python", metavar="PATH", help="Instead: an interpreter that has the base installed.")
@click.option("--threshold", type=float, default=0.10, show_default=True, help="Slowdown that is allowed.")
@click.option("--only", multiple=True, metavar=PATTERN, help="Benchmark, or pattern like 'auction/*'; again for more.")
@click.option(
    "--pairs",
    type=click.IntRange(6),
    default=20,
    show_default=True,
    help="Paired blocks, 7 at least for more than 22 benchmarks; up to 4 x if undecided.",
)
@click.option("--clock", default="auto", show_default=True, help="cpu, wall, or auto: wall where a benchmark waits.")
@click.option("--aa/--no-aa", default=True, show_default=True, help="Time head against head for the gate's own error.")
@click.option("--cachegrind", is_flag=True, help="Count instructions of pure kernels too: a second witness, slow.")
@click.option("--json", "as_json", type=FILE, help="Write the results there.")
@click.option("--markdown", type=FILE, help="Append a summary there, e.g. $GITHUB_STEP_SUMMARY.")
@click.option("--figure", type=FILE, help="Draw the ratios there, .svg or .png.")
@click.option("--list", "listing", is_flag=True, help="Name the benchmarks and stop.")
@click.option("--self-test", is_flag=True, help="Plant slowdowns, with a noisy neighbour too, and count false alarms.")
@click.option("--runs", type=click.IntRange(1), help="Of the self-test, of each planted kind; A/A 2.5 times it.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def gate(
    base: str | None,
    base_python: str | None,
    threshold: float,
    only: tuple[str, ...],
    pairs: int,
    clock: str,
    aa: bool,
    cachegrind: bool,
    as_json: Path | None,
    markdown: Path | None,
    figure: Path | None,
    listing: bool,
    self_test: bool,
    runs: int | None,
    quiet: bool,
) -> None:
    """Fail if a benchmark got slower than a base revision, and a fresh pair of processes agrees.

    Base and head run side by side, one process and one thread each, in alternating order, on the benchmarks that
    tests/bench runs. Exit code: 0 nothing failed, 1 something did, 2 bad input.

    \b
    cs3bench gate --base origin/main
    cs3bench gate --base v0.1.0 --only 'retrieval/*' --json gate.json --figure gate.svg
    """  # noqa: D301
    if listing:
        from reports.gate.trees import head_root, suite_of
        from reports.gate.worker import load_suite

        echo("\n".join(load_suite(suite_of(head_root()))))
        return
    if self_test == bool(base or base_python) or (base and base_python):
        raise click.UsageError("give one of --base REF, --base-python PATH and --self-test")
    if figure is not None and figure.suffix.lower() not in (".svg", ".png"):
        raise ValueError(f"--figure {figure}: must end in .svg or .png")
    for path in (as_json, markdown, figure):
        if path is not None and not path.absolute().parent.is_dir():
            raise ValueError(f"{path}: its folder must exist")
    progress = _progress(quiet)
    try:
        if self_test:
            from reports.gate.selftest import RUNS, lines, self_tested

            found = self_tested(runs or RUNS, progress)
            text, failed = lines(found), found["failed"]
        else:
            found = _compared(base, base_python, threshold, only, pairs, clock, aa, cachegrind, progress)
            from reports.gate.markdown import lines as in_words
            from reports.gate.markdown import markdown as summary

            text, failed = in_words(found), found["failed"]
            if markdown is not None:
                with markdown.open("a", encoding="utf-8") as out:
                    out.write(summary(found))
            if figure is not None:
                from reports.gate.figure import draw

                draw(found, figure)
    except KeyboardInterrupt:
        echo("cs3bench: interrupted; workers and worktree are gone", err=True)
        raise SystemExit(INTERRUPTED) from None
    if as_json is not None:
        from reports.drawing.strokes import write_aside

        write_aside(as_json, (json.dumps(found, indent=1, allow_nan=False) + "\n").encode())
    echo(text)
    if failed:
        raise SystemExit(1)


def _compared(
    base: str | None,
    base_python: str | None,
    threshold: float,
    only: tuple[str, ...],
    pairs: int,
    clock: str,
    aa: bool,
    cachegrind: bool,
    progress: Any,
) -> dict[str, Any]:
    from reports.gate.run import GateConfig, run
    from reports.gate.trees import base_tree, head_root, head_tree, installed

    config = GateConfig(threshold=threshold, pairs=pairs, only=only, clock=clock, aa=aa)
    root = head_root()
    with ExitStack() as stack:
        other = stack.enter_context(installed(base_python, root) if base_python else base_tree(str(base), root))
        head = stack.enter_context(head_tree(root))
        found = run(config, other, head, progress=progress)
        if cachegrind:
            from reports.gate.counts import instructions

            found["instructions"] = instructions(found, other, head, progress)
    return found


def _progress(quiet: bool) -> Callable[[str, int], Callable[[], None]]:
    """Bars on stderr, one for each step."""
    from tqdm import tqdm

    def start(what: str, total: int) -> Callable[[], None]:
        # What stays undecided gets more pairs than were announced.
        bar = tqdm(total=total, desc=what, disable=quiet or None, file=sys.stderr, leave=False)

        def told() -> None:
            if bar.n < total:
                bar.update()
            if bar.n >= total:
                bar.close()

        return told

    return start
