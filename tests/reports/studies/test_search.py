"""The search: an equal budget, a start for all, and a winner whose neighbours are known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.studies.tuning.search import Space, search

SPACE = Space(
    ladders={"a": (1, 2, 4, 8, 16, 32), "b": tuple(range(9)), "c": (0.0, 0.1, 0.2)},
    start={"a": 2, "b": 1, "c": 0.0},
    natural=("c",),
)


def bowl(centre):
    return lambda point: -sum((x - y) ** 2 for x, y in zip(point, centre, strict=True))


@given(st.tuples(st.integers(0, 5), st.integers(0, 8), st.integers(0, 2)), st.integers(30, 60))
@settings(max_examples=60, deadline=None)
def test_finds_the_top_of_a_bowl_and_knows_that_it_is_one(centre, budget):
    found = search(SPACE, bowl(centre), budget)
    assert found.best == centre
    assert found.surrounded


@given(st.integers(1, 200), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_spends_exactly_its_budget_on_distinct_points(budget, seed):
    asked = []
    found = search(SPACE, lambda point: asked.append(point) or math.sin(hash(point)), budget, seed)
    assert len(asked) == len(set(asked)) == len(found.tried) == min(budget, SPACE.size())
    assert asked[0] == SPACE.first()
    assert found.tried[found.best] == max(found.tried.values())


def test_the_same_search_again_asks_the_same():
    one, two = (search(SPACE, bowl((3, 5, 0)), 25, seed=7) for _ in range(2))
    assert list(one.tried) == list(two.tried)


def test_a_failed_point_never_wins():
    found = search(SPACE, lambda point: math.nan if point[0] > 1 else float(point[0]), 40)
    assert found.best[0] == 1


def test_ends_of_ladders_are_named_unless_natural():
    assert SPACE.on_boundary((0, 4, 0)) == ["a"]
    assert SPACE.on_boundary((5, 8, 2)) == ["a", "b", "c"]
    assert SPACE.on_boundary((2, 4, 0)) == []


def test_not_surrounded_when_the_budget_ends_on_the_way():
    assert not search(SPACE, bowl((5, 8, 2)), 5).surrounded


def test_a_start_off_the_ladder_is_one_line():
    with pytest.raises(ValueError, match=r"start\.a == 3, must be one of \[1, 2, 4"):
        Space(ladders=SPACE.ladders, start={"a": 3, "b": 1, "c": 0.0}).first()
    with pytest.raises(ValueError, match="budget == 0"):
        search(SPACE, bowl((0, 0, 0)), 0)
