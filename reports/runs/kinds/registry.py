"""The kinds of runs by name: ours, those of other packages (entry points ``cs3bench.kinds``), those registered here.

A kind's file is imported when somebody asks for a kind, and draws in nothing that is slow.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache

from reports.runs.kinds.kind import Kind
from simulator.plugins import registered

GROUP = "cs3bench.kinds"
"""Entry points, each a ``Kind``."""
ROOM = "reports.runs.kinds"
OURS = (
    "ab", "arena", "ablation", "offline", "sweep", "lab", "power", "sensitivity", "late", "latency", "growth", "tune",
    "market_tune",
)  # fmt: skip
"""Files of this room, each with its ``KIND``."""
_added: dict[str, Kind] = {}


def kinds() -> Mapping[str, Kind]:
    """Every kind by its name.

    Raises:
        ValueError: one line, for a kind of another package that cannot be had.
    """
    return {**_theirs(), **_added, **_ours()}


def register(kind: Kind) -> None:
    """Add a kind for this process; a package of yours says it once, by an entry point of the group ``cs3bench.kinds``.

    Raises:
        ValueError: if the name is taken.
    """
    if kind.name in kinds():
        raise ValueError(f"name == '{kind.name}', must be one that no kind of run has: {', '.join(kinds())}")
    _added[kind.name] = kind


def files() -> tuple[str, ...]:
    """Files of results; the first that is there tells the kind.

    ``results.json`` comes last: a power study's directory also holds its laboratory's.
    """
    usual = "results.json"
    return (*sorted({kind.file for kind in kinds().values()} - {usual}), usual)


@cache
def _ours() -> Mapping[str, Kind]:
    found: list[Kind] = [importlib.import_module(f"{ROOM}.{file}").KIND for file in OURS]
    return {kind.name: kind for kind in found}


def _theirs() -> Mapping[str, Kind]:
    found = {}
    for name, point in registered(GROUP).items():
        try:
            kind = point.load()
        except Exception as error:
            # A stranger's module runs when it is imported, and may raise anything.
            raise ValueError(f"{GROUP}: '{name}', must be importable ({type(error).__name__}: {error})") from error
        if not isinstance(kind, Kind) or kind.name != name:
            raise ValueError(f"{GROUP}: '{name}', must be a Kind of that name, got {kind!r:.80}")
        found[name] = kind
    return found
