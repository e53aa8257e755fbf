"""A laboratory: what live designs would have said, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Row, Rows, Said, effect_of
from reports.runs.tables import flat


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.lab.figures import drawable

    return drawable(run.results)


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.lab.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _said(results: Record) -> Said:
    from reports.pages.lab.sections import headline

    return Said("", headline(results))


def _tables(run: Parts) -> dict[str, Rows]:
    return tables(run.results)


def _compared(run: Parts) -> Iterator[Compared]:
    return truths(run.results)


def tables(results: Record) -> dict[str, Rows]:
    """The tables of a laboratory, which a power study also has."""
    return {"designs": lambda: _designs(results), "per_world": lambda: _worlds(results)}


def truths(results: Record) -> Iterator[Compared]:
    """Each meter's treatment at each level of its budgets, by the true effect."""
    for meter in results["meters"].values():
        for one in meter["levels"]:
            truth = one["truth"]
            revenue = effect_of("Revenue", "currency", "ratio", "higher", truth["rel_effect"], truth["ci"])
            metrics = {"revenue": revenue | {"n_worlds": truth["n_worlds"]}}
            arm = f"{meter['treatment']}, {one['budget_clicks']:g} clicks of budget"
            yield Compared(results["scenario"], arm, meter["control"], metrics)


def _designs(results: Record) -> Iterator[Row]:
    for first, level in _levels(results):
        yield from (flat(row, **first) for row in level["rows"])


def _worlds(results: Record) -> Iterator[Row]:
    for first, level in _levels(results):
        for world, value in zip(results["worlds"], level["truth"]["per_world"], strict=True):
            yield {**first, "world": world, "effect": value}


def _levels(results: Record) -> Iterator[tuple[Row, Record]]:
    """Each level of each meter, with the columns that name it."""
    for name, meter in results["meters"].items():
        for level in meter["levels"]:
            yield {"meter": name, "budget_clicks": level["budget_clicks"], "bound": level["bound"]}, level


KIND = Kind(
    name="lab", command="cs3bench lab", title="A laboratory of live designs",
    needs=("scenario", "worlds", "days", "meters"),
    markdown="tables.md",
    page=_page, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
