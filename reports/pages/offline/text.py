"""A replay of a real log, and a sweep of a dial over it, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.drawing.tables import table
from reports.numbers.mechanisms import spelled

Record = Mapping[str, Any]


def replay(results: Record) -> list[str]:
    """A replay: means with 95 % intervals over seeds, then the contrasts."""
    data = results["data"]
    titles = ("", "AUC", "GAUC", "log loss", "AUC frozen", "tau")
    text = [
        f"{data['name']}: {data['test_rows']:,} test rows after {data['train_rows']:,}; "
        f"{data['duplicates']:,} duplicates dropped, {sum(m['count'] for m in data['malformed']):,} malformed",
    ]
    rows = []
    for row in results["rows"]:
        values = [row[key] for key in ("auc", "gauc", "logloss")]
        values += [row["frozen"]["auc"] if row["frozen"] else None, row["tau"]]
        rows.append([row["name"], *("" if value is None else _mean(value) for value in values)])
    text += table("", titles, rows).text(least=(0, 24, 24, 24, 24, 24))
    text += [f"{pair['treatment']} - {pair['control']}: AUC {_gain(pair['users'])}" for pair in results["contrasts"]]
    text += [f"{found['mechanism'].upper()}: {found['word']}. {found['reason']}" for found in results["verdicts"]]
    return text


def _mean(value: Record) -> str:
    if value["mean"] is None:
        return "n/a"
    ends = [end for end in value["ci"] or () if end is not None]
    return f"{value['mean']:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")


def _gain(users: Record) -> str:
    lo, hi = users["ci"]
    return "n/a" if lo is None else f"{users['effect']:+.4f}, 95 % over users [{lo:+.4f}, {hi:+.4f}]"


def sweep(results: Record) -> list[str]:
    """A sweep, as a Markdown table: a row per value of the dial."""
    arms = results["arms"]
    against = [name for name, one in arms.items() if any(one["users"])]
    columns = [f"{results['dial']} ({results['unit']})", *(f"`{name}`" for name in arms)]
    columns += [f"`{name}` - `{results['base']}`" for name in against]
    rows = []
    for i, value in enumerate(results["values"]):
        means = [one["auc"][i]["mean"] for one in arms.values()]
        cells = ["n/a" if mean is None else f"{mean:.4f}" for mean in means]
        cells += [spelled(arms[name]["users"][i]) for name in against]
        rows.append([f"{value:g}", *cells])
    return table("", columns, rows).markdown()
