"""What a figure is called and what stands in it, where a run of somebody else says so: harmless before it is drawn."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reports.drawing.terminal import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_NAME = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@_+\-=,.\[\]]*")
"""Leaves no directory and no line."""


def file_name(name: str) -> str:
    """The name of a figure, if its file can have it.

    Raises:
        ValueError: one line, for any other.

    >>> file_name("late-maxsim")
    'late-maxsim'
    """
    if not FILE_NAME.fullmatch(name):
        raise ValueError(f"figure {name!r:.80}, must be named with letters, digits and @_+-=,.[]")
    return name


@contextmanager
def lettered(figure: Figure) -> Iterator[None]:
    """In this block a figure is drawn with what commands a terminal spelled out, and no word on missing letters.

    The text of an SVG is for the reader's own fonts; elsewhere such letters are boxes.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if (said := shown(text.get_text())) != text.get_text():
            text.set_text(said)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _spell_ticks(axis)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def _spell_ticks(axis: Any) -> None:
    """Ticks are named anew whenever they are drawn."""
    from matplotlib.ticker import FuncFormatter

    names = axis.get_major_formatter()
    if isinstance(names, FuncFormatter):
        name = names.func

        def spelled(value: float, place: int | None = None) -> str:
            return shown(name(value, place))

        names.func = spelled
