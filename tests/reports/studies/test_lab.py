"""A whole laboratory in seconds: the truth is that of plain markets, estimates are made by hand, A/A is exactly 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.pages.lab.page import write_page
from reports.studies.lab import study as lab
from reports.studies.lab.live import Live, estimate
from reports.studies.lab.study import Plan, run_lab, tasks_of
from reports.studies.market.stage import Stage
from simulator.current_truth import CurrentTruth
from simulator.designs import LIVE, DesignConfig
from simulator.experiment import read_json
from simulator.marketplace import Marketplace, learn_from_log
from simulator.ranking import OracleRanker
from simulator.records import concatenate
from simulator.retrieval import PopularityRetriever
from simulator.scenario import Scenario, load
from tests.reports.run_contract import check_run

SETS = (
    "world.users=150", "world.ads=60", "world.advertisers=12", "world.base_logit=-1.0", "traffic.requests_per_day=300",
    "cascade.candidates=8", "cascade.tick=7200", "cascade.sync=7200", "logging.pool=30", "run.burn_in=1", "run.days=2",
    "run.worlds=2",
)  # fmt: skip


def scenario(*more: str) -> Scenario:
    return load("laboratory", small=True, sets=[*SETS, *more])


def plan(**more) -> Plan:
    given = {"meters": ("interference",), "tightness": (1e9, 2.0), "shares": (0.5,), "small": True}
    return Plan(scenario=scenario(), **(given | more))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, _ = run_lab(plan(), tmp_path_factory.mktemp("lab") / "run", 1, quiet=True)
    return root


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage.lived(scenario(), 501, true_ranker=True)


def test_it_is_read_back(finished: Path) -> None:
    check_run(finished, "lab", "designs", "per_world")


def test_every_design_beside_the_truth(finished: Path) -> None:
    results = read_json(finished / "results.json")
    found = results["meters"]["interference"]
    assert [one["budget_clicks"] for one in found["levels"]] == [1e9, 2.0]
    loose, tight = found["levels"]
    assert loose["bound"] == 0 < tight["bound"]
    for one in (loose, tight):
        rows = one["rows"]
        assert [row["design"] for row in rows if row["estimator"] in ("paired worlds", "plain")] == ["twin", *LIVE]
        for more in ("cuped", "winsorised"):
            assert {row["design"] for row in rows if row["estimator"] == more} == {"user_split", "budget_split"}
        assert [(row["design"], row["looks"]) for row in one["looks"]] == [("user_split", 12), ("budget_split", 12)]
        for row in rows[1:]:
            kept = row["quality"]
            assert kept["n"] == 2
            estimates = kept["bias"] + np.mean(one["truth"]["per_world"])
            assert row["estimate"] == pytest.approx(estimates)
            assert row["cost"]["forgone"] < 1
        assert one["srm_alarms"] == 0


def test_the_truth_is_that_of_plain_markets(finished: Path) -> None:
    s = scenario("world.budget_clicks=2.0")
    stage = Stage.lived(s, 501, true_ranker=True)
    for arm, temperature in (("control", 0.5), ("treatment", 0.0)):
        retriever = PopularityRetriever(stage.world.catalog, 501, temperature=temperature)
        learn_from_log(stage.log, retriever, s.cascade, 0)
        truth = CurrentTruth(stage.world, s.market.feedback)
        waiting = stage.log[stage.log.ready_at > stage.since]
        seam = {"waiting": waiting, "shown": stage.log}
        market = Marketplace(stage.world, s.market, retriever, OracleRanker(truth.pairs), truth=truth, **seam)
        days = [float(market.run_day(day).log.paid.sum()) for day in (1, 2)]
        facts = read_json(finished / "cells" / "world-501" / "interference.2" / "cell.json")
        assert facts["revenue"][arm] == days


def test_an_estimate_by_hand(stage: Stage) -> None:
    market, days = stage.run(["random", "popularity"], DesignConfig(name="user_split"), "own", None)
    log = concatenate([day.log for day in days])
    rate = []
    for arm in (0, 1):
        mine = {
            u for u in range(150) if market.assignment.asked(np.array([u], dtype=np.int32), np.zeros(1, int))[0] == arm
        }
        paid = sum(float(p) for u, p in zip(log.user, log.paid, strict=True) if int(u) in mine)
        rate.append(paid / sum(int(u) in mine for u in stage.requests.user))
    found = estimate(stage, market.assignment, log, stage.requests)
    assert found["rel_effect"] == pytest.approx(rate[1] / rate[0] - 1)
    assert found["lo"] < found["rel_effect"] < found["hi"]


@pytest.mark.parametrize("name", LIVE)
def test_equal_arms_lean_to_neither_side(stage: Stage, name: str) -> None:
    """Over salts the mean of log estimates of an A/A test is 0 within five standard errors."""
    found = []
    for salt in range(6):
        market, days = stage.run(["random", "random"], DesignConfig(name=name, salt=salt), "own", None)
        log = concatenate([day.log for day in days])
        found.append(np.log1p(estimate(stage, market.assignment, log, stage.requests)["rel_effect"]))
    assert abs(np.mean(found)) < 5 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_a_a_has_no_true_effect(tmp_path: Path) -> None:
    same = plan(interference=("random", "random"), tightness=(2.0,), designs=("user_split",))
    _, results = run_lab(same, tmp_path / "run", 1, quiet=True)
    (one,) = results["meters"]["interference"]["levels"]
    assert one["truth"]["rel_effect"] == 0
    assert one["truth"]["ci"] == [0, 0]
    assert one["truth"]["per_world"] == [0, 0]
    # the same slates whoever is on which side, so nothing is forgone either
    assert one["rows"][1]["cost"]["forgone"] == 0


def test_the_contamination_meter(tmp_path: Path) -> None:
    arms = ("popularity[temperature=3.0]", "popularity")
    chosen = plan(meters=("contamination",), contamination=arms)
    root, results = run_lab(chosen, tmp_path / "run", 1, quiet=True)
    (one,) = results["meters"]["contamination"]["levels"]
    assert one["budget_clicks"] == 1e9
    rows = [row for row in one["rows"] if row["estimator"] == "plain"]
    assert [(row["design"], row["training"]) for row in rows] == [
        ("user_split", "own"), ("user_split", "pooled"), ("user_split", "weighted")
    ]  # fmt: skip
    assert len({row["estimate"] for row in rows}) > 1  # what an arm learns from matters
    results, timing, manifest = (read_json(root / f"{name}.json") for name in ("results", "timing", "manifest"))
    assert "weighted" in write_page(results, timing, manifest, root).read_text(encoding="utf-8")


def test_a_finished_laboratory_is_read_and_drawn_again(finished: Path, look: Callable[[Path], None]) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in finished.glob("cells/*/*/cell.json")}
    before = (finished / "results.json").read_bytes()
    run_lab(plan(), finished, 1, quiet=True)
    assert len(stamps) == 4
    assert stamps == {path: path.stat().st_mtime_ns for path in finished.glob("cells/*/*/cell.json")}
    assert (finished / "results.json").read_bytes() == before
    results, timing, manifest = (read_json(finished / f"{name}.json") for name in ("results", "timing", "manifest"))
    text = write_page(results, timing, manifest, finished).read_text(encoding="utf-8")
    tables = (finished / "tables.md").read_text(encoding="utf-8")
    for name in ("twin", *LIVE):
        assert f"<td>{name}</td>" in text
        assert f"| {name} |" in tables
    assert "://" not in text.replace("http://www.w3.org", "")
    assert (finished / "figures" / "interference.svg").exists()
    look(finished / "index.html")
    with pytest.raises(ValueError, match="schema of the laboratory's results == 9, must be 1"):
        write_page(results | {"schema": 9}, timing, manifest, finished)


def test_refusals() -> None:
    for broken, said in (
        (plan(shares=(0.5, 0.5)), r"shares == \[0.5, 0.5\], must be different numbers above 0"),
        (plan(shares=(1.0,)), r"shares == \[1.0\], must be below 1"),
        (plan(tightness=(0.0,)), r"tightness == \[0.0\], must be different numbers above 0"),
        (plan(shares=(0.3,)), r"design.share == 0.3, must be 1/m or 1 - 1/m in a switchback"),
        (plan(interference=("popularty", "random")), "did you mean 'popularity'"),
    ):
        with pytest.raises(ValueError, match=said):
            lab.check(broken)


def test_cells_know_their_level() -> None:
    tasks = tasks_of(plan(), Path("x"))
    assert {(cell.variant, task.scenario.world.budget_clicks) for cell, task in tasks.items()} == {
        ("1e+09", 1e9),
        ("2", 2),
    }
    assert all(task.lives == tuple(Live(design=of_name(name)) for name in LIVE) for task in tasks.values())
    assert [task.index for task in tasks.values()] == list(range(4))


def of_name(name: str) -> DesignConfig:
    return DesignConfig(name=name, share=0.5, block=lab.BLOCK)  # type: ignore[arg-type]


def test_plans_differ_by_what_they_run() -> None:
    assert plan().identity() == plan(command="something else").identity()
    assert plan().identity() != replace(plan(), shares=(0.1,)).identity()
