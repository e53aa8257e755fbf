"""A search of every model's settings on a real log."""

from __future__ import annotations

from reports.runs.kinds.kind import Kind, Parts, Record, Rows, Said
from reports.runs.tables import of_records

PAGELESS = "a search has no page, what it found is in tuned.toml"


def said(results: Record) -> Said:
    """How much was searched."""
    return Said("", f"Settings of {len(results['models'])} models, {results['budget']} points each.")


def tables(run: Parts) -> dict[str, Rows]:
    """A row per model."""
    return {"models": lambda: of_records(run.results["models"], "model")}


KIND = Kind(
    name="tune", command="cs3bench tune --path DIR",
    needs=("budget", "models"),
    file="tuning.json", settings=False,
    pageless=PAGELESS, said=said, tables=tables,
)  # fmt: skip
