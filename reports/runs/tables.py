"""From the nested dicts of results to rows, and from rows to Arrow.

Three shapes turn into rows. A record ``{"auc": {"mean": m, "ci": [lo, hi]}, "n": 3}`` is one row with the columns auc,
auc_lo, auc_hi, n. A curve ``{"k": [..], "revenue": {"mean": [..], "lo": [..], "hi": [..]}}`` is a row per point. A
metric is a row of its own, and a row per world.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Record = Mapping[str, Any]
Row = dict[str, Any]
PLAIN = ("value", "mean", "effect")
"""Keys of a nested record whose number takes the name of the record."""


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


def of_metrics(metrics: Record, **first: Any) -> list[Row]:
    """A row per metric; ``rel_effect`` of a ratio and ``effect`` of a difference have the columns lo and hi."""
    return [flat(one, **first, metric=key) for key, one in metrics.items()]


def of_worlds(metrics: Record, worlds: Iterable[int], **first: Any) -> Iterator[Row]:
    """A row per metric and world: the relative effect of a ratio, the difference otherwise."""
    for key, one in metrics.items():
        for world, value in zip(worlds, one["per_world"], strict=False):
            yield {**first, "metric": key, "kind": one["kind"], "world": world, "effect": value}


def of_curves(curves: Record | None, name: str = "arm") -> list[Row]:
    """The points of each curve, its key in the column ``name``."""
    return [row for key, curve in (curves or {}).items() for row in points(curve, **{name: key})]


def of_records(records: Record | None, name: str = "arm") -> list[Row]:
    """A row per record, its key in the column ``name``."""
    return [flat(one, **{name: key}) for key, one in (records or {}).items()]


def of_list(records: Iterable[Record] | None) -> list[Row]:
    """A row per record."""
    return [flat(one) for one in records or ()]
