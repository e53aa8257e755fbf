"""Memory and time of a market as it grows."""

from __future__ import annotations

from pathlib import Path

from reports.runs.kinds.kind import Kind, Parts, Record, Rows, Said
from reports.runs.tables import of_list, of_records


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.serving.growth import write_growth

    return write_growth(run.results, out)


def _said(results: Record) -> Said:
    grown = [f"{dial} to the power {fit['last_exponent']:.2f}" for dial, fit in results["fits"].items()]
    return Said("", f"Memory grows with {', '.join(grown)}.")


def _tables(run: Parts) -> dict[str, Rows]:
    return {"sizes": lambda: of_list(run.results["rows"]), "fits": lambda: of_records(run.results["fits"], "dial")}


KIND = Kind(
    name="growth", command="cs3bench growth",
    needs=("config", "rows", "fits"),
    schema=None, markdown="growth.md",
    page=_page, said=_said, tables=_tables,
)  # fmt: skip
