"""One table for all who print one: aligned columns for a terminal, Markdown, and cells for a page's template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEFT, RIGHT = "l", "r"
GAP = "  "
_RULES = {LEFT: " --- ", RIGHT: " ---: "}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table: its text and its tone ("good", "bad", "warn" or "")."""

    text: str
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        title: above it.
        columns: their names.
        rows: of one cell a column.
        shown: outright on a page, or folded.
        prose: a page aligns all columns left.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shown: bool = False
    prose: bool = False

    def text(self, sides: str = "", *, least: Sequence[int] = ()) -> list[str]:
        """Lines of equal columns, the names first.

        Args:
            sides: ``l`` or ``r`` a column; the last letter holds for the columns after it, all left if empty.
            least: width of each column in letters, at least; of the first ones.
        """
        lines = [self.columns, *(tuple(cell.text for cell in row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        widths = [max(w, least[i] if i < len(least) else 0) for i, w in enumerate(widths)]
        held = _sides(sides, len(widths))
        return [GAP.join(map(_padded, line, widths, held)).rstrip() for line in lines]

    def markdown(self, sides: str = "") -> list[str]:
        """Lines of a Markdown table; ``sides`` as of :meth:`text`, left to the reader's style if empty."""
        rules = [_RULES[side] for side in _sides(sides, len(self.columns))] if sides else ["---"] * len(self.columns)
        rows = (line([cell.text for cell in row]) for row in self.rows)
        return [line(self.columns), f"|{'|'.join(rules)}|", *rows]


def table(
    title: str,
    columns: Iterable[str],
    rows: Iterable[Iterable[str | Cell]],
    *,
    shown: bool = False,
    prose: bool = False,
) -> Table:
    """A :class:`Table` from plain strings or cells."""
    full = tuple(tuple(cell if isinstance(cell, Cell) else Cell(text=cell) for cell in row) for row in rows)
    return Table(title=title, columns=tuple(columns), rows=full, shown=shown, prose=prose)


def line(cells: Iterable[str]) -> str:
    """One row of a Markdown table; a bar in a cell is no border."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _padded(text: str, width: int, side: str) -> str:
    return text.rjust(width) if side == RIGHT else text.ljust(width)


def _sides(sides: str, n: int) -> str:
    """A letter a column."""
    return (sides or LEFT).ljust(n, (sides or LEFT)[-1])


__all__ = ["Cell", "Table", "line", "table"]
