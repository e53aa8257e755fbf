"""Sensitivity: an A/B test at every level of a dial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Rows, Said
from reports.runs.kinds.market import of_days
from reports.runs.tables import of_metrics, of_worlds


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.lab.figures import sensitivity

    return {"sensitivity": partial(sensitivity, run.results)}


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.lab.page import write_sensitivity_page

    return write_sensitivity_page(run.results, run.timing, run.manifest, out)


def _said(results: Record) -> Said:
    from reports.pages.lab.sections import sensitivity

    return Said("", sensitivity(results, {}).lead)


def _tables(run: Parts) -> dict[str, Rows]:
    r = run.results
    measures = [key for key, one in r["levels"][0].items() if isinstance(one, Mapping)]
    return {
        "levels": lambda: [
            row
            for level in r["levels"]
            for row in of_metrics({key: level[key] for key in measures}, level=level["level"], x=level["x"])
        ],
        "per_world": lambda: [
            row
            for level in r["levels"]
            for row in of_worlds({key: level[key] for key in measures}, r["worlds"], level=level["level"])
        ],
        "daily": lambda: of_days(run),
    }


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    for one in r["levels"]:
        metrics = {key: value for key, value in one.items() if isinstance(value, Mapping)}
        yield Compared(r["scenario"], f"{r['treatment']}, {r['dial']} {one['level']:g}", r["control"], metrics)


KIND = Kind(
    name="sensitivity", command="cs3bench sensitivity --dial DIAL", title="Sensitivity to a dial",
    needs=("dial", "control", "treatment", "levels"),
    markdown="tables.md", levels="levels/*/",
    page=_page, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
