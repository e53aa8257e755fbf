"""The world at the seam: an arm that it hands out lives as the arm's own cell did, fresh or restored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.studies.market.cells import BURN_IN, Task, compute
from reports.studies.market.stage import Stage
from simulator.designs import DesignConfig
from simulator.experiment import Cell, RunDirectory
from simulator.log import read_parquet
from simulator.records import Impressions
from tests.reports.studies.tiny import tiny
from tests.simulator.test_log import same

ARM = "dssm+cms@bst"
"""Its ranker is not the one of the burn-in, and what that writes in the rows that wait at the seam is learned."""
S = tiny("feedback.label_wait=20000")


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage.lived(S, 1)


def test_an_arm_alone_is_its_cell(stage: Stage, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, {"identity": {}})
    cells = [Cell(world=1, name=BURN_IN), Cell(world=1, name=ARM, days=1)]
    for cell in cells:
        compute(Task(cell=cell, scenario=S, root=str(tmp_path), identity={}, index=0, full=False), 2)
    logged: Impressions = read_parquet(Impressions, run.cell(cells[1]) / "log.parquet")
    mine = stage.alone(ARM).run_day(1).log
    assert len(mine) == len(logged) > 0
    for name in ("request", "ad", "slot", "price", "paid", "pctr", "logit", "label"):
        assert np.array_equal(getattr(mine, name), getattr(logged, name), equal_nan=name == "logit"), name


def test_an_arm_is_restored_as_it_was_after_the_burn_in(stage: Stage) -> None:
    alone = stage.alone("dssm").run_day(1).log
    for _ in range(2):
        assert same(stage.market(["dssm"], DesignConfig()).run_day(1).log, alone)


def test_the_log_of_an_arm_is_as_its_ranker_would_have_written_it(stage: Stage) -> None:
    for arm, own in ((ARM, True), ("dssm+cms", False)):
        market, log = stage.opened(arm)
        assert (log is not stage.log) == own
        assert np.array_equal(log.ad, stage.log.ad)
        assert np.array_equal(log.pctr, stage.log.pctr) != own
        waiting = market.queue.matured(2 * stage.since)
        assert waiting is not None
        assert same(waiting, log[log.ready_at > stage.since])
