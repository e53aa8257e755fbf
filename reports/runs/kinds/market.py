"""Tables that several kinds of runs of a market have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.runs.cells import daily
from reports.runs.kinds.kind import Parts, Row
from reports.runs.tables import flat, points


def of_days(run: Parts) -> Iterator[Row]:
    """The account of every day of every cell."""
    return daily(run.root, run.cells())


def of_latency(timing: Mapping[str, Any]) -> Iterator[Row]:
    """A row per arm and stage: what the clock said of a request."""
    for arm, parts in (timing.get("latency") or {}).items():
        for stage in ("retrieval", "cascade"):
            if parts.get(stage):
                yield flat(parts[stage], arm=arm, stage=stage)


def of_latency_by_k(timing: Mapping[str, Any]) -> list[Row]:
    """A row per arm and number of candidates."""
    timed = timing.get("latency") or {}
    return [row for arm, parts in timed.items() for row in points(parts.get("k") or {}, arm=arm)]
