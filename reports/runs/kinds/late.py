"""Late interaction and indexes at scale."""

from __future__ import annotations

from pathlib import Path

from reports.runs.kinds.kind import Draw, Kind, Parts, Record, Row, Rows
from reports.runs.tables import flat


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.late.figures import drawable

    return drawable(run.results, run.timing)


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.late.page import write_late

    return write_late(run.results, run.timing, out)


def _tables(run: Parts) -> dict[str, Rows]:
    def rows(of: Record) -> list[Row]:
        return [
            flat(row, kind=kind, ads=size["ads"])
            for kind, sizes in (of.get("sizes") or {}).items()
            for size in sizes
            for row in size["rows"]
        ]

    return {"ways": lambda: rows(run.results), "times": lambda: rows(run.timing)}


KIND = Kind(
    name="late", command="cs3bench late", title="Late interaction at scale",
    needs=("k", "sizes"),
    markdown="late.md", settings=False,
    page=_page, figures=_figures, tables=_tables,
)  # fmt: skip
