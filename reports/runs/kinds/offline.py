"""A replay of a real log."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reports.runs.kinds.kind import Compared, Draw, Kind, Parts, Record, Rows, Said, effect_of
from reports.runs.tables import flat, of_list, points

MEASURES = {
    "users": ("auc", "AUC, 95% over users", "higher"),
    "auc": ("auc_over_seeds", "AUC, 95% over seeds", "higher"),
    "gauc": ("gauc", "GAUC, 95% over seeds", "higher"),
    "logloss": ("logloss", "Log loss, 95% over seeds", "lower"),
    "pcoc": ("pcoc", "PCOC, 95% over seeds", "none"),
}
"""Field of a comparison on a real log -> metric, label, which way is good."""


def _text(run: Parts) -> str:
    from reports.pages.offline.text import replay

    return "\n".join([*replay(run.results), ""])


def _figures(run: Parts) -> dict[str, Draw]:
    from reports.pages.offline.figures import drawable

    return {name: partial(draw, run.results) for name, draw in drawable(run.results).items()}


def _page(run: Parts, out: Path) -> Path:
    from reports.pages.offline.page import write_page

    return write_page(run.results, out)


def _said(results: Record) -> Said:
    calls = [f"{found['mechanism']} {found['word']}" for found in results["verdicts"]]
    return Said("", f"{', '.join(calls)}." if calls else "")


def _tables(run: Parts) -> dict[str, Rows]:
    r = run.results
    return {
        "rows": lambda: [flat({key: one for key, one in row.items() if key != "cold"}) for row in r["rows"]],
        "cold": lambda: [
            flat(one, name=row["name"], slice=name)
            for row in r["rows"]
            for name, one in (row["cold"] or {}).items()
            if one
        ],
        "contrasts": lambda: [
            flat({key: one for key, one in pair.items() if key != "slices"}) for pair in r["contrasts"]
        ],
        "slices": lambda: [
            flat(one, control=pair["control"], treatment=pair["treatment"], slice=name)
            for pair in r["contrasts"]
            for name, one in (pair["slices"] or {}).items()
            if one
        ],
        "by_day": lambda: [
            {"date": date, "test": test, "rows": rows, "name": name, **row}
            for name, curve in r["by_day"]["auc"].items()
            for date, test, rows, row in zip(
                *(r["by_day"][key] for key in ("date", "test", "rows")),
                points({"auc": {"mean": curve["mean"], "lo": curve["lo"], "hi": curve["hi"]}}),
                strict=True,
            )
        ],
        "noise": lambda: [
            flat(one, scale=scale, arm=arm, level=level)
            for scale, arms in r["noise"]["scales"].items()
            for arm, curve in arms.items()
            for level, one in zip(r["noise"]["levels"], curve["auc"], strict=True)
        ],
        "verdicts": lambda: of_list(r["verdicts"]),
    }


def _compared(run: Parts) -> Iterator[Compared]:
    r = run.results
    for pair in r["contrasts"]:
        metrics = {
            key: effect_of(label, "", "difference", better, pair[field]["effect"], pair[field]["ci"])
            | {"p": pair[field].get("p")}
            | ({"n_users": r["data"]["test_users"]} if field == "users" else {"n_seeds": pair["n_seeds"]})
            for field, (key, label, better) in MEASURES.items()
            if pair.get(field)
        }
        yield Compared(r["data"]["name"], pair["treatment"], pair["control"], metrics)


KIND = Kind(
    name="offline", command="cs3bench offline --path DIR", title="A replay of a real log",
    needs=("data", "seeds", "rows", "contrasts"),
    schema=2,
    page=_page, text=_text, figures=_figures, said=_said, tables=_tables, compared=_compared,
)  # fmt: skip
