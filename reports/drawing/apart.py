"""Words beside crowded marks: each stands free of the other words and marks, on a leader line where it had to move."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reports.drawing.lettering import lettered
from reports.drawing.strokes import MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Boxes = NDArray[np.float64]

ANGLES = np.deg2rad([45, 135, -45, -135, 22, 158, -22, -158, 0, 180, 68, 112, -68, -112, 90, -90])
"""Directions that are tried; straight up and down, where whiskers are, last."""
STEPS = (0.0, 7.0, 14.0, 22.0, 32.0, 44.0, 58.0)
"""Points further out than the nearest place, tried in turn."""


class Spot(NamedTuple):
    """A mark in data coordinates, its words and their colour; a mark without words only stands in the way of others."""

    x: float
    y: float
    words: str
    colour: str


def label_apart(ax: Axes, spots: Sequence[Spot], *, size: float = 7.5, mark: float = 6.0) -> None:
    """Write each spot's words as near to it as nothing else stands; the axes' limits must be final.

    Greedy from left to right, so that the same figure is the same every time. A word that finds no free place takes the
    one that hides least.

    Args:
        ax: with the marks already drawn.
        spots: what to name.
        size: of the letters, points.
        mark: diameter of the marks, points.
    """
    if not spots:
        return
    with lettered(ax.figure):  # type: ignore[arg-type]
        ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    to_points = 72 / ax.figure.dpi
    place = ax.transData.transform([(spot.x, spot.y) for spot in spots]) * to_points
    frame = ax.bbox.get_points() * to_points
    half = np.array([[0.33 * size * len(spot.words) + 0.5, 0.5 * size + 0.5] for spot in spots])
    taken = np.concatenate([place - mark / 2, place + mark / 2], axis=1)
    for i in np.lexsort((place[:, 1], place[:, 0])):
        if not spots[i].words:
            continue
        tried = [_offset(half[i], mark, angle, step) for step, angle in product(STEPS, ANGLES)]
        boxes = np.array([np.concatenate([place[i] + by - half[i], place[i] + by + half[i]]) for by in tried])
        cost = _hidden(boxes, taken) + 1e3 * _outside(boxes, frame)
        best = int(np.argmin(cost))  # the first of equals is the nearest
        taken = np.concatenate([taken, boxes[best : best + 1]])
        far = best >= len(ANGLES)
        leader = {"arrowstyle": "-", "lw": 0.6, "color": MUTED, "shrinkA": 0, "shrinkB": mark / 2}
        ax.annotate(
            spots[i].words, (spots[i].x, spots[i].y), tuple(tried[best]), textcoords="offset points", ha="center",
            va="center", fontsize=size, color=spots[i].colour, arrowprops=leader if far else None,
        )  # fmt: skip


def _offset(half: Boxes, mark: float, angle: float, step: float) -> Boxes:
    """Where the middle of a word stands from its mark's: just clear of it in that direction, and a step further."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    clear = min((half[axis] + mark / 2 + 0.5) / abs(direction[axis]) for axis in (0, 1) if abs(direction[axis]) > 1e-9)
    return np.asarray((clear + step) * direction)


def _hidden(boxes: Boxes, taken: Boxes) -> Boxes:
    """Area of each box [n, 4] (left, low, right, high) that lies on boxes [m, 4] already there -> [n]."""
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=2).sum(axis=1))


def _outside(boxes: Boxes, frame: Boxes) -> Boxes:
    """How far each box [n, 4] sticks out of a frame [2, 2], points -> [n]."""
    over = np.concatenate([frame[0] - boxes[:, :2], boxes[:, 2:] - frame[1]], axis=1)
    return np.asarray(np.maximum(over, 0).sum(axis=1))
