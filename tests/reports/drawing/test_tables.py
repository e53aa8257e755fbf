"""One table, three ways to write it."""

from __future__ import annotations

import pytest

from reports.drawing.tables import Cell, line, table

FOUND = table("", ("arm", "lift", ""), [["dssm", "0", "base"], ["hit+cs3", Cell(text="+1.5 %", tone="good"), ""]])


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert FOUND.text() == [
        "arm      lift",
        "dssm     0       base",
        "hit+cs3  +1.5 %",
    ]


def test_sides_are_said_by_letters_the_last_one_for_the_rest() -> None:
    assert FOUND.text("lr") == [
        "arm        lift",
        "dssm          0  base",
        "hit+cs3  +1.5 %",
    ]
    assert FOUND.text("lrl", least=(9,))[1] == "dssm            0  base"


def test_markdown_has_a_rule_of_as_many_columns() -> None:
    assert FOUND.markdown() == [
        "| arm | lift |  |",
        "|---|---|---|",
        "| dssm | 0 | base |",
        "| hit+cs3 | +1.5 % |  |",
    ]
    assert FOUND.markdown("lr")[1] == "| --- | ---: | ---: |"


def test_a_bar_in_a_cell_is_no_border() -> None:
    assert line(["a|b", "c"]) == r"| a\|b | c |"


def test_a_table_without_rows_has_its_names() -> None:
    empty = table("", ("a", "b"), [])
    assert empty.text() == ["a  b"]
    assert empty.markdown() == ["| a | b |", "|---|---|"]


def test_a_row_of_another_length_is_a_fault() -> None:
    with pytest.raises(ValueError, match="zip"):
        table("", ("a", "b"), [["1"]]).text()
