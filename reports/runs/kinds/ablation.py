"""An ablation: the cells of CS3 in several scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Rows, Said
from reports.runs.kinds.market import of_days
from reports.runs.tables import flat, of_metrics, of_worlds


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.ablation.figures import drawable

    return drawable(run.results)


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.ablation.page import write_page

    return write_page(run.results, run.timing, run.manifest, out)


def _said(results: Record) -> Said:
    from reports.pages.ablation.sections import headline

    return Said("", headline(results))


def _tables(run: Parts) -> dict[str, Rows]:
    found = run.results["scenarios"]
    return {
        "metrics": lambda: [
            row
            for name, one in found.items()
            for arm, cell in one["cells"].items()
            for row in of_metrics(cell["metrics"], scenario=name, arm=arm, word=cell["word"])
        ],
        "per_world": lambda: [
            row
            for name, one in found.items()
            for arm, cell in one["cells"].items()
            for row in of_worlds(cell["metrics"], one["worlds"], scenario=name, arm=arm)
        ],
        "steps": lambda: [
            row
            for name, one in found.items()
            for step in one["steps"]
            for row in of_metrics(
                step["metrics"], scenario=name, **{k: step[k] for k in ("over", "arm", "adds", "word")}
            )
        ],
        "best": lambda: [
            flat({key: value for key, value in one["best"].items() if key != "all"}, scenario=name)
            for name, one in found.items()
        ],
        "cost": lambda: [
            flat(cell["cost"] or {}, scenario=name, arm=arm)
            for name, one in found.items()
            for arm, cell in one["cells"].items()
        ],
        "lights": lambda: [flat(light, scenario=name) for name, one in found.items() for light in one["lights"]],
        "serving": lambda: [
            flat(one, scenario=name, arm=arm)
            for name, arms in (run.timing.get("serving") or {}).items()
            for arm, one in arms.items()
        ],
        "daily": lambda: of_days(run),
    }


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    for scenario, one in r["scenarios"].items():
        for arm, cell in one["cells"].items():
            if arm != r["base"]:
                yield Compared(scenario, arm, r["base"], cell["metrics"])


KIND = Kind(
    name="ablation", command="cs3bench ablation", title="An ablation",
    needs=("base", "cells", "scenarios"),
    markdown="tables.md", levels="scenarios/*/",
    page=_page, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
