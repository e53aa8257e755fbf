"""A name is one component of a path, whatever it is; distinct names stay distinct, on file systems of one case too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.experiment import Cell
from simulator.names import component, readable

ODD = (
    "", ".", "..", "../../up", "/etc/passwd", "a/b", "a:b", "a_b", "a\\b", ".hidden", "-rf", "A", "a", "x" * 300,
    "x" * 301, "nul\0", "line\nbreak", "\x1b[31m", "\u202e", "é", "e\u0301", "\ud800", "mine[path=/../../up]", "a~b",
)  # fmt: skip


def test_ordinary_names_are_spelled_as_they_are():
    for name in (
        "burn-in",
        "dssm+cs3@dnn",
        "@dnn",
        "a-a.dssm",
        "dssm[noise=0.1]",
        "maxsim.10000-ads",
        "interference.1e+06",
    ):
        assert component(name) == name


def test_odd_names_stay_inside_and_apart():
    made = [component(name) for name in ODD]
    assert len({one.lower() for one in made}) == len(ODD)
    for one in made:
        assert one.isascii()
        assert one.isprintable()
        assert "/" not in one
        assert one[0] not in ".-"
        assert len(one) <= 100


@given(st.text(), st.text())
def test_any_names(first, second):
    one, other = component(first), component(second)
    assert (one.lower() == other.lower()) == (first == second)
    assert "/" not in one
    assert not one.startswith((".", "-"))
    assert "/" not in readable(first)
    assert readable(first)[0] not in ".-"


@given(st.text(), st.text())
def test_a_cell_never_leaves_its_world(name, variant):
    path = Cell(world=1, name=name, variant=variant).path
    assert len(path.parts) == 2
    assert path.parts[0] == "world-1"
