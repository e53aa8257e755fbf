"""Words of a run that somebody else made stand in a figure, and command nothing."""

from __future__ import annotations

import re
import warnings

import pytest

from reports.drawing.lettering import file_name
from reports.drawing.paper import FORMATS, published
from reports.drawing.strokes import canvas, name_bars, save, styled


@styled
def odd():
    figure, (ax,) = canvas(1.5)
    ax.plot([0, 1], [0, 1], "o", label="a\x07")
    name_bars(ax, ["\x1b]0;owned\x07", "运行一"])
    ax.set_title("title\x1b[2J 运行一")
    ax.set_xlabel("x\x9b")
    ax.legend()
    return figure


def test_commands_are_spelled_and_no_letter_is_missed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = save(odd(), "svg").decode()
        assert save(odd(), "png")
        assert all(published(odd(), form) for form in FORMATS)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", svg)
    for told in (r"\x1b]0;owned\x07", "运行一", r"title\x1b[2J", r"x\x9b", r"<title>a\x07"):
        assert told in svg


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a\nb", "a\x1b", "a b", "-x"])
def test_a_name_that_no_file_has(name):
    with pytest.raises(ValueError, match=r"^figure '.*', must be named with letters") as caught:
        file_name(name)
    assert str(caught.value).isprintable()
