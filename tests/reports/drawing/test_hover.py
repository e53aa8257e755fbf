import re

import numpy as np
import pytest

from reports.drawing import hover
from reports.drawing.strokes import MARKS, Row, band, canvas, dot_rows, percent_axis, save, styled


def titles(figure):
    return re.findall(r"<title>(.*?)</title>", save(figure, "svg").decode())


@styled
def drawn(draw):
    figure, (ax,) = canvas(2.0)
    draw(ax)
    return figure


def test_a_line_says_its_label_and_both_axes_at_each_finite_point():
    def draw(ax):
        ax.plot([1, 2, 3], [0.1, np.nan, 0.3], "o-", label="dssm <x>")
        ax.set_xlabel("Day")
        ax.set_ylabel("Lift")
        percent_axis(ax.yaxis)

    assert titles(drawn(draw)) == ["dssm &lt;x&gt; – Day: 1, Lift: +10%", "dssm &lt;x&gt; – Day: 3, Lift: +30%"]


def test_a_band_says_its_interval_though_its_markers_are_unseen():
    curve = {"mean": [0.5, None], "lo": [0.4, None], "hi": [0.6, None]}
    figure = drawn(lambda ax: band(ax, np.array([1.0, 2.0]), curve, MARKS[0]._replace(marker=""), "dssm"))
    assert titles(figure) == ["dssm – 1, 0.5000 [0.4000, 0.6000]"]


def test_a_row_says_its_words():
    figure = drawn(lambda ax: dot_rows(ax, [Row("Revenue", 0.02, (0.01, 0.03), "+2.00%  [+1.00%, +3.00%]", "better")]))
    assert titles(figure) == ["Revenue: +2.00%  [+1.00%, +3.00%]"]


@pytest.mark.parametrize("way", ["bar", "barh"])
def test_bars_say_their_length_and_the_name_of_their_tick(way):
    def draw(ax):
        getattr(ax, way)([0, 1], [412.0, 803.0], 0.6, label="money")
        (ax.set_xticks if way == "bar" else ax.set_yticks)([0, 1], ["random", "popu\nlarity"])

    said = {"bar": ["money – random, 412", "money – popu larity, 803"],
            "barh": ["money – 412, random", "money – 803, popu larity"]}  # fmt: skip
    assert titles(drawn(draw)) == said[way]


def test_scatter_points_say_the_name_that_was_told():
    def draw(ax):
        hover.tell(ax.scatter([1.0], [2.0]), name="dssm")

    assert titles(drawn(draw)) == ["dssm – 1, 2"]


def test_more_words_than_marks_name_none_of_them():
    svg = '<g id="mark-0"><use x="1"/></g><g id="mark-1"><use x="2"/></g>'
    assert hover.titled(svg, {"mark-0": ["a", "b"], "mark-1": ["c"]}) == (
        '<g id="mark-0"><use x="1"/></g><g id="mark-1"><use x="2"><title>c</title></use></g>'
    )


def test_as_many_words_as_points_or_an_error():
    def draw(ax):
        (line,) = ax.plot([0.0, 1.0], [0.0, 1.0], "o")
        hover.tell(line, ["only one"])

    with pytest.raises(ValueError, match="longer"):
        save(drawn(draw), "svg")


def test_a_picture_for_paper_is_untouched_by_words():
    def draw(ax):
        ax.plot([0.0, 1.0], [0.0, 1.0], "o")

    assert b"title" not in save(drawn(draw), "png")
