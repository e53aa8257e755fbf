"""How a delimited file was written, by its first line: R, pyarrow, pandas and Excel each do it in their own way.

- R quotes names and puts row names first, under a blank name (``write.csv``); so does pandas with its index, unquoted.
- pyarrow quotes names.
- Excel begins with a byte order mark, ends lines as Windows does, and writes semicolons where commas are decimal.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

DELIMITERS = (",", ";", "\t", "|")
FOREIGN = {
    b"\x1f\x8b": "gzipped, its name must end in .gz",
    b"PK": "a zip archive or an Excel workbook, must be unpacked or saved as CSV",
    b"\xff\xfe": "UTF-16, must be UTF-8",
    b"\xfe\xff": "UTF-16, must be UTF-8",
    b"PAR1": "Parquet, must be text",
}
"""First bytes -> what a file is that is no text of ours."""


class Form(NamedTuple):
    """How a file is written.

    Attributes:
        names: of its columns, cleaned.
        delimiter: between columns.
        quoted: names, and so perhaps cells, stand in quotes.
        numbered: the first column has no name: it holds row names.
        line: the first line as it stands.
    """

    names: tuple[str, ...]
    delimiter: str
    quoted: bool
    numbered: bool
    line: str

    def spelled(self, *, quotes: bool) -> list[str]:
        """Names as a parser sees them that knows quotes, or does not."""
        return _split(self.line, self.delimiter, quotes=quotes)


def form_of(line: bytes, delimiter: str) -> Form:
    """The form of a file with that first line.

    Args:
        line: without its end.
        delimiter: what is usual; where the line has none of it, the most frequent one of :data:`DELIMITERS`.
    """
    text = line.decode("utf-8-sig", errors="replace").rstrip("\r")
    if delimiter not in text:
        delimiter = max((delimiter, *DELIMITERS), key=text.count)
    quoted = '"' in text
    names = tuple(cleaned(name) for name in _split(text, delimiter, quotes=quoted))
    return Form(names, delimiter, quoted, names[0] == "" and len(names) > 1, text)


def _split(line: str, delimiter: str, *, quotes: bool) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter)) if quotes and line else line.split(delimiter)


def cleaned(name: str) -> str:
    """A column's name without blanks around it, quotes, and the ``table.`` that exports from Hive put before it."""
    return name.strip().strip('"').strip().rsplit(".", 1)[-1]


def refuse_foreign(path: Path, text: bytes) -> None:
    """Refuse what is no text.

    Raises:
        ValueError: one line naming the file and what it is.
    """
    for first, what in FOREIGN.items():
        if text.startswith(first):
            raise ValueError(f"{path}: not readable ({what})")
    if b"\r" in text[: text.index(b"\n")].rstrip(b"\r"):
        raise ValueError(f"{path}: not readable (lines end in carriage returns alone, must end in line feeds)")
