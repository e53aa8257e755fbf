"""The door of a real log: whatever a reader returns is checked here, before any model is built on it.

A fault is one line: the reader, the column, the row, the value got and what was wanted. Arrays leave as the nouns say
them (dtype, native byte order, contiguous, writable): a cast that loses nothing is made in silence, any other refused.
The order is that of :func:`checked`; letters: n rows, U users, A ads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.blame import ContractError, blamed
from simulator.datasets import READERS, reader
from simulator.datasets.delimited import Malformed
from simulator.datasets.log import RealLog, Report, calendar_dates, calendar_days
from simulator.footprint import fits
from simulator.records import DAY, MOST_SLOTS, PAD, Catalog, Flags, History, Impressions, Ints, Table

YEAR = 365 * DAY
LONGEST = 40 * YEAR
"""Seconds beyond which a log's length, or a label's wait, can only be a mistake: no log of clicks is older."""
LATEST = 1 << 32
"""Seconds: no clock of a log shows more, were it to count from 1970."""
UNITS = ((1 / 3600, "hours"), (1 / 60, "minutes"), (1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"))
"""Of a second, how many there are; and the unit."""
ROW_BYTES = 64
"""That a code costs at the least: rows of a retriever's and a ranker's table, while these are made."""
MOST_DENSE = 1e4
"""Roughly standardised features stay far below; models square them, and log what follows in half precision."""
FEW = 0.1
"""Share of the rows up to which those beyond a long gap are taken for a mistake."""
COLUMNS = {
    "request": "int64", "user": "int32", "ad": "int32", "slot": "int8", "time": "int64", "context": "int32",
    "explored": "bool", "bid": "float64", "price": "float64", "paid": "float64", "pctr": "float32",
    "logit": "float32", "hidden": "float16", "ready_at": "int64", "label": "bool",
}  # fmt: skip
"""dtype of each column of the impressions; ``context`` and ``hidden`` have two axes."""

Array = npt.NDArray[Any]


def read_log(name: str, path: str | Path, *, label_wait: int) -> RealLog:
    """The checked log of a reader; what the reader prints goes to stderr, for stdout holds results.

    Args:
        name: of :data:`READERS`, or somebody's ``module:function``.
        path: folder of the log.
        label_wait: seconds from an impression to its label.

    Raises:
        ValueError: one line, for an unknown reader, a log that it cannot read, or a fault of what it returned.
    """
    read = reader(name)
    with redirect_stdout(sys.stderr), blamed(f"data == '{name}', its reader"):
        try:
            found = read(path, label_wait=label_wait)
        except ValueError as error:
            if name not in READERS:
                raise
            # Our own readers name the file and the fault.
            raise ContractError(str(error)) from error
        except SystemExit as stop:
            raise ContractError(f"data == '{name}', its reader left with {stop.code!r}, must return a log") from stop
    return checked(found, name)


def checked(log: object, source: str) -> RealLog:
    """The log with its arrays as the nouns say them.

    Args:
        log: whatever a reader returned.
        source: the reader's name, for the line.

    Raises:
        ValueError: one line on the first fault.
    """
    try:
        whole: RealLog = _noun(log, RealLog, "what it returned")
        catalog = _catalog(_noun(whole.catalog, Catalog, "catalog"))
        rows = _impressions(_noun(whole.impressions, Impressions, "impressions"), catalog)
        date = _array(whole.date, "date", "int64", (len(rows),))
        _check_order(rows)
        _check_clock(rows, date)
        _check_gap(rows.time, date)
        _check_span(rows.time, date)
        _check_dates(rows.time, date)
        _check_test(date, whole.test_date)
        _check_both_classes(rows.label)
        _check_report(_noun(whole.report, Report, "report"), len(rows))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return replace(whole, catalog=catalog, impressions=rows, date=date.astype(np.int32))


# --- arrays ---


def _noun(found: Any, kind: type, what: str) -> Any:
    if not isinstance(found, kind):
        raise ValueError(f"{what} is of type {type(found).__name__}, must be a {kind.__module__}.{kind.__name__}")
    return found


def _array(found: Any, what: str, dtype: str, shape: tuple[int | None, ...], *, blank: bool = False) -> Array:
    """``found`` as a contiguous, writable array of its own kind.

    Args:
        found: what the reader put there.
        what: its name.
        dtype: wanted; the values must fit into it.
        shape: wanted; None where any length is right.
        blank: NaN is a value.
    """
    if not isinstance(found, np.ndarray) or isinstance(found, np.ma.MaskedArray):
        raise ValueError(f"{what} is of type {type(found).__name__}, must be a numpy array of {dtype}")
    if len(found.shape) != len(shape) or any(
        want not in (None, got) for got, want in zip(found.shape, shape, strict=True)
    ):
        wanted = ", ".join("any" if n is None else f"{n}" for n in shape)
        raise ValueError(f"{what}.shape == {found.shape}, must be ({wanted}{',' * (len(shape) == 1)})")
    _check_kind(found, what, np.dtype(dtype), blank)
    return np.require(found, dtype, ["C", "W", "A", "E"])


def _check_kind(found: Array, what: str, dtype: np.dtype[Any], blank: bool) -> None:
    """Refuse values that ``dtype`` cannot hold."""
    wanted = {"i": "whole numbers", "b": "0 or 1", "f": "numbers" if blank else "finite numbers"}[dtype.kind]
    if found.dtype.kind not in ("bu" if dtype.kind == "b" else "u") + "if":
        raise ValueError(f"{what}.dtype == {found.dtype}, must be {dtype} ({wanted})")
    if found.dtype.kind == "f":
        _refuse(np.isinf(found) | (np.isnan(found) & (not blank)), found, what, f"must be {wanted}")
    if dtype.kind == "b":
        _refuse((found != 0) & (found != 1), found, what, f"must be {wanted}")
    elif dtype.kind == "i":
        if found.dtype.kind == "f":
            raise ValueError(f"{what}.dtype == {found.dtype}, must be {dtype} ({wanted})")
        held = np.iinfo(dtype)
        _refuse((found < held.min) | (found > held.max), found, what, f"must fit into {dtype}")
    else:
        _refuse(np.abs(found) > np.finfo(dtype).max, found, what, f"must fit into {dtype}")


def _codes(found: Any, what: str, shape: tuple[int | None, ...], size: int, *, pad: bool = False) -> Array:
    """int32 codes below ``size``; -1 where ``pad`` allows it."""
    codes = _array(found, what, "int32", shape)
    hint = "; pandas.factorize gives -1 to a blank" if (codes == PAD).any() and not pad else ""
    least = PAD if pad else 0
    _refuse((codes < least) | (codes >= size), codes, what, f"must be {least} to {size - 1}{hint}")
    return codes


def _refuse(bad: Flags, values: Array, what: str, must: str) -> None:
    """One line on the first of the bad values."""
    if bad.any():
        at = np.unravel_index(int(np.argmax(bad)), bad.shape)
        count = int(bad.sum())
        more = f" ({count:,} such)" if count > 1 else ""
        raise ValueError(f"{what}[{', '.join(map(str, at))}] == {values[at]}, {must}{more}")


def _whole(found: Any, what: str, least: int) -> int:
    if isinstance(found, bool) or not isinstance(found, int | np.integer) or not least <= found < 2**62:
        raise ValueError(f"{what} == {found!r}, must be a whole number of at least {least}")
    return int(found)


def _vocabulary(found: Any, what: str) -> int:
    """A number of codes, for each of which models can hold a row."""
    size = _whole(found, what, 1)
    fits(ROW_BYTES * size, f"{what} == {size}")
    return size


def _bounded(found: Any, what: str, shape: tuple[int | None, ...]) -> Array:
    """Real features of a size that models can take."""
    values = _array(found, what, "float32", shape)
    _refuse(np.abs(values) > MOST_DENSE, values, what, f"must be within {MOST_DENSE:g} of 0: standardise the column")
    return values


def _rate(found: Any, what: str) -> float:
    if not isinstance(found, float | np.floating | int) or not 0 <= found <= 1:
        raise ValueError(f"{what} == {found!r}, must be a rate from 0 to 1")
    return float(found)


# --- catalog ---


def _catalog(catalog: Catalog) -> Catalog:
    users, ads = (_table(getattr(catalog, f"{key}s"), key) for key in ("user", "ad"))
    categories, segments = (
        _vocabulary(getattr(catalog, name), f"catalog.{name}") for name in ("categories", "segments")
    )
    context = _mapping(catalog.context, "catalog.context")
    rate = _rate(catalog.base_ctr, "catalog.base_ctr")
    if not 0 < rate < 1:
        raise ValueError(f"catalog.base_ctr == {rate}, must be above 0 and below 1")
    return replace(
        catalog,
        users=users,
        ads=ads,
        context={name: _vocabulary(size, f"catalog.context['{name}']") for name, size in context.items()},
        category=_codes(catalog.category, "catalog.category", (ads.rows,), categories),
        categories=categories,
        segment=_codes(catalog.segment, "catalog.segment", (users.rows,), segments),
        segments=segments,
        price=_bounded(catalog.price, "catalog.price", (ads.rows,)),
        history=_history(_noun(catalog.history, History, "catalog.history"), users.rows, ads.rows),
        base_ctr=rate,
    )


def _table(table: object, key: str) -> Table:
    """The features of the users or of the ads, whose ids are ``codes[key]``."""
    name = f"catalog.{key}s"
    found = _noun(table, Table, name)
    dense = _bounded(found.dense, f"{name}.dense", (None, None))
    if dense.shape[0] < 2:
        raise ValueError(f"{name} has {dense.shape[0]} rows, must have at least 2: nothing is told apart in one")
    codes, sizes = (_mapping(getattr(found, part), f"{name}.{part}") for part in ("codes", "sizes"))
    if set(codes) != set(sizes) or key not in codes:
        raise ValueError(f"{name}.sizes has {sorted(sizes)}, must have '{key}' and the names of codes, {sorted(codes)}")
    told = {field: _vocabulary(size, f"{name}.sizes['{field}']") for field, size in sizes.items()}
    kept = {f: _codes(one, f"{name}.codes['{f}']", (dense.shape[0],), told[f]) for f, one in codes.items()}
    _refuse(kept[key] != np.arange(dense.shape[0]), kept[key], f"{name}.codes['{key}']", "must be 0, 1, 2, ...: the id")
    return replace(found, codes=kept, sizes=told, dense=dense)  # type: ignore[no-any-return]


def _mapping(found: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"{what} is of type {type(found).__name__}, must be a dict with names as keys")
    return found


def _history(history: History, users: int, ads: int) -> History:
    items = _codes(history.items, "catalog.history.items", (None, users, None), ads, pad=True)
    if 0 in items.shape:
        raise ValueError(f"catalog.history.items.shape == {items.shape}, must have a day and a place, if only for pads")
    return replace(history, items=items, start=_whole(history.start, "catalog.history.start", -LATEST))


# --- impressions ---


def _impressions(rows: Impressions, catalog: Catalog) -> Impressions:
    n = np.size(rows.request)
    if n == 0:
        raise ValueError("impressions has no row, must have some")
    wide: dict[str, tuple[int | None, ...]] = {"context": (n, len(catalog.context)), "hidden": (n, None)}
    kept = {
        f.name: _array(
            getattr(rows, f.name),
            f"impressions.{f.name}",
            COLUMNS[f.name],
            wide.get(f.name, (n,)),
            blank=f.name in ("pctr", "logit"),
        )
        for f in fields(rows)
    }
    for name, size in (("user", catalog.users.rows), ("ad", catalog.ads.rows)):
        _codes(kept[name], f"impressions.{name}", (n,), size)
    for column, (name, size) in enumerate(catalog.context.items()):
        _codes(kept["context"][:, column], f"impressions.context of '{name}'", (n,), size)
    for name in ("slot", "bid", "price", "paid", "pctr"):
        _refuse(kept[name] < 0, kept[name], f"impressions.{name}", "must not be negative")
    _refuse(kept["slot"] >= MOST_SLOTS, kept["slot"], "impressions.slot", f"must be 0 to {MOST_SLOTS - 1}")
    _refuse(kept["pctr"] > 1, kept["pctr"], "impressions.pctr", "must be at most 1, or NaN")
    return Impressions(**kept)


def _check_order(rows: Impressions) -> None:
    for name in ("request", "time", "ready_at"):
        values = getattr(rows, name)
        back = np.zeros(values.size, dtype=bool)
        back[1:] = (np.less_equal if name == "request" else np.less)(values[1:], values[:-1])
        _refuse(back, values, f"impressions.{name}", "must come after the row before: order the log by it")


def _check_clock(rows: Impressions, date: Array) -> None:
    """Times within what a clock in seconds can say, labels after their rows."""
    time, ready = rows.time, rows.ready_at
    outside = (time < 0) | (time >= LATEST)
    _refuse(outside, time, "impressions.time", f"must be seconds from 0 to {LATEST}{_unit(time, date)}")
    late = (ready < time) | (ready > LONGEST + LATEST) | (ready - time > LONGEST)
    _refuse(late, ready, "impressions.ready_at", "must be seconds, at or after the row's time, from which its label is")


def _check_span(time: Ints, date: Array) -> None:
    span = int(time[-1] - time[0])
    if span > LONGEST:
        raise ValueError(f"impressions.time spans {_long(span)}, must be seconds{_unit(time, date)}")


def _unit(time: Ints, date: Array) -> str:
    """A guess at the unit of a clock that is not in seconds: as long as the dates say, or one that began in 1970."""
    span, last = int(time[-1] - time[0]), int(time[-1])
    day = calendar_days(date)
    days = int(day.max() - day.min())
    sound = bool((calendar_dates(np.maximum(day, 0)) == date).all())
    since_1970 = [name for scale, name in UNITS[2:] if YEAR * 20 < last / scale < LATEST and span / scale <= LONGEST]
    by_date = [name for scale, name in UNITS if abs(span / scale / DAY - days) <= 2] if sound else _of_the_dates(date)
    # Where all rows have one date, every unit that is small enough would do.
    close = since_1970 + by_date if sound and days < 2 else by_date + since_1970
    return f" (in {close[0]}?)" if close else ""


def _of_the_dates(date: Array) -> list[str]:
    """Units of a clock from which dates of a year far beyond ours were made."""
    return [name for scale, name in UNITS[2:] if 22_000_000 < date.max() < 10_000_000 * scale]


def _long(seconds: int) -> str:
    return f"{seconds / YEAR:,.0f} years" if seconds > 10 * YEAR else f"{seconds / DAY:,.1f} days"


def _check_dates(time: Ints, date: Array) -> None:
    """Dates of the calendar, which go along with the times; a log's own day may begin at another hour."""
    day = calendar_days(date)
    wrong = (day < 0) | (calendar_dates(np.maximum(day, 0)) != date)
    far = _of_the_dates(date)
    hint = f" (time in {far[0]}?)" if far else ""
    _refuse(wrong, date, "date", f"must be a day as YYYYMMDD, from 19700101 to 21991231{hint}")
    ahead = day - time // DAY
    apart = np.abs(ahead - int(np.median(ahead))) > 1
    if apart.any():
        at, days, wide = int(np.argmax(apart)), int(day.max() - day.min()), int(time[-1] - time[0])
        raise ValueError(
            f"date[{at}] == {date[at]} at time {time[at]}, must go along with the time: the dates span {days} days,"
            f" the times {_long(wide)}{_unit(time, date) if not days / 2 <= wide / DAY <= 2 * days else ''}"
        )


def _check_gap(time: Ints, date: Array) -> None:
    """A few rows further from all others than these are from each other come from a wrong date, not from a visit."""
    if time.size < 2:
        return
    gaps = np.diff(time)
    at = int(np.argmax(gaps))
    rest = int(time[-1] - time[0] - gaps[at])
    after = time.size - at - 1
    few = min(after, at + 1)
    if gaps[at] > max(rest, 7 * DAY) and few <= FEW * time.size:
        raise ValueError(
            f"impressions.time[{at + 1}] is {_long(int(gaps[at]))} after the row before ({date[at]} to {date[at + 1]}),"
            f" which leaves {few:,} of {time.size:,} rows alone: must be put right or left out"
        )


def _check_test(date: Array, test_date: Any) -> None:
    first = _whole(test_date, "test_date", 19_700_101)
    if calendar_dates(np.maximum(calendar_days(np.array([first])), 0))[0] != first:
        raise ValueError(f"test_date == {first}, must be a day as YYYYMMDD")
    if not (date >= first).any():
        raise ValueError(f"test_date == {first}, must leave a row to test on: the log ends on {date.max()}")
    if (date >= first).all():
        raise ValueError(f"test_date == {first}, must leave a row to learn from: the log begins on {date.min()}")


def _check_both_classes(label: Flags) -> None:
    if label.all() or not label.any():
        all_of = f"impressions.label is {bool(label[0])} in all {label.size:,} rows"
        raise ValueError(f"{all_of}, must be True in some and False in others")


def _check_report(report: Report, rows: int) -> None:
    for name in ("rows", "duplicates", "earlier", "kept", "without_features"):
        _whole(getattr(report, name), f"report.{name}", 0)
    if report.kept != rows:
        raise ValueError(f"report.kept == {report.kept}, must be the number of impressions, {rows}")
    _rate(report.click_rate, "report.click_rate")
    if not isinstance(report.malformed, tuple) or not all(isinstance(one, Malformed) for one in report.malformed):
        raise ValueError(f"report.malformed is of type {type(report.malformed).__name__}, must be a tuple of Malformed")


__all__ = ["checked", "read_log"]
