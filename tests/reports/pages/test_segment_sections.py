"""What the page says of segments and guardrails, and what its picture shows."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pytest

from reports.pages.ab import guardrails, segments
from tests.reports import sample_run


@pytest.fixture
def results() -> dict[str, Any]:
    return sample_run.results()


def rows_of(table: Any) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


class TestSegments:
    def test_what_is_beyond_luck_is_said_with_its_sign(self, results):
        assert (
            segments.section(results).lead
            == "Beyond luck (q below 0.05): Cold users, revenue, expected: \N{MINUS SIGN}5.00%."
        )

    def test_luck_is_called_luck(self, results):
        results["segments"][0]["q"] = 0.2
        assert segments.section(results).lead.startswith("No segment's gain or loss stands out of luck")

    def test_a_change_without_a_good_side_is_no_gain(self, results):
        results["segments"][3] |= {"q": 0.001, "ci": [0.01, 0.02]}
        assert "New ads" not in segments.section(results).lead

    def test_nothing_was_tested(self, results):
        for row in results["segments"]:
            row["q"] = None
        assert segments.section(results).lead == "No segment could be tested."

    def test_the_table_has_every_row_with_its_counts(self, results):
        table, rules = segments.section(results).tables
        assert len(table.rows) == 4
        assert rows_of(table)[0] == [
            "Cold users",
            "Revenue, expected",
            "9,800",
            "9,310",
            "\N{MINUS SIGN}5.00%",
            "[\N{MINUS SIGN}6.00%, \N{MINUS SIGN}4.00%]",
            "< 0.001",
            "< 0.001",
            "812",
            "41,250 and 41,804",
        ]
        assert table.rows[0][4].tone == "bad"
        assert rows_of(rules) == [["Cold users", "fewer than 10 impressions"], ["New ads", "start after the burn-in"]]
        assert "5 worlds" in segments.section(results).caption

    def test_the_picture_has_a_panel_for_each_measure(self, results):
        assert {name: len(rows) for name, rows in segments.measures(results).items()} == {
            "Revenue, expected": 2,
            "Clicks, expected": 1,
            "Impressions": 1,
        }
        figure = segments.figure(results)
        shown = [text.get_text() for text in figure.findobj(mpl.text.Text)]
        assert len(figure.axes) == 3
        assert [ax.get_title(loc="left") for ax in figure.axes] == list(segments.measures(results))
        assert sum(text.startswith("\N{MINUS SIGN}5.00%  [") for text in shown) == 1


class TestGuardrails:
    def test_harm_comes_first(self, results):
        assert guardrails.section(results).lead == "Broken: Revenue from cold users. Harmed: Gini of impressions."

    def test_what_is_not_shown_or_dropped_is_said(self, results):
        for row, state in zip(results["guardrails"], ("dropped", "not shown", "holds", "holds"), strict=False):
            row["state"] = state
        results["guardrails"][0]["why"] = "it is 0 in both arms"
        names = [row["label"] for row in results["guardrails"]]
        lead = guardrails.section(results).lead
        assert f"Not shown: {names[1]}." in lead
        assert f"{names[0]}: it is 0 in both arms." in lead

    def test_no_harm(self, results):
        for row in results["guardrails"]:
            row["state"] = "holds"
        assert guardrails.section(results).lead == "Every guardrail holds, and nothing that is watched is harmed."

    def test_what_only_is_watched_has_no_limit(self, results):
        (table,) = guardrails.section(results).tables
        assert [row[-2:] for row in rows_of(table)] == [
            ["2.00%", "holds"],
            ["2.00%", "broken"],
            ["watched only", "harmed"],
        ]
        assert [row[-1].tone for row in table.rows] == ["", "bad", "bad"]
