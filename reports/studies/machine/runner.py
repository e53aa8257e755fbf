"""Run or resume: the road from a question to a finished run directory, the same for every study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from simulator.experiment import RunDirectory, read_json, write_json

Content = Mapping[str, Any]
TIMING = "timing.json"


class Answer(NamedTuple):
    """What the cells of a study add up to.

    Attributes:
        results: nothing in them knows a clock.
        clock: measures what ``timing.json`` says, after the results are written; None for a study without one.
    """

    results: Content
    clock: Callable[[], Content] | None = None


def run_or_resume(
    root: Path,
    written: dict[str, Any],
    answer: Callable[[RunDirectory], Answer],
    *,
    file: str = "results.json",
    timed_again: bool = False,
    after: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """1 the directory, held alone, 2 its cells and what they add up to, 3 what a clock says, 4 work files go.

    Args:
        root: the run directory.
        written: content of its manifest, if it is new.
        answer: computes the cells that are missing, and says what all of them add up to.
        file: where the results are written.
        timed_again: a resumed run is timed anew: its cells know how long they took.
        after: what else is made of the results, as they are read back, before the directory is sealed.

    Returns:
        The results as they are read back.

    Raises:
        ValueError: one line, for a directory that holds another run, or as ``answer``.
    """
    with RunDirectory.alone(root, written) as run:
        results, clock = answer(run)
        write_json(root / file, results)
        if clock is not None and (timed_again or not (root / TIMING).exists()):
            write_json(root / TIMING, clock())
        run.finish()
        found: dict[str, Any] = read_json(root / file)
        if after is not None:
            after(found)
    return found
