"""Feature files -> codes and numbers per entity. Vocabularies and scales come from them alone, never from a log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.datasets.delimited import (
    PLAIN,
    WIDTH,
    Malformed,
    column_blocks,
    integers,
    malformed,
    reals,
    reasons,
)
from simulator.datasets.log import mostly
from simulator.datasets.utf8 import NO_TEXT
from simulator.records import PAD, Flags, Floats, Ints, Keys, Money, Table

UNKNOWN = ("NULL", "null", "NA", "N/A", "<NA>", "NaN", "nan", "None")
"""Spellings of a blank number or list: those of SQL, R, pandas and Python."""
_LIST = r"^ *([0-9]+( *, *[0-9]+)*)? *$"

_SHORTER = "; R's write.table leaves the row names' column out of the header: row.names=FALSE"


class Ids:
    """The ids of one kind of entity; an entity's row is the place of its id."""

    def __init__(self, ids: Ints) -> None:
        self.ids = ids
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]

    def __len__(self) -> int:
        return int(self.ids.size)

    def rows(self, wanted: Ints) -> Keys:
        """int64 ids [n] -> int32 [n], their rows; -1 where there is none."""
        if self.ids.size == 0:
            return np.full(wanted.shape, PAD, dtype=np.int32)
        at = np.minimum(np.searchsorted(self._sorted, wanted), self.ids.size - 1)
        return np.where(self._sorted[at] == wanted, self._order[at], PAD).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One feature file.

    Attributes:
        ids: its entities, in file order.
        codes: column -> int32 [n], places among its sorted distinct values; blank is a value.
        values: column -> those values, as strings.
        reals: column -> float64 [n], NaN where blank.
    """

    ids: Ids
    codes: dict[str, Keys]
    values: dict[str, Any]
    reals: dict[str, Money]

    def table(self, key: str, names: Sequence[str], dense: Sequence[Money]) -> Table:
        """The id itself, then each named column by its own vocabulary; ``dense`` [n] each, standardised."""
        rows = len(self.ids)
        columns = [standard(column) for column in dense]
        return Table(
            codes={key: np.arange(rows, dtype=np.int32), **{name: self.codes[name] for name in names}},
            sizes={key: rows, **{name: int(self.values[name].size) for name in names}},
            dense=np.stack(columns, axis=1) if columns else np.zeros((rows, 0), dtype=np.float32),
        )


def read_side(
    path: Path,
    key: str,
    codes: Sequence[str],
    numbers: Sequence[str],
    *,
    lists: Sequence[str] = (),
    delimiter: str = ",",
    quotes: bool = True,
    signed: Sequence[str] = (),
) -> tuple[Side, list[Malformed]]:
    """Read a feature file without its malformed rows: ids whole and unique, numbers numbers or blank.

    Strings live for a block; what is kept is a code of 4 bytes or a number of 8 per row and column.

    Args:
        path: gzipped or not.
        key: column of the ids.
        codes: columns to be coded by their distinct values.
        numbers: columns of numbers, at least 0 unless they are among ``signed``.
        lists: those among ``codes`` that hold lists of numbers ("39,68"), of which the first is taken.
        delimiter: between columns.
        quotes: whether a cell may stand in quotes.
        signed: those among ``numbers`` that may be negative.

    Raises:
        ValueError: one line naming the file, if it is missing, empty, damaged or lacks a column, or most of its
            rows are malformed.
    """
    ids: list[Ints] = []
    lines: list[Ints] = []
    refused: list[Ints] = []
    whole: dict[str, list[Flags]] = {PLAIN: [], "not a number": [], "not a list of numbers": []}
    coded: dict[str, list[Any]] = {name: [] for name in codes}
    numeric: dict[str, list[Money]] = {name: [] for name in numbers}
    for columns, line, wrong in column_blocks(path, [key, *codes, *numbers], delimiter, quotes=quotes):
        columns = {name: pc.utf8_trim(column, ' "') for name, column in columns.items()}
        text = np.logical_and.reduce([~np.asarray(pc.match_substring(c, NO_TEXT)) for c in columns.values()])
        id_, good = integers(columns[key])
        for name in numbers:
            values, fine = reals(_blanked(columns[name]))
            numeric[name].append(values)
            good &= fine & ~(values < 0) if name not in signed else fine
        listed = np.ones(line.size, dtype=bool)
        for name in codes:
            column = columns[name]
            if name in lists:
                column = _blanked(column)
                listed &= np.asarray(pc.match_substring_regex(column, _LIST), dtype=bool)
                column = pc.utf8_trim_whitespace(pc.list_element(pc.split_pattern(column, ","), 0))
            coded[name].append(pc.dictionary_encode(column))
        whole[PLAIN].append(text)
        whole["not a number"].append(good)
        whole["not a list of numbers"].append(listed)
        ids.append(id_)
        lines.append(line)
        refused.append(wrong)
    line = np.concatenate(lines) if lines else np.zeros(0, dtype=np.int64)
    found = malformed(path.name, WIDTH, np.concatenate(refused)) if refused else []
    if line.size == 0:
        why = (
            f"no well-formed row: {reasons(found)}{_SHORTER}"
            if found
            else "no rows, must hold at least one below its header"
        )
        raise ValueError(f"{path}: {why}")
    good = np.ones(line.size, dtype=bool)
    for kind, parts in whole.items():
        fine = np.concatenate(parts)
        found += malformed(path.name, kind, line[good & ~fine])
        good &= fine
    id_ = np.concatenate(ids)
    first = np.zeros_like(good)
    first[np.flatnonzero(good)[np.unique(id_[good], return_index=True)[1]]] = True
    found += malformed(path.name, f"repeated {key}", line[good & ~first])
    if not first.any():
        raise ValueError(f"{path}: no well-formed row: {reasons(found)}")
    mostly(path, found, line.size + sum(part.size for part in refused))
    vocabularies = {name: _vocabulary(coded.pop(name), first) for name in codes}
    return Side(
        ids=Ids(id_[first]),
        codes={name: places for name, (places, _) in vocabularies.items()},
        values={name: values for name, (_, values) in vocabularies.items()},
        reals={name: np.concatenate(numeric.pop(name))[first] for name in numbers},
    ), found


def with_blanks(side: Side, ids: Ints) -> Side:
    """The side with more entities behind, of whom nothing is known: each of their columns is blank."""
    codes, values = {}, {}
    for name, old in side.values.items():
        values[name] = np.unique(np.append(old, "")) if ids.size else old
        moved = np.searchsorted(values[name], old).astype(np.int32)
        codes[name] = np.concatenate([moved[side.codes[name]], np.zeros(ids.size, dtype=np.int32)])
    return Side(
        ids=Ids(np.concatenate([side.ids.ids, ids])),
        codes=codes,
        values=values,
        reals={name: np.concatenate([v, np.full(ids.size, np.nan)]) for name, v in side.reals.items()},
    )


def standard(values: Money) -> Floats:
    """float32 [n] with mean 0 and deviation 1 over the known values; 0 where unknown, or where all are equal."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(values.shape, dtype=np.float32)
    spread = values[known].std()
    scaled = (values - values[known].mean()) / (spread if spread > 0 else 1.0)
    return np.where(known, scaled, 0.0).astype(np.float32)


def log_or_nan(values: Money) -> Money:
    """Logarithm where positive, NaN elsewhere."""
    return np.log(np.where(values > 0, values, np.nan))


def _blanked(column: Any) -> Any:
    return pc.if_else(pc.is_in(column, pa.array(UNKNOWN, pa.string())), "", column)


def _vocabulary(blocks: list[Any], kept: Flags) -> tuple[Keys, Any]:
    """Dictionary-encoded blocks -> int32 codes of the rows kept, and the sorted distinct values among these."""
    column = pa.chunked_array(blocks).unify_dictionaries().combine_chunks()
    indices = np.asarray(column.indices)[kept]
    used, places = np.unique(indices, return_inverse=True)
    held = np.asarray(column.dictionary.take(pa.array(used)).to_numpy(zero_copy_only=False), dtype=str)
    values, rank = np.unique(held, return_inverse=True)
    return rank[places].astype(np.int32), values
