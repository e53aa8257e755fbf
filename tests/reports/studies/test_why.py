"""One request lived again: the same slates and prices as in the log of the run, and every stage adds up."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.studies.ab.study import Plan, run_ab
from reports.studies.replay.study import lines, why
from simulator.experiment import Cell
from simulator.log import read_parquet
from simulator.records import Impressions
from tests.reports.studies.tiny import tiny

ARMS = ("popularity", "dssm+cms")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenario = tiny("run.days=2", "run.worlds=1", "cascade.ranker_noise=0.3")
    plan = Plan(scenario=scenario, control=ARMS[0], treatment=ARMS[1], small=True, command="cs3bench ab")
    root, _ = run_ab(plan, tmp_path_factory.mktemp("why") / "run", 1, quiet=True)
    return root


def log_of(root: Path, arm: str) -> Impressions:
    found: Impressions = read_parquet(Impressions, root / "cells" / Cell(world=1, name=arm).path / "log.parquet")
    return found


def test_every_stage_of_a_request(finished: Path) -> None:
    logs = {arm: log_of(finished, arm) for arm in ARMS}
    request = int(logs["popularity"].request[-1])  # on the second day, after both have learned from their own
    found = why(finished, request)
    assert list(found["arms"]) == list(ARMS)
    for arm, one in found["arms"].items():
        assert one["same_as_logged"] is True
        assert one["ranked"] <= 8
        assert one["retrieved"] <= one["eligible"]
        shown = [row for row in one["candidates"] if row["slot"] is not None]
        log = logs[arm][logs[arm].request == request]
        assert sorted(row["ad"] for row in shown) == sorted(log.ad.tolist())
        assert [row["score"] for row in one["candidates"]] == sorted(
            (r["score"] for r in one["candidates"]), reverse=True
        )
        assert shown[0]["slot"] == 0
        for row in shown:
            assert row["price"] <= row["bid"] + 1e-12
            assert row["spent"] <= row["budget"] + 1e-9
            assert row["examined"] is not None
        best = one["best_by_truth"]
        assert best["lost_at"] in ("", "the auction", "retrieval")
    text = "\n".join(lines(found))
    assert f"request {request} of world 1" in text
    assert "NO" not in text


def test_refusals(finished: Path) -> None:
    for request, more, said in (
        (3, {}, "request == 3, must be one of the test's, 300 to 899"),
        (400, {"world": 9}, "world == 9, must be 1 to 1"),
        (400, {"arms": ["hit"]}, "arm == 'hit', must be one of the run's: popularity, dssm"),
    ):
        with pytest.raises(ValueError, match=said):
            why(finished, request, **more)
