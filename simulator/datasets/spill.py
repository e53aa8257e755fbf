"""Rows on disk, by bucket: a log in any order goes in block by block and comes out bucket by bucket.

With a day as the bucket that is all it takes to read a log of any length in order of time with one day of it in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.datasets.delimited import PLAIN, WIDTH, Chunk, Malformed, Prints, malformed
from simulator.records import Flags, Ints

Rows = npt.NDArray[np.void]
"""A structured array: a row per row of the log, a named field per column."""
PRINT = ("print", np.uint64, (2,))
_REFUSED = np.dtype([("file", np.int16), ("kind", np.int16), ("line", np.int64), PRINT])


class Spill:
    """Structured rows in a folder, one file per bucket, in the order in which they were added."""

    def __init__(self, folder: Path, dtype: np.dtype[np.void]) -> None:
        folder.mkdir()
        self.dtype = dtype
        self._folder = folder
        self._rows: dict[int, int] = {}

    @property
    def buckets(self) -> list[int]:
        """Buckets that hold a row, ascending."""
        return sorted(bucket for bucket, rows in self._rows.items() if rows)

    def __len__(self) -> int:
        return sum(self._rows.values())

    def add(self, bucket: Ints, rows: Rows) -> None:
        """Append rows [n] to their buckets [n]."""
        order = np.argsort(bucket, kind="stable")
        names, begin = np.unique(bucket[order], return_index=True)
        for name, part in zip(names.tolist(), np.split(rows[order], begin[1:]) if names.size else [], strict=True):
            with self._path(name).open("ab") as file:
                file.write(part.tobytes())
            self._rows[name] = self._rows.get(name, 0) + part.size

    def load(self, bucket: int) -> Rows:
        """The rows of a bucket; none if it is not there.

        Raises:
            ValueError: if the folder is gone.
        """
        if not self._folder.is_dir():
            raise ValueError(f"stream == closed, must be read inside its with-block ({self._folder.name})")
        if not self._rows.get(bucket):
            return np.empty(0, dtype=self.dtype)
        return np.fromfile(self._path(bucket), dtype=self.dtype)

    def slices(self, bucket: int, rows: int) -> Iterator[Rows]:
        """The rows of a bucket, at most ``rows`` at a time."""
        loaded = self.load(bucket)
        for begin in range(0, loaded.size, rows):
            yield loaded[begin : begin + rows]

    def forget(self, bucket: int) -> None:
        """Remove a bucket."""
        self._path(bucket).unlink(missing_ok=True)
        self._rows.pop(bucket, None)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"{bucket}.rows"


class Intake:
    """Lines of a log that are judged: the good ones wait by bucket, the refused ones are kept by file, line and kind.

    Lines that are equal in every byte count once: equal lines meet in one bucket, for what is in them says which.
    """

    def __init__(self, folder: Path, dtype: np.dtype[np.void], files: Sequence[Path]) -> None:
        self.good = Spill(folder / "good", np.dtype([*dtype.descr, PRINT]))
        self._refused = Spill(folder / "refused", _REFUSED)
        self._files = [path.name for path in files]
        self._kinds = [PLAIN, WIDTH]
        self.rows = 0
        self.duplicates = 0

    def take(self, chunk: Chunk, flaws: dict[str, Flags], bucket: Ints, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Judge the lines of a chunk.

        Args:
            chunk: n lines, m of them whole.
            flaws: kind -> bool [m], whole lines that have it; a line is refused for the first of its kinds.
            bucket: int64 [m], where a good line goes; must follow from the line's text.
            columns: field -> [m].
        """
        self._kinds += [kind for kind in flaws if kind not in self._kinds]
        # The last kind that is set wins: go from the last to the first.
        first = np.full(bucket.size, -1, dtype=np.int16)
        for kind in reversed(flaws):
            first[flaws[kind]] = self._kinds.index(kind)
        kind_of = np.where(chunk.plain, self._kinds.index(WIDTH), self._kinds.index(PLAIN)).astype(np.int16)
        kind_of[chunk.whole] = first
        bad = kind_of >= 0
        refused = np.empty(int(bad.sum()), dtype=_REFUSED)
        refused["file"], refused["kind"], refused["line"] = chunk.file, kind_of[bad], chunk.line[bad]
        refused["print"] = chunk.prints[bad]
        self._refused.add(np.zeros(refused.size, dtype=np.int64), refused)
        fine = first < 0
        rows = np.empty(int(fine.sum()), dtype=self.good.dtype)
        for name, values in columns.items():
            rows[name] = values[fine]
        rows["print"] = chunk.prints[chunk.whole][fine]
        self.good.add(bucket[fine], rows)
        self.rows += chunk.line.size

    def unique(self, bucket: int) -> Rows:
        """Rows of a bucket without those whose line was there before, in the order of the files. Call once a bucket."""
        rows = self.good.load(bucket)
        first = first_of_each(rows["print"])
        self.duplicates += rows.size - first.size
        return rows[first]

    def malformed(self) -> list[Malformed]:
        """The refused rows by kind and file. Call once."""
        refused = self._refused.load(0)
        first = first_of_each(refused["print"])
        self.duplicates += refused.size - first.size
        refused = refused[first]
        found = []
        for kind, name in enumerate(self._kinds):
            for i, file in enumerate(self._files):
                found += malformed(file, name, refused["line"][(refused["kind"] == kind) & (refused["file"] == i)])
        return found


def narrowed(rows: Rows, dtype: np.dtype[np.void]) -> Rows:
    """The fields of ``dtype``, by name."""
    out = np.empty(rows.size, dtype=dtype)
    for name in dtype.names or ():
        out[name] = rows[name]
    return out


def first_of_each(prints: Prints) -> Ints:
    """Places of the first of each set of equal rows of uint64 [n, 2], ascending."""
    order = np.lexsort((prints[:, 1], prints[:, 0]))
    held = prints[order]
    new = np.ones(order.size, dtype=bool)
    new[1:] = (held[1:] != held[:-1]).any(axis=1)
    return np.sort(order[new])
