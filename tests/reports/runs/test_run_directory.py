"""docs/run-directory.md tells what a run leaves behind, all of it and nothing else; the check itself can fail."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

from reports.runs.kinds.registry import kinds
from tests.reports.schema_doc import columns_of, disagreements, keys_of, rows_of, unknown_files


@pytest.fixture
def results(finished):
    return json.loads((finished / "results.json").read_text())


def test_every_kind_has_its_keys():
    for kind in set(kinds()) - {"market-tune"}:
        assert ("kind",) in keys_of(kind, "results.json"), kind
    assert {row[0] for row in rows_of("Shapes")} >= {"metric", "curve", "quantile"}


@pytest.mark.parametrize("name", ["log", "ledger"])
def test_parquet_columns(finished, name):
    found, told = columns_of(finished / "cells" / "world-1" / "dssm" / f"{name}.parquet")
    assert found == told


def test_files(finished, tmp_path):
    assert unknown_files(finished) == []
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "stray.bin").write_text("")
    assert unknown_files(tmp_path) == ["stray.bin"]


class TestTheCheckCanFail:
    def test_a_whole_run_agrees(self, results):
        assert disagreements(results, keys_of("ab", "results.json")) == []

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda r: r.update(novel=1), "novel: in the file, not on the page"),
            (lambda r: r.pop("slots"), "slots: on the page, not in the file"),
            (lambda r: r["verdict"].update(odds=2), "verdict.odds: in the file, not on the page"),
            (
                lambda r: r["metrics"]["revenue"].pop("p"),
                "metrics.revenue: a metric has not ['p'], has []",
            ),
            (
                lambda r: r["verdict"]["lights"][0].update(colour=1),
                "verdict.lights[]: a light has not [], has ['colour']",
            ),
            (
                lambda r: r["learning"]["dssm"].update(loss=[1.0]),
                "learning.dssm.loss: in the file, not on the page",
            ),
        ],
    )
    def test_each_difference_is_named(self, results, change, said):
        wrong = deepcopy(results)
        change(wrong)
        assert disagreements(wrong, keys_of("ab", "results.json")) == [said]
