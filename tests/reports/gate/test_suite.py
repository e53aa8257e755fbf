"""The registry: what it declares is what it holds, and it can be laid over another revision's packages."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from reports.gate.manifest import declared, problems
from reports.gate.suite import BENCHMARKS
from reports.gate.suite.moved import imported
from reports.gate.worker import Session, load_suite

SUITE = Path(sys.modules["reports.gate.suite"].__file__).parent


def test_the_manifest_declares_exactly_what_the_registry_holds():
    registry = {n: {"threads": one.threads, "disabled": one.disabled} for n, one in BENCHMARKS.items()}
    assert problems(declared(), registry, None) == {}
    assert list(declared().least) == list(BENCHMARKS)


def test_every_hot_kernel_and_path_has_a_benchmark():
    groups = {one.group for one in BENCHMARKS.values()}
    assert groups == {
        "draws", "top-k", "maxsim", "ema", "store", "auction", "feedback", "market", "user-tower", "retrieval",
        "cascade", "training", "serving",
    }  # fmt: skip
    assert {"user-tower/dssm+cas", "retrieval/dssm", "retrieval/dssm+cs3", "cascade/dssm"} <= set(BENCHMARKS)


@pytest.mark.parametrize("path", sorted(SUITE.glob("*.py")), ids=lambda path: path.name)
def test_a_file_of_the_suite_imports_nothing_of_ours_before_it_is_set_up(path):
    """A revision that lacks one module then lacks the benchmarks of it, not the whole suite."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        else:
            continue
        assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "numpy"}


def test_nothing_of_the_suite_names_itself():
    assert not any("reports.gate" in path.read_text() for path in SUITE.glob("*.py"))


def test_the_suite_loads_under_another_name_with_the_same_benchmarks():
    loaded = load_suite(SUITE)
    assert list(loaded) == list(BENCHMARKS)
    assert loaded["auction/gsp"] is not BENCHMARKS["auction/gsp"]


@pytest.mark.parametrize("name", ["draws/uniforms", "auction/gsp", "feedback/clicks", "market/tick", "top-k/numpy"])
def test_a_check_refuses_a_wrong_result(name):
    case = BENCHMARKS[name].setup()
    result = case.run(None if case.fresh is None else case.fresh())
    case.check(result)
    with pytest.raises((AssertionError, AttributeError, TypeError, IndexError)):
        case.check(np.zeros_like(result) if isinstance(result, np.ndarray) else None)


def test_two_sessions_do_the_same_work():
    """What a benchmark works on follows from fixed seeds."""
    a, b = (BENCHMARKS["market/tick"].setup() for _ in range(2))
    first, second = (case.run(case.fresh()) for case in (a, b))
    assert np.array_equal(first.log.ad, second.log.ad)
    assert np.array_equal(first.log.paid, second.log.paid)


@pytest.mark.parametrize("name", ["training/dssm", "ema/write-repeated", "store/publish", "market/tick"])
def test_what_wears_its_state_can_be_run_and_checked_again_and_again(name):
    session = Session({name: BENCHMARKS[name]}, {})
    assert session.answer({"do": "setup", "name": name}) == {"right": True}
    for _ in range(2):
        assert "error" not in session.answer({"do": "block", "name": name, "repeats": 2, "rounds": 2, "cpu": None})
        assert session.answer({"do": "check", "name": name}) == {"right": True}


def test_set_up_runs_once_and_checks():
    session = Session(BENCHMARKS, {})
    assert session.answer({"do": "setup", "name": "auction/gsp"}) == {"right": True}
    assert session.live["auction/gsp"].last[0] is not None


@pytest.mark.parametrize(
    ("name", "formerly"),
    [("json:dumps", "no_such:dumps"), ("no_such:dumps", "json:dumps")],
    ids=["moved", "an older revision"],
)
def test_what_has_moved_is_found_where_it_is_or_was(name, formerly):
    assert imported(name, formerly=formerly)([1]) == "[1]"


def test_what_is_nowhere_is_missed_at_its_present_place():
    with pytest.raises(ModuleNotFoundError, match="'no_such'"):
        imported("no_such:dumps", formerly="nor_such:dumps")
