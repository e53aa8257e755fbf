"""The tables of a run: from the nested dicts of its results to Arrow, a row per thing.

Three shapes turn into rows. A record ``{"auc": {"mean": m, "ci": [lo, hi]}, "n": 3}`` is one row with the columns auc,
auc_lo, auc_hi, n. A curve ``{"k": [..], "revenue": {"mean": [..], "lo": [..], "hi": [..]}}`` is a row per point. The
Parquet logs of the cells are put one below the other, with the cell's world and arm in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.runs.load import cells_of
from simulator.experiment import read_json
from simulator.files import DamagedError

if TYPE_CHECKING:
    import pyarrow as pa

    from reports.runs.load import Run

Record = Mapping[str, Any]
Row = dict[str, Any]
PLAIN = ("value", "mean", "effect")
"""Keys of a nested record whose number takes the name of the record."""
LOGS = {"impressions": "log.parquet", "ledger": "ledger.parquet"}


def names(run: Run) -> tuple[str, ...]:
    """The tables that a run has, those of its results first."""
    given = tuple(name for name, rows in _of(run).items() if next(iter(rows()), None) is not None)
    logs = tuple(name for name, file in LOGS.items() if next(_files(run, file), None) is not None)
    return (*given, *logs)


def table(run: Run, name: str) -> pa.Table:
    """One of the tables of a run.

    Raises:
        ValueError: one line naming the file, if a Parquet file is damaged.
    """
    return _logs(run, LOGS[name]) if name in LOGS else to_arrow(_of(run)[name]())


# --- shapes ---------------------------------------------------------------------------------------------------------


def flat(record: Record, **first: Any) -> Row:
    """One row of a record: nested records by their path, ``ci`` as lo and hi; lists are left to tables of their own."""
    row = dict(first)
    for key, value in record.items():
        if key == "ci":
            row["lo"], row["hi"] = value or (None, None)
        elif isinstance(value, Mapping):
            for inner, number in flat(value).items():
                row[key if inner in PLAIN else f"{key}_{inner}"] = number
        elif not isinstance(value, list | tuple):
            row[key] = value
    return row


def points(curve: Record, **first: Any) -> list[Row]:
    """A row for each point of a curve: the lists of the record that are as long as its first one.

    Args:
        curve: its first list is the axis; nested records by their path.
        first: columns that stand before, the same in each row.
    """
    lists = _lists(curve)
    length = len(next(iter(lists.values()), ()))
    kept = {key: values for key, values in lists.items() if len(values) == length}
    return [{**first, **{key: values[i] for key, values in kept.items()}} for i in range(length)]


def _lists(record: Record) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= {key if inner in PLAIN else f"{key}_{inner}": one for inner, one in _lists(value).items()}
        elif isinstance(value, list) and not any(isinstance(one, Mapping | list) for one in value):
            found[key] = value
    return found


def to_arrow(rows: Iterable[Row]) -> pa.Table:
    """Rows with any keys as a table; a column without any value is float64."""
    import pyarrow as pa

    listed = list(rows)
    columns = list(dict.fromkeys(key for row in listed for key in row))
    arrays = {}
    for key in columns:
        values = [row.get(key) for row in listed]
        known = [value for value in values if value is not None]
        if not known and any(other.startswith(f"{key}_") for other in columns):
            continue  # a nested record that some rows lack: its parts are the columns
        if any(isinstance(value, str) for value in known):  # settings hold words and numbers
            values = [None if value is None else str(value) for value in values]
        array = pa.array(values)
        arrays[key] = array.cast(pa.float64()) if pa.types.is_null(array.type) else array
    return pa.table(arrays)


# --- what each kind of run has --------------------------------------------------------------------------------------


def _of(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    return TABLES.get(run.kind, lambda _: {})(run)


def _compared(metrics: Record, **first: Any) -> list[Row]:
    """A row per metric; ``rel_effect`` of a ratio and ``effect`` of a difference have the columns lo and hi."""
    return [flat(one, **first, metric=key) for key, one in metrics.items()]


def _worlds(metrics: Record, worlds: Iterable[int], **first: Any) -> Iterator[Row]:
    """A row per metric and world: the relative effect of a ratio, the difference otherwise."""
    for key, one in metrics.items():
        for world, value in zip(worlds, one["per_world"], strict=False):
            yield {**first, "metric": key, "kind": one["kind"], "world": world, "effect": value}


def _curves(of: Record | None, name: str = "arm") -> list[Row]:
    return [row for key, curve in (of or {}).items() for row in points(curve, **{name: key})]


def _records(of: Record | None, name: str = "arm") -> list[Row]:
    return [flat(one, **{name: key}) for key, one in (of or {}).items()]


def _rows(section: Record | None) -> list[Row]:
    return _each((section or {}).get("rows") or ())


def _each(rows: Iterable[Record]) -> list[Row]:
    return [flat(row) for row in rows]


def _latency(run: Run) -> Iterator[Row]:
    for arm, parts in (run.timing.get("latency") or {}).items():
        for stage in ("retrieval", "cascade"):
            if parts.get(stage):
                yield flat(parts[stage], arm=arm, stage=stage)


def _latency_by_k(run: Run) -> list[Row]:
    timed = run.timing.get("latency") or {}
    return [row for arm, parts in timed.items() for row in points(parts.get("k") or {}, arm=arm)]


def _daily(run: Run) -> Iterator[Row]:
    """The account of every day of every cell."""
    for path in cells_of(run.root):
        if (path / "log.parquet").exists():
            for day, account in enumerate(read_json(path / "cell.json").get("days") or (), 1):
                yield {**_cell(run, path), "day": day, **flat(account)}


def _ab(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    r = run.results
    return {
        "metrics": lambda: _compared(r["metrics"]),
        "per_world": lambda: _worlds(r["metrics"], r["worlds"]),
        "per_day": lambda: points(r.get("per_day") or {}),
        "daily": lambda: _daily(run),
        "guardrails": lambda: _each(r.get("guardrails") or ()),
        "segments": lambda: _each(r.get("segments") or ()),
        "lights": lambda: _each(r["verdict"]["lights"]),
        "learning": lambda: _curves(r.get("learning")),
        "budgets": lambda: _curves(r.get("budgets")),
        "funnel": lambda: _records(r.get("funnel")),
        "k_sweep": lambda: _curves(r.get("k_sweep")),
        "calibration": lambda: [
            row
            for arm, sides in (r.get("calibration") or {}).items()
            for stage, bins in sides.items()
            for row in points(bins, arm=arm, stage=stage)
        ],
        "ladder": lambda: _rows(r.get("ladder")),
        "mechanisms": lambda: _rows(r.get("mechanisms")),
        "references": lambda: _rows(r.get("references")),
        "cost": lambda: _records(r.get("cost")),
        "latency": lambda: _latency(run),
        "latency_by_k": lambda: _latency_by_k(run),
    }


def _arena(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    r, arms = run.results, run.results["arms"]
    return {
        "metrics": lambda: [
            row for arm, one in arms.items() for row in _compared(one["metrics"], arm=arm, role=one["role"])
        ],
        "per_world": lambda: [
            row for arm, one in arms.items() for row in _worlds(one["metrics"], r["worlds"], arm=arm)
        ],
        "daily": lambda: _daily(run),
        "lights": lambda: _each(r["lights"]),
        "learning": lambda: _curves(r.get("learning")),
        "k_sweep": lambda: [row for arm, one in arms.items() for row in points(one["k_sweep"], arm=arm)],
        "cost": lambda: [flat(one["cost"] or {}, arm=arm) for arm, one in arms.items()],
        "mechanisms": lambda: [
            row
            for arm, one in r["mechanisms"].items()
            for row in _compared(one["metrics"], arm=arm, over=one["over"], adds=one["adds"], word=one["word"])
        ],
        "settings": lambda: _records(r.get("settings")),
        "latency": lambda: _latency(run),
        "latency_by_k": lambda: _latency_by_k(run),
        "upkeep": lambda: _records(run.timing.get("upkeep")),
        "pareto": lambda: _records(run.timing.get("pareto")),
        "equal_latency": lambda: _records(run.timing.get("equal_latency")),
    }


def _ablation(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    found = run.results["scenarios"]
    return {
        "metrics": lambda: [
            row
            for name, one in found.items()
            for arm, cell in one["cells"].items()
            for row in _compared(cell["metrics"], scenario=name, arm=arm, word=cell["word"])
        ],
        "per_world": lambda: [
            row
            for name, one in found.items()
            for arm, cell in one["cells"].items()
            for row in _worlds(cell["metrics"], one["worlds"], scenario=name, arm=arm)
        ],
        "steps": lambda: [
            row
            for name, one in found.items()
            for step in one["steps"]
            for row in _compared(
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
        "daily": lambda: _daily(run),
    }


def _offline(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
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
        "verdicts": lambda: _each(r["verdicts"]),
    }


def _sweep(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    r = run.results

    def rows(key: str) -> list[Row]:
        return [
            flat(found, arm=arm, value=value)
            for arm, one in r["arms"].items()
            for value, found in zip(r["values"], one[key], strict=True)
            if found
        ]

    return {"auc": lambda: rows("auc"), "differences": lambda: rows("users")}


def _meters(results: Record, of: str) -> Iterator[Row]:
    for name, meter in results["meters"].items():
        for level in meter["levels"]:
            first = {"meter": name, "budget_clicks": level["budget_clicks"], "bound": level["bound"]}
            if of == "designs":
                yield from (flat(row, **first) for row in level["rows"])
            else:
                for world, value in zip(results["worlds"], level["truth"]["per_world"], strict=True):
                    yield {**first, "world": world, "effect": value}


def _lab(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    found = run.beside.get("results.json", run.results)
    return {"designs": lambda: _meters(found, "designs"), "per_world": lambda: _meters(found, "worlds")}


def _power(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    r = run.results
    return {
        "power": lambda: _curves({name: _days(one) for name, one in r["designs"].items()}, "design"),
        "needed": lambda: _records(r["designs"], "design"),
        "twin": lambda: points(r["twin"]),
        **_lab(run),
    }


def _days(design: Record) -> Row:
    return {key: value for key, value in design.items() if key != "by_users"}


def _sensitivity(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    r = run.results
    measures = [key for key, one in r["levels"][0].items() if isinstance(one, Mapping)]
    return {
        "levels": lambda: [
            row
            for level in r["levels"]
            for row in _compared({key: level[key] for key in measures}, level=level["level"], x=level["x"])
        ],
        "per_world": lambda: [
            row
            for level in r["levels"]
            for row in _worlds({key: level[key] for key in measures}, r["worlds"], level=level["level"])
        ],
        "daily": lambda: _daily(run),
    }


def _late(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    def rows(of: Record) -> list[Row]:
        return [
            flat(row, kind=kind, ads=size["ads"])
            for kind, sizes in (of.get("sizes") or {}).items()
            for size in sizes
            for row in size["rows"]
        ]

    return {"ways": lambda: rows(run.results), "times": lambda: rows(run.timing)}


def _serving(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    r = run.results
    listed = {key: r[key] for key in ("closed", "stages", "cascade", "threads")}
    return {
        **{key: partial(_each, rows) for key, rows in listed.items()},
        "open": lambda: [flat(point, arm=arm) for arm, one in r["open"]["arms"].items() for point in one["points"]],
        "growth": lambda: [
            flat(point, dial=one["dial"], arm=one["arm"]) for one in r.get("growth") or () for point in one["points"]
        ],
        "cost": lambda: _records(r["arms"]),
    }


def _growth(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    return {"sizes": lambda: _each(run.results["rows"]), "fits": lambda: _records(run.results["fits"], "dial")}


def _tune(run: Run) -> dict[str, Callable[[], Iterable[Row]]]:
    return {"models": lambda: _records(run.results["models"], "model")}


TABLES: Mapping[str, Callable[[Any], dict[str, Callable[[], Iterable[Row]]]]] = {
    "ab": _ab,
    "arena": _arena,
    "ablation": _ablation,
    "offline": _offline,
    "sweep": _sweep,
    "lab": _lab,
    "power": _power,
    "sensitivity": _sensitivity,
    "late": _late,
    "latency": _serving,
    "growth": _growth,
    "tune": _tune,
    "market-tune": _tune,
}
"""Kind of run -> its tables by name, each made when it is asked for."""


# --- the cells ------------------------------------------------------------------------------------------------------


def _files(run: Run, name: str) -> Iterator[Path]:
    return (path / name for path in cells_of(run.root) if (path / name).exists())


def _cell(run: Run, path: Path) -> Row:
    """World and name of a cell, as its directories spell them; inside a run of several levels also the level."""
    above = path.relative_to(run.root).parts[:-3]
    level = {"level": above[-1]} if above else {}
    return {**level, "world": int(path.parent.name.removeprefix("world-")), "cell": path.name}


def _logs(run: Run, name: str) -> pa.Table:
    """The Parquet files of one name of all cells, one below the other, each with its world and its cell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    for file in _files(run, name):
        try:
            found = pq.read_table(file, partitioning=None, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            raise DamagedError(f"{file}: not a readable Parquet file ({error})") from error
        for place, (key, value) in enumerate(_cell(run, file.parent).items()):
            same = pa.repeat(pa.scalar(value), found.num_rows)
            found = found.add_column(place, key, same.dictionary_encode() if isinstance(value, str) else same)
        parts.append(found)
    return pa.concat_tables(parts, promote_options="default").unify_dictionaries()
