"""How often two arms showed anything else: the requests whose slates differ, by their logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from simulator.experiment import Cell, RunDirectory

COLUMNS = ("request", "slot", "ad")
Shown = Mapping[str, npt.NDArray[np.int64]]
"""``request``, ``slot`` and ``ad`` of each impression [n]; a request and slot stand once."""
Differing = Callable[[str, str], list[float] | None]
"""(control, treatment) by spelling -> share of requests by world; None where their logs were not compared."""


def compared(run: RunDirectory, cells: Mapping[str, Sequence[Cell]]) -> Differing:
    """Shares of requests that got another slate from an arm than from another, read when they are asked for.

    Args:
        run: the run directory.
        cells: an arm's cells by spelling, a world each, in one order.
    """
    return lambda control, treatment: [
        differing(shown(run, a), shown(run, b)) for a, b in zip(cells[control], cells[treatment], strict=True)
    ]


def not_compared(_control: str, _treatment: str) -> list[float] | None:
    """Of arms whose logs are not at hand."""
    return None


def shown(run: RunDirectory, cell: Cell) -> Shown:
    """What a finished cell showed."""
    table = pq.read_table(run.cell(cell) / "log.parquet", columns=list(COLUMNS))
    return {name: table[name].to_numpy().astype(np.int64) for name in COLUMNS}


def differing(control: Shown, treatment: Shown) -> float:
    """Share of the requests with an impression that differ in an ad or its slot; 0 where nothing was shown."""
    request, slot, ad = (np.concatenate([control[name], treatment[name]]) for name in COLUMNS)
    order = np.lexsort((ad, slot, request))
    request, slot, ad = request[order], slot[order], ad[order]
    same = (request[1:] == request[:-1]) & (slot[1:] == slot[:-1]) & (ad[1:] == ad[:-1])
    paired = np.zeros(request.size, dtype=bool)
    paired[1:] |= same
    paired[:-1] |= same
    return np.unique(request[~paired]).size / max(np.unique(request).size, 1)
