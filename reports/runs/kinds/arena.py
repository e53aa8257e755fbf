"""An arena: every rival in the same worlds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Rows, Said
from reports.runs.kinds.market import of_days, of_latency, of_latency_by_k
from reports.runs.tables import flat, of_curves, of_list, of_metrics, of_records, of_worlds, points


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.arena.figures import drawable

    return drawable(run.results, run.timing)


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.arena.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _said(results: Record) -> Said:
    from reports.pages.arena.sections import headline

    return Said("", headline(results))


def _tables(run: Parts) -> dict[str, Rows]:
    r, arms = run.results, run.results["arms"]
    return {
        "metrics": lambda: [
            row for arm, one in arms.items() for row in of_metrics(one["metrics"], arm=arm, role=one["role"])
        ],
        "per_world": lambda: [
            row for arm, one in arms.items() for row in of_worlds(one["metrics"], r["worlds"], arm=arm)
        ],
        "daily": lambda: of_days(run),
        "lights": lambda: of_list(r["lights"]),
        "learning": lambda: of_curves(r.get("learning")),
        "k_sweep": lambda: [row for arm, one in arms.items() for row in points(one["k_sweep"], arm=arm)],
        "cost": lambda: [flat(one["cost"] or {}, arm=arm) for arm, one in arms.items()],
        "mechanisms": lambda: [
            row
            for arm, one in r["mechanisms"].items()
            for row in of_metrics(one["metrics"], arm=arm, over=one["over"], adds=one["adds"], word=one["word"])
        ],
        "settings": lambda: of_records(r.get("settings")),
        "latency": lambda: of_latency(run.timing),
        "latency_by_k": lambda: of_latency_by_k(run.timing),
        "upkeep": lambda: of_records(run.timing.get("upkeep")),
        "pareto": lambda: of_records(run.timing.get("pareto")),
        "equal_latency": lambda: of_records(run.timing.get("equal_latency")),
    }


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    for arm, one in r["arms"].items():
        if arm != r["reference"]:
            yield Compared(r["scenario"], arm, r["reference"], one["metrics"])


KIND = Kind(
    name="arena", command="cs3bench arena", title="An arena",
    needs=("scenario", "reference", "worlds", "arms", "learning"),
    replayed=True, markdown="tables.md",
    page=_page, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
