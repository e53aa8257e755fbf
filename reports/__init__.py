"""From logs to a verdict: metrics, statistics, figures, the page, and the command line that runs the studies.

Rooms, from the ground up; each knows those above it in this list and none below it:

1. ``records``: the nouns that all rooms share; ``spelling``: an arm's name, its parts and mechanisms.
2. ``numbers``: AUC, recall, tau, calibration; paired worlds, intervals, corrections; the rule of the verdict. Pure
   functions of arrays; none sees a model or the world.
3. ``drawing``: strokes, hover, labels that stand apart, the wording of numbers, tables, the one door to the terminal.
4. ``pages``: results in, pictures and one HTML file out; ``shell`` and ``parts`` are every page's, then a room a kind.
5. ``runs``: what is on disk. ``load``: a finished run in a notebook, its ``tables`` and ``cells``; ``inventory``: the
   runs of a folder; ``comparison``: several beside each other; ``kinds``: what is known of each kind of run.
6. ``studies``: one question, one room. ``arms`` composes an arm from its spelling, e.g. ``dssm+cs3@dnn``; ``machine``
   computes cells and knows no question; ``market`` is an arm in a world, and what its facts add up to.
7. ``gate``: has anything become slower than at another revision? With the registry of benchmarks.
8. ``commands``: ``cs3bench``, one file a command; ``main`` puts them together; ``reference``: the pages made from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.runs.load import Run, load_run

__all__ = ["Run", "load_run"]


def __getattr__(name: str) -> Any:
    """``load_run`` is imported when it is asked for: the command line must start quickly."""
    if name in __all__:
        from reports.runs import load

        return getattr(load, name)
    raise AttributeError(f"module 'reports' has no attribute '{name}'")
