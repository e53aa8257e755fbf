"""A sweep: a replay of a real log at each value of a dial."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Row, Rows, Said, effect_of
from reports.runs.tables import flat


def _text(run: Parts) -> str:
    from reports.pages.offline.text import sweep

    return "\n".join([*sweep(run.results), ""])


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.offline.figures import drawable

    return {name: partial(draw, run.results) for name, draw in drawable(run.results).items()}


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.offline.page import write_sweep_page

    return write_sweep_page(run.results, out)


def _said(results: Record) -> Said:
    values = results["values"]
    return Said("", f"{results['dial']} at {len(values)} values, {values[0]:g} to {values[-1]:g}.")


def _tables(run: Parts) -> dict[str, Rows]:
    r = run.results

    def rows(key: str) -> list[Row]:
        return [
            flat(found, arm=arm, value=value)
            for arm, one in r["arms"].items()
            for value, found in zip(r["values"], one[key], strict=True)
            if found
        ]

    return {"auc": lambda: rows("auc"), "differences": lambda: rows("users")}


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    for arm, one in r["arms"].items():
        for value, users in zip(r["values"], one["users"], strict=True):
            if users:
                auc = effect_of("AUC, 95% over users", "", "difference", "higher", users["effect"], users["ci"])
                more = {"p": users["p"], "n_users": r["data"]["test_users"]}
                yield Compared(r["data"]["name"], f"{arm}, {r['dial']} {value:g}", r["base"], {"auc": auc | more})


KIND = Kind(
    name="sweep", command="cs3bench sweep --dial DIAL --path DIR", title="A sweep of a dial on a real log",
    needs=("dial", "values", "data", "arms"),
    file="sweep.json", levels="*/", settings=False,
    page=_page, text=_text, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
