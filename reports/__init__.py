"""From logs to a verdict: metrics, statistics, figures, the page, and the command line that runs the studies.

Reading order:

1. ``metrics``: AUC, recall, tau, calibration; ``statistics``: paired worlds, intervals, corrections; ``verdict``: the
   rule. Pure functions of arrays; none sees a model or the world.
2. ``arms``: composes an arm from its spelling, e.g. ``dssm+cs3@dnn``.
3. ``studies``: one question, one file.
4. ``figures`` and ``page`` (with ``sections`` and ``wording``): results in, pictures and one HTML file out; the same
   of a replayed log: ``offline_figures``, ``offline_page``, ``offline_sections``; ``published``: the paper's figures;
   of late interaction at scale: ``late_figures``, ``late_page``; the same of the other studies, by their names:
   ``arena_*``, ``ablation_*``, ``lab_*``, ``latency_*``.
5. ``gate``: has anything become slower than at another revision? With the registry of benchmarks.
6. ``runs``: ``load_run``, a finished run in a notebook, with ``kinds`` (what is known of each kind of run) and
   ``run_tables``; ``inventory``: the runs of a folder; ``comparison``: several runs beside each other.
7. ``cli``: ``cs3bench``, its commands in ``cli_*``; ``reference``: the pages that are made from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.runs import Run, load_run

__all__ = ["Run", "load_run"]


def __getattr__(name: str) -> Any:
    """``load_run`` is imported when it is asked for: the command line must start quickly."""
    if name in __all__:
        from reports import runs

        return getattr(runs, name)
    raise AttributeError(f"module 'reports' has no attribute '{name}'")
