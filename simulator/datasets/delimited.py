"""Delimited text -> columns, without losing a row in silence: what is malformed is counted and named by its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from simulator.records import Flags, Ints, Money

NAMED = 20
"""Lines that a report names per kind; the rest is only counted."""
_NEVER = "\x1f"
"""A delimiter that no line holds: a line then is one column."""


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """Rows of one file that were left out for one reason.

    Attributes:
        file: its name.
        kind: what is wrong with them.
        count: how many there are.
        lines: the first :data:`NAMED` of their line numbers; the header is line 1.
    """

    file: str
    kind: str
    count: int
    lines: tuple[int, ...]


def malformed(file: str, kind: str, lines: Ints) -> list[Malformed]:
    """A report of the rows at ``lines``; empty if there are none."""
    if lines.size == 0:
        return []
    return [Malformed(file=file, kind=kind, count=int(lines.size), lines=tuple(lines[:NAMED].tolist()))]


def read_lines(path: Path) -> pa.ChunkedArray:
    """The lines of a text file, gzipped or not, header included; carriage returns are cut off.

    Raises:
        ValueError: one line naming the file, if it is missing, empty or damaged.
    """
    return pc.utf8_rtrim(_table(path, _NEVER, ["line"]).column("line"), characters="\r")


def read_columns(path: Path, names: Sequence[str]) -> tuple[dict[str, pa.ChunkedArray], Ints, list[Malformed]]:
    """Columns of a comma-separated file as strings (blank is ""), quotes understood.

    Args:
        path: gzipped or not, with a header.
        names: the columns wanted; no other is converted.

    Returns:
        name -> strings [rows]; int64 [rows], the line that each row stands in; rows with a wrong number of columns.

    Raises:
        ValueError: one line naming the file, if it is missing, empty, damaged or lacks a column.
    """
    wrong: list[int] = []

    def skip(row: pv.InvalidRow) -> str:
        wrong.append(row.number)
        return "skip"

    table = _table(path, ",", None, wanted=list(names), on_invalid=skip)
    refused = np.array(wrong, dtype=np.int64)
    total = table.num_rows + refused.size
    lines = np.setdiff1d(np.arange(2, total + 2), refused)
    if table.num_rows == 0:
        raise ValueError(f"{path}: no rows, must hold at least one below its header")
    found = malformed(path.name, "wrong number of columns", refused)
    return {name: table.column(name) for name in names}, lines, found


def split_columns(lines: pa.ChunkedArray, width: int, places: Sequence[int]) -> tuple[list[pa.Array], Flags]:
    """Lines without quotes [n] cut at commas.

    Args:
        lines: strings [n].
        width: columns that a whole line has.
        places: which of them are wanted.

    Returns:
        strings [m] per place, of the lines that have ``width`` columns; bool [n], which those are.
    """
    cells = pc.split_pattern(lines.combine_chunks(), ",")
    whole = pc.equal(pc.list_value_length(cells), width)
    kept = cells.filter(whole)
    flat = kept.flatten()
    return [flat.take(pa.array(np.arange(at, len(flat), width))) for at in places], np.asarray(whole, dtype=bool)


def integers(column: Any) -> tuple[Ints, Flags]:
    """Strings [n] -> int64 [n] (0 where it is none) and bool [n], where it is a whole number."""
    good = pc.match_substring_regex(column, r"^-?[0-9]{1,18}$")
    values = pc.cast(pc.if_else(good, column, "0"), pa.int64())
    return np.asarray(values), np.asarray(good, dtype=bool)


def reals(column: Any) -> tuple[Money, Flags]:
    """Strings [n] -> float64 [n] (NaN where blank) and bool [n], where it is a finite number or blank."""
    blank = pc.equal(column, "")
    number = pc.match_substring_regex(column, r"^-?[0-9]{1,18}(\.[0-9]*)?([eE][-+]?[0-9]{1,2})?$")
    values = np.asarray(pc.cast(pc.if_else(number, column, "nan"), pa.float64()))
    return values, np.asarray(pc.or_(blank, number), dtype=bool)


def _table(
    path: Path, delimiter: str, names: list[str] | None, wanted: list[str] | None = None, on_invalid: Any = None
) -> pa.Table:
    """The file as a table of strings, block by block; every physical line counts, empty ones too."""
    columns = names or wanted or []
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            reader = pv.open_csv(
                stream,
                read_options=pv.ReadOptions(use_threads=False, column_names=names),
                parse_options=pv.ParseOptions(
                    delimiter=delimiter,
                    quote_char='"' if names is None else False,
                    ignore_empty_lines=False,
                    invalid_row_handler=on_invalid,
                ),
                convert_options=pv.ConvertOptions(
                    include_columns=wanted, column_types=dict.fromkeys(columns, pa.string())
                ),
            )
            return reader.read_all()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, EOFError, KeyError, pa.ArrowInvalid) as error:
        raise ValueError(f"{path}: not readable ({str(error).splitlines()[0]})") from error
