"""What a mark of a figure says when it is pointed at: one `<title>` per mark, in the SVG itself.

A browser shows the titles by itself; `templates/page.js` shows the same words under a finger and for the keyboard. A
figure may say its own words with `tell`; every other marker, scatter point and bar says its label, its x and its y.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reports.drawing import wording
from reports.drawing.terminal import shown

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SILENT = (None, "", " ", ",", "None", "none")
"""Markers that draw nothing."""


class Told(NamedTuple):
    """What a figure says of an artist's marks: whole sentences, or a name and intervals [n] of y beside the values."""

    words: Sequence[str] | None = None
    name: str | None = None
    ends: tuple[Array, Array] | None = None


def tell(
    artist: Artist,
    words: Sequence[str] | None = None,
    *,
    name: str | None = None,
    ends: tuple[Array, Array] | None = None,
) -> None:
    """Gives the marks of a line or a scatter their words, one for each point [n] in its order.

    Args:
        artist: with the marks.
        words: [n], said as they are; else the marks say name, x and y.
        name: said first, in place of the artist's label.
        ends: lower and upper ends [n] of the interval of y, said after y.
    """
    vars(artist)["told"] = Told(words, name, ends)


def named(figure: Figure) -> dict[str, list[str]]:
    """Names every artist with marks in the SVG (`mark-0`, ...); name -> the words of its finite points, in order."""
    found: dict[str, list[str]] = {}
    for ax in figure.axes:
        for artist, words in _spoken(ax):
            if words:
                name = f"mark-{len(found)}"
                artist.set_gid(name)
                found[name] = words
    return found


def titled(svg: str, words: dict[str, list[str]]) -> str:
    """The SVG of a figure with a `<title>` in each mark of `named`.

    Marks that matplotlib left out, because they are outside the picture, leave their whole artist without titles: words
    on the wrong mark would be worse.
    """
    parts = re.split(r'(?=<g id=")', svg)
    for place, part in enumerate(parts):
        name = re.match(r'<g id="([^"]+)"', part)
        said = words.get(name.group(1)) if name else None
        if not said:
            continue
        marks = list(re.finditer(r"<use [^>]*/>", part)) or list(re.finditer(r"<path [^>]*/>", part))[:1]
        if len(marks) == len(said):
            for mark, text in zip(reversed(marks), reversed(said), strict=True):
                tag = mark.group()[1:].split(None, 1)[0]
                whole = f"{mark.group()[:-2].rstrip()}><title>{html.escape(shown(text))}</title></{tag}>"
                part = part[: mark.start()] + whole + part[mark.end() :]
            parts[place] = part
    return "".join(parts)


def _spoken(ax: Axes) -> Iterator[tuple[Artist, list[str]]]:
    """Every artist with marks, and the words of its finite points."""
    for line in ax.lines:
        if line.get_marker() not in SILENT:
            yield line, _words(ax, line, np.column_stack([line.get_xdata(), line.get_ydata()]))
    for dots in ax.collections:
        offsets = np.ma.getdata(dots.get_offsets())
        if hasattr(dots, "get_sizes") and np.ndim(offsets) == 2 and len(dots.get_sizes()):
            yield dots, _words(ax, dots, offsets)
    for bars in ax.containers:
        for bar in getattr(bars, "patches", ()):
            across = getattr(bars, "orientation", "") == "horizontal"
            middle = (bar.get_x() + bar.get_width() / 2, bar.get_y() + bar.get_height() / 2)
            end = (bar.get_width(), middle[1]) if across else (middle[0], bar.get_height())
            yield bar, _words(ax, bar, np.array([end], dtype=np.float64), str(bars.get_label()))


def _words(ax: Axes, artist: Artist, points: Any, label: str | None = None) -> list[str]:
    """The words of an artist's finite points [n, 2]."""
    points = np.asarray(points, dtype=np.float64)
    usable = np.isfinite(points).all(axis=1) if len(points) else np.zeros(0, dtype=bool)
    told: Told = vars(artist).get("told", Told())
    if told.words is not None:
        return [text for text, use in zip(told.words, usable, strict=True) if use]
    head = told.name or (str(artist.get_label()) if label is None else label)
    names = [" ".join(axis.get_label_text().split()) for axis in (ax.xaxis, ax.yaxis)]
    names[1] = names[1] or ax.get_title(loc="left") or ax.get_title()
    spans = [""] * len(points)
    if told.ends is not None:
        spans = [f" {wording.span(both, partial(_value, ax.yaxis))}" for both in zip(*told.ends, strict=True)]
    said = []
    for (x, y), span, use in zip(points, spans, usable, strict=True):
        if use:
            ends = (_value(ax.xaxis, x), _value(ax.yaxis, y) + span)
            text = ", ".join(f"{name}: {end}" if name else end for name, end in zip(names, ends, strict=True))
            said.append(text if head.startswith("_") else f"{head} \N{EN DASH} {text}")
    return said


def _value(axis: Any, value: float) -> str:
    """A value in the spelling of its axis: the name of its tick, per cent, or a number."""
    from matplotlib.ticker import FuncFormatter

    formatter = axis.get_major_formatter()
    if not isinstance(formatter, FuncFormatter):
        return wording.number(float(value))
    ticks = np.asarray(axis.get_majorticklocs(), dtype=np.float64)
    spelled = formatter(value) or (formatter(ticks[np.abs(ticks - value).argmin()]) if ticks.size else "")
    return " ".join(str(spelled).split()) or wording.number(float(value))
