"""Delimited text -> columns, block by block, with no row lost in silence: what is malformed is counted and named.

Two doors. :func:`scan` is for logs: plain lines, of which a few columns are wanted; memory holds one block of lines,
whatever the length of the file. :func:`column_blocks` is for feature files, where a quoted cell may hold a delimiter.
How a file was written (by R, pyarrow, pandas, Excel) is read off its header: :class:`Form`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from simulator.datasets.form import Form, form_of, refuse_foreign
from simulator.datasets.utf8 import Utf8
from simulator.plugins import nearest
from simulator.records import Flags, Ints, Money

NAMED = 20
"""Lines that a report names per kind; the rest is only counted."""
SHOWN = 3
"""Kinds, and lines of each, that an error names."""
BLOCK = 1 << 20
"""Bytes of text that are read at a time."""
LONGEST = 16 << 20
"""Bytes beyond which a line is taken for a sign that the file is not text."""
WIDTH = "wrong number of columns"
"""Kind of a line that cannot be cut into its columns."""
PLAIN = "not plain text"
"""Kind of a line that holds bytes which are not ASCII: a log of numbers has none; of features, which are not UTF-8."""

Prints = npt.NDArray[np.uint64]


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


class Chunk(NamedTuple):
    """Some lines of a log.

    Attributes:
        file: place of its file among those scanned.
        line: int64 [n], line numbers.
        prints: uint64 [n, 2], equal for lines that are equal in every byte; see :func:`fingerprints`.
        plain: bool [n], lines of ASCII.
        whole: bool [n], lines that are plain and have as many columns as the header.
        cells: strings [m] per wanted column, of the m whole lines.
    """

    file: int
    line: Ints
    prints: Prints
    plain: Flags
    whole: Flags
    cells: list[pa.Array]


def reasons(found: Sequence[Malformed]) -> str:
    """Why rows were left out, the most frequent first: ``"not a whole number: 700 rows (lines 2, 3, 4, ...); ..."``."""
    told = []
    for one in sorted(found, key=lambda one: -one.count)[:SHOWN]:
        more = ", ..." if one.count > SHOWN else ""
        lines = f"line{'s' * (one.count > 1)} {', '.join(map(str, one.lines[:SHOWN]))}{more}"
        told.append(f"{one.kind}: {one.count:,} row{'s' * (one.count > 1)} ({lines})")
    return "; ".join(told) or "it has none"


def malformed(file: str, kind: str, lines: Ints) -> list[Malformed]:
    """A report of the rows at ``lines``, in the order given; empty if there are none."""
    if lines.size == 0:
        return []
    return [Malformed(file=file, kind=kind, count=int(lines.size), lines=tuple(lines[:NAMED].tolist()))]


class Tally:
    """Malformed rows of one file, counted as they are met, in order of their lines."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count: dict[str, int] = {}
        self._lines: dict[str, list[int]] = {}

    def add(self, kind: str, lines: Ints) -> None:
        """Count the rows at ``lines``."""
        self._count[kind] = self._count.get(kind, 0) + int(lines.size)
        named = self._lines.setdefault(kind, [])
        named += lines[: NAMED - len(named)].tolist()

    def sift(self, lines: Ints, flaws: Mapping[str, Flags]) -> Flags:
        """Count rows [n] that have a flaw, each for its first -> bool [n], those that have none."""
        good = np.ones(lines.size, dtype=bool)
        for kind, bad in flaws.items():
            self.add(kind, lines[good & bad])
            good &= ~bad
        return good

    @property
    def found(self) -> list[Malformed]:
        """What was counted, by kind."""
        return [
            Malformed(file=self._file, kind=kind, count=count, lines=tuple(self._lines[kind]))
            for kind, count in self._count.items()
            if count
        ]


def files(folder: Path, pattern: str) -> list[Path]:
    """Files that fit the pattern, one per stem (plain text before gzip), by name."""
    both = {p.name.removesuffix(".gz"): p for p in [*folder.glob(pattern + ".gz"), *folder.glob(pattern)]}
    return [both[name] for name in sorted(both)]


def one_file(folder: Path, name: str) -> Path:
    """The file of that name, gzipped or not; the plain name if there is none."""
    return next(iter(files(folder, name)), folder / name)


def header_of(path: Path, delimiter: str = ",") -> Form:
    """The form of a file by its first line.

    Raises:
        ValueError: one line naming the file, if it is missing, empty, damaged or no text.
    """
    for text in _texts(path, BLOCK):
        refuse_foreign(path, text)
        return form_of(text[: text.index(b"\n")], delimiter)
    raise ValueError(f"{path}: not readable (empty, not even a header)")


def scan(
    paths: Sequence[Path], names: Sequence[str], delimiter: str = ",", *, prints: bool = True, block: int = BLOCK
) -> Iterator[Chunk]:
    """The lines of the files one after another, some at a time.

    Args:
        paths: gzipped or not; all with the same header.
        names: the columns wanted; no other is looked at.
        delimiter: between columns, unless the header says another one. Quotes are dropped: no cell holds a delimiter.
        prints: whether lines are to be told apart; their prints are 0 if not.
        block: bytes of text that are read at a time.

    Raises:
        ValueError: one line naming the file, if it is missing, empty, damaged, lacks a column or has another header
            than the first one.
    """
    first = header_of(paths[0], delimiter)
    places = [_place(paths[0], first, name) for name in names]
    for i, path in enumerate(paths):
        if i and header_of(path, delimiter) != first:
            raise ValueError(f"{path}: header differs from that of {paths[0].name}")
        begin = 1
        for text in _texts(path, block):
            chunk = _chunk(i, begin, text, first, places, prints)
            begin += chunk.line.size
            # The header is the first line of the first block.
            yield chunk if begin - chunk.line.size > 1 else _without_header(chunk)


def column_blocks(
    path: Path, names: Sequence[str], delimiter: str = ",", *, quotes: bool = True
) -> Iterator[tuple[dict[str, pa.Array], Ints, Ints]]:
    """Columns of a feature file as strings (blank is ""), some rows at a time.

    Args:
        path: gzipped or not, with a header.
        names: the columns wanted; no other is converted.
        delimiter: between columns.
        quotes: whether a cell may stand in quotes.

    Yields:
        name -> strings [n], with ``utf8.NO_TEXT`` for bytes that are not UTF-8; int64 [n], the line that each row
        stands in; int64, lines met on the way that have a wrong number of columns (the last block may have no row and
        only those).

    Raises:
        ValueError: one line naming the file, if it is missing, empty, damaged or lacks a column.
    """
    form = header_of(path, delimiter)
    # Lists in cells are quoted where the delimiter stands in them, whatever the header looks like.
    quotes = quotes or form.quoted or form.delimiter != delimiter
    header = form.spelled(quotes=quotes)
    wanted = [header[_place(path, form, name)] for name in names]
    wrong: list[int] = []

    def skip(row: pv.InvalidRow) -> str:
        wrong.append(row.number)
        return "skip"

    at, told = 2, 0
    for batch in _batches(path, wanted, form.delimiter, quotes, skip):
        known = np.array(wrong, dtype=np.int64)
        ahead = np.arange(at, at + batch.num_rows + int((known >= at).sum()))
        lines = np.setdiff1d(ahead, known, assume_unique=True)[: batch.num_rows]
        at = int(lines[-1]) + 1 if lines.size else at
        yield {name: batch.column(i) for i, name in enumerate(names)}, lines, known[told:]
        told = known.size
    if len(wrong) > told:
        yield {name: pa.array([], pa.string()) for name in names}, np.zeros(0, np.int64), np.array(wrong[told:])


def split_columns(lines: pa.Array, width: int, places: Sequence[int], delimiter: str = ",") -> tuple[list[Any], Flags]:
    """Lines without quotes [n] cut at their delimiters.

    Args:
        lines: strings [n].
        width: columns that a whole line has.
        places: which of them are wanted.
        delimiter: between columns.

    Returns:
        strings [m] per place, of the lines that have ``width`` columns; bool [n], which those are.
    """
    cells = pc.split_pattern(lines, delimiter)
    whole = pc.equal(pc.list_value_length(cells), width)
    flat = cells.filter(whole).flatten()
    return [flat.take(pa.array(np.arange(at, len(flat), width))) for at in places], np.asarray(whole, dtype=bool)


def fingerprints(text: npt.NDArray[np.uint8], starts: Ints) -> Prints:
    """Two hashes of each line: the sum of mixed words of 8 bytes, each mixed with its place, and of the line's length.

    Two given lines that differ share both with probability of about 2^-128, so equal prints are taken for equal lines.

    Args:
        text: bytes [t] of the lines, one after another, without their ends.
        starts: [n + 1], where each line begins, and t.

    Returns:
        uint64 [n, 2].
    """
    length = np.diff(starts)
    words = (length + 7) // 8
    first = np.concatenate([[0], np.cumsum(words)])
    padded = np.zeros(int(first[-1]) * 8, dtype=np.uint8)
    padded[np.arange(text.size) + np.repeat(first[:-1] * 8 - starts[:-1], length)] = text
    place = (np.arange(first[-1]) - np.repeat(first[:-1], words)).astype(np.uint64)
    prints = np.empty((length.size, 2), dtype=np.uint64)
    for i in range(2):
        mixed = _mixed(padded.view(np.uint64) ^ _mixed(place * np.uint64(2) + np.uint64(i)))
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
        prints[:, i] = sums[first[1:]] - sums[first[:-1]] + _mixed(length.astype(np.uint64))
    return prints


def integers(column: Any) -> tuple[Ints, Flags]:
    """Strings [n] -> int64 [n] (0 where it is none) and bool [n], where it is a whole number, blanks around it apart.

    R writes 100000 as 1e+05, and only what is exactly that; what Excel writes as 1.65E+12 has lost its last digits.
    """
    if pc.all(pc.and_(pc.ascii_is_decimal(column), pc.less(pc.binary_length(column), 19))).as_py():
        return np.asarray(pc.cast(column, pa.int64())), np.ones(len(column), dtype=bool)
    column = pc.ascii_trim_whitespace(column)
    good = pc.match_substring_regex(column, r"^-?[0-9]{1,18}$")
    values = np.array(pc.cast(pc.if_else(good, column, "0"), pa.int64()))
    whole = np.array(good, dtype=bool)
    if not whole.all():
        rounded = pc.match_substring_regex(column, r"^-?[0-9](\.[0-9]{1,14})?e\+[0-9]{2}$")
        real = np.asarray(pc.cast(pc.if_else(rounded, column, "nan"), pa.float64()))
        exact = (real == np.rint(real)) & (np.abs(real) < 2**53)
        values[exact], whole = real[exact].astype(np.int64), whole | exact
    return values, whole


def reals(column: Any) -> tuple[Money, Flags]:
    """Strings [n] -> float64 [n] (NaN where blank) and bool [n], where it is a finite number or blank."""
    column = pc.ascii_trim_whitespace(column)
    blank = pc.equal(column, "")
    number = pc.match_substring_regex(column, r"^-?[0-9]{1,18}(\.[0-9]*)?([eE][-+]?[0-9]{1,2})?$")
    values = np.asarray(pc.cast(pc.if_else(number, column, "nan"), pa.float64()))
    return values, np.asarray(pc.or_(blank, number), dtype=bool)


def _place(path: Path, form: Form, name: str) -> int:
    """Which column has that name; one of row names, which R and pandas put first, counts as none in a log's lines."""
    if name not in form.names:
        raise ValueError(f"{path}: no column {name!r} in its header{nearest(name, filter(None, form.names))}")
    return form.names.index(name)


def _texts(path: Path, block: int) -> Iterator[bytes]:
    """The bytes of a file, cut after a line's end; the last line gets one if it has none."""
    rest = b""
    sys.audit("open", str(path), "r", 0)  # Arrow opens it unseen by those who listen
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            while new := stream.read(block):
                text = rest + new
                cut = text.rfind(b"\n") + 1
                rest = text[cut:]
                if len(rest) > LONGEST:
                    raise ValueError(f"{path}: not readable (a line of more than {LONGEST:,} bytes)")
                if cut:
                    yield text[:cut]
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: not readable ({str(error).splitlines()[0]})") from error
    if rest:
        yield rest + b"\n"


def _chunk(file: int, begin: int, text: bytes, form: Form, places: Sequence[int], told_apart: bool) -> Chunk:
    raw = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    kept = _of_the_rows(raw, ends, form)
    bytes_ = raw[kept]
    starts = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)[ends]])
    foreign = bytes_ > 127
    plain = np.ones(ends.size, dtype=bool)
    prints = fingerprints(bytes_, starts) if told_apart else np.zeros((ends.size, 2), dtype=np.uint64)
    if foreign.any():
        seen = np.concatenate([[0], np.cumsum(foreign)])
        plain = seen[starts[1:]] == seen[starts[:-1]]
        bytes_ = np.where(foreign, ord("?"), bytes_).astype(np.uint8)
    lines = pa.StringArray.from_buffers(ends.size, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(bytes_))
    shift = int(form.numbered)
    cells, whole = split_columns(
        lines.filter(pa.array(plain)), len(form.names) - shift, [at - shift for at in places], form.delimiter
    )
    understood = plain.copy()
    understood[plain] = whole
    return Chunk(file, np.arange(begin, begin + ends.size), prints, plain, understood, cells)


def _of_the_rows(raw: npt.NDArray[np.uint8], ends: Ints, form: Form) -> Flags:
    """Which bytes of a text are the rows' own: no ends of lines, quotes or row names. bool [bytes]."""
    kept: Flags = raw != ord("\n")
    # Windows' line ends: the carriage return before the end is no part of the line.
    windows = (np.diff(ends, prepend=-1) > 1) & (raw[ends - 1] == ord("\r"))
    kept[ends[windows] - 1] = False
    kept &= raw != ord('"')
    if form.numbered:
        begins = np.concatenate([[0], ends[:-1] + 1])
        cuts = np.append(np.flatnonzero(raw == ord(form.delimiter)), raw.size)
        # A line without a delimiter keeps all of its bytes, and is refused for its width.
        cut = np.minimum(cuts[np.searchsorted(cuts, begins)] + 1, raw.size)
        named = cut <= ends
        inside = np.zeros(raw.size + 1, dtype=np.int64)
        np.add.at(inside, begins[named], 1)
        np.add.at(inside, cut[named], -1)
        kept &= np.cumsum(inside)[:-1] == 0
    return kept


def _without_header(chunk: Chunk) -> Chunk:
    cells = [cell[int(chunk.whole[0]) :] for cell in chunk.cells]
    return Chunk(chunk.file, chunk.line[1:], chunk.prints[1:], chunk.plain[1:], chunk.whole[1:], cells)


def _batches(path: Path, wanted: list[str], delimiter: str, quotes: bool, skip: Any) -> Iterator[pa.RecordBatch]:
    """The rows of a feature file as strings; every physical line counts, empty ones too."""
    try:
        yield from pv.open_csv(
            Utf8(_texts(path, BLOCK)),
            read_options=pv.ReadOptions(use_threads=False, block_size=BLOCK),
            parse_options=pv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quotes else False,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            convert_options=pv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
        )
    except (OSError, EOFError, KeyError, pa.ArrowInvalid) as error:
        raise ValueError(f"{path}: not readable ({str(error).splitlines()[0]})") from error


def _mixed(x: Prints) -> Prints:
    """Finaliser of SplitMix64 (Steele et al., OOPSLA 2014): neighbours become unlike."""
    x = x * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
