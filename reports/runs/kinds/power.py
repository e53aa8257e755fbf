"""Power of live designs: a laboratory with a question above it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reports.runs.kinds import lab
from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Row, Rows, Said
from reports.runs.tables import of_curves, of_records, points


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.lab import figures as lab_figures

    return {"power": partial(lab_figures.power, run.results), **lab_figures.drawable(_below(run))}


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.lab.page import write_power_page

    return write_power_page(run.results, _below(run), run.timing, run.manifest, out)


def _said(results: Record) -> Said:
    from reports.pages.lab.sections import power

    return Said("", power(results, {}).lead)


def _tables(run: Parts) -> dict[str, Rows]:
    r = run.results
    return {
        "power": lambda: of_curves({name: _days(one) for name, one in r["designs"].items()}, "design"),
        "needed": lambda: of_records(r["designs"], "design"),
        "twin": lambda: points(r["twin"]),
        **lab.tables(_below(run)),
    }


def _days(design: Record) -> Row:
    return {key: value for key, value in design.items() if key != "by_users"}


def _compared(run: Parts) -> Iterator[Compared]:
    return lab.truths(_below(run))


def _below(run: Parts) -> Record:
    """The results of the laboratory."""
    return run.beside["results.json"]


KIND = Kind(
    name="power", command="cs3bench power", title="Power of live designs",
    needs=("control", "treatment", "lift", "designs", "twin"),
    file="power.json", beside=("results.json",), markdown="tables.md",
    page=_page, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
