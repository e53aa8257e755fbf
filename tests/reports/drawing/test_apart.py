"""Words beside crowded marks: none on another, none on a mark, the same every time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.drawing.apart import Spot, label_apart

CROWD = [Spot(1 + 0.02 * (i % 5), 2 + 0.02 * (i // 5), str(i), "#1f2328") for i in range(15)]


def drawn(spots):
    """The words' boxes [n, 4] and the marks' middles [n, 2], both in points."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    ax = figure.subplots()
    ax.plot([spot.x for spot in spots], [spot.y for spot in spots], "o", ms=6)
    ax.set_xlim(0.5, 2)
    ax.set_ylim(1.5, 3)
    label_apart(ax, spots)
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    by_word = {text.get_text(): Text.get_window_extent(text).get_points().ravel() * scale for text in ax.texts}
    middles = ax.transData.transform([(spot.x, spot.y) for spot in spots]) * scale
    frame = ax.bbox.get_points() * scale
    return np.array([by_word[spot.words] for spot in spots]), middles, frame


def test_a_crowd_is_told_apart():
    boxes, middles, frame = drawn(CROWD)
    for (_, a), (_, b) in itertools.combinations(enumerate(boxes), 2):
        across, up = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        assert not (across > 1 and up > 1.5), (a, b)
    for x, y in middles:
        inside = (boxes[:, 0] < x) & (x < boxes[:, 2]) & (boxes[:, 1] < y) & (y < boxes[:, 3])
        assert not inside.any()
    assert (boxes[:, :2] >= frame[0] - 1).all()
    assert (boxes[:, 2:] <= frame[1] + 1).all()


def test_a_word_alone_stands_beside_its_mark_without_a_line():
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    ax.plot([0, 2], [1, 3], "o")
    label_apart(ax, CROWD[:1])
    (text,) = ax.texts
    assert text.arrow_patch is None
    assert np.hypot(*text.get_position()) < 15


def test_the_same_every_time_and_nothing_for_nothing():
    np.testing.assert_array_equal(drawn(CROWD)[0], drawn(CROWD)[0])
    label_apart(None, [])


@pytest.mark.parametrize("words", ["7", "dssm+cs3"])
def test_in_a_corner_words_stay_inside(words):
    boxes, _, frame = drawn([Spot(1.98, 2.98, words, "#1f2328")])
    assert (boxes[:, 2:] <= frame[1] + 1).all()
