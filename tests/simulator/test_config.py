"""Sections refuse what they do not know; overrides are TOML."""

from __future__ import annotations

import re

import pytest
from pydantic import Field

from simulator.config import Section, merged, overrides, validated


class Inner(Section):
    users: int = Field(3, ge=1)
    rate: float = 0.5


class Outer(Section):
    inner: Inner = Inner()
    name: str = "n"


class TestValidated:
    def test_values(self):
        assert validated(Outer, {"inner": {"users": 7}}, "here") == Outer(inner=Inner(users=7))

    @pytest.mark.parametrize(
        ("values", "line"),
        [
            ({"iner": {}}, "here: unknown key 'iner'; did you mean 'inner'?"),
            ({"inner": {"usrs": 1}}, "here: unknown key 'inner.usrs'; did you mean 'users'?"),
            ({"name": {"deep": 1}}, "here: name == {'deep': 1}, input should be a valid string"),
            ({"inner": {"users": 0}}, "here: inner.users == 0, input should be greater than or equal to 1"),
            ({"inner": {"users": True}}, "here: inner.users == True, input should be a valid integer"),
            ({"inner": {"users": "2"}}, "here: inner.users == '2', input should be a valid integer"),
            ({"inner": {"rate": False}}, "here: inner.rate == False, input should be a valid number"),
            ({"inner": {"rate": "0.5"}}, "here: inner.rate == '0.5', input should be a valid number"),
            ({"inner": {"rate": float("inf")}}, "here: inner.rate == inf, input should be a finite number"),
        ],
    )
    def test_one_line(self, values, line):
        with pytest.raises(ValueError, match=rf"^{re.escape(line)}$"):
            validated(Outer, values, "here")

    def test_frozen(self):
        with pytest.raises(ValueError, match="frozen"):
            Inner().users = 4  # type: ignore[misc]


class TestOverrides:
    def test_values_are_toml_and_a_bare_word_is_a_string(self):
        items = ["a.b=1", "a.c = 2.5", "d=true", "e=word", "f=[1, 2]", 'g="x=y"', "a.h.i=x"]
        assert overrides(items) == {
            "a": {"b": 1, "c": 2.5, "h": {"i": "x"}},
            "d": True,
            "e": "word",
            "f": [1, 2],
            "g": "x=y",
        }

    def test_a_comment_is_no_part_of_a_value(self):
        with pytest.raises(ValueError, match=r"^--set a.b: '2 # two', must be a value without a comment$"):
            overrides(["a.b=2 # two"])
        assert overrides(["a.b=we # two"]) == {"a": {"b": "we # two"}}

    def test_a_long_key_is_cut(self):
        with pytest.raises(ValueError, match="unknown key") as error:
            validated(Outer, overrides([f"{'x' * 5000}=1"]), "here")
        assert len(str(error.value)) < 400

    def test_the_last_one_wins(self):
        assert overrides(["a.b=1", "a.b=2"]) == {"a": {"b": 2}}

    @pytest.mark.parametrize("item", ["a", "=1", "a.=1", ".b=1", ""])
    def test_another_form(self, item):
        with pytest.raises(ValueError, match=r"must be section\.key=value$"):
            overrides([item])


def test_merging_goes_into_sections_and_changes_neither():
    base, over = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "e": 4}
    assert merged(base, over) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
