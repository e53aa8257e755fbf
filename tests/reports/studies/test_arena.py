"""A whole arena in seconds, and its costs by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from reports.commands.main import main
from reports.pages.arena import figures as arena_figures
from reports.pages.arena.page import write_page
from reports.pages.arena.sections import headline
from reports.studies.arena import costs as arena_costs
from reports.studies.arena import study as arena
from reports.studies.arena.study import ARMS, Plan, role, run_arena, settings
from reports.studies.market.learned import staleness
from reports.studies.market.twins import facts_of
from simulator.experiment import RunDirectory, read_json
from simulator.marketplace import CascadeConfig
from simulator.plugins import RETRIEVERS, registered
from tests.reports.run_contract import check_run
from tests.reports.studies.tiny import tiny

CHOSEN = ("dssm", "random", "dssm+cts", "dssm+cts+shuffled")


def plan(*arms: str, **more: Any) -> Plan:
    return Plan(scenario=tiny("run.latency=5"), arms=arms or CHOSEN, small=True, command="cs3bench arena", **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, _ = run_arena(plan(), tmp_path_factory.mktemp("arena") / "run", 1, quiet=True)
    return root


def test_every_arm_is_held_against_the_reference(finished: Path) -> None:
    results = read_json(finished / "results.json")
    assert set(results["arms"]) == set(CHOSEN)
    base = results["arms"]["dssm"]["metrics"]["revenue"]
    assert base["rel_effect"] == 0
    assert "q" not in base
    assert {arm: row["role"] for arm, row in results["arms"].items()} == {
        "dssm": "rival", "random": "reference", "dssm+cts": "rival", "dssm+cts+shuffled": "control"
    }  # fmt: skip
    tested = results["arms"]["dssm+cts"]["metrics"]["expected_revenue"]
    assert tested["q"] >= tested["p"]
    assert "q" not in results["arms"]["random"]["metrics"]["revenue"]
    # the mechanism over the arm without it; a shuffled one is no claim of it
    assert {arm: (one["over"], one["adds"]) for arm, one in results["mechanisms"].items()} == {
        "dssm+cts": ("dssm", "cts")
    }
    assert results["mechanisms"]["dssm+cts"]["word"] in ("supported", "not supported", "undecided")
    assert {light["name"] for light in results["lights"]} >= {"A/A", "Plateau, dssm", "Plateau, dssm+cts", "Budgets"}


def test_it_is_read_back(finished: Path) -> None:
    check_run(finished, "arena", "metrics", "per_world", "mechanisms", "upkeep", "pareto", "impressions")


def test_costs_are_apart_from_the_results(finished: Path) -> None:
    timing = read_json(finished / "timing.json")
    towers = {"dssm", "dssm+cts", "dssm+cts+shuffled"}
    assert towers <= set(timing["latency"])
    assert towers <= set(timing["upkeep"])
    assert timing["upkeep"]["dssm"]["sync_ms"]["value"] > 0
    assert timing["equal_latency"]["dssm"]["k"] == 8
    assert timing["equal_latency"]["dssm"]["rel_effect"] == 0
    assert not (finished / "work").exists()


def test_a_finished_arena_is_read_and_drawn_again(finished: Path, look: Callable[[Path], None]) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in finished.glob("cells/*/*/cell.json")}
    before = (finished / "results.json").read_bytes()
    run_arena(plan(), finished, 1, quiet=True)
    assert stamps == {path: path.stat().st_mtime_ns for path in finished.glob("cells/*/*/cell.json")}
    assert (finished / "results.json").read_bytes() == before
    results, timing, manifest = (read_json(finished / f"{name}.json") for name in ("results", "timing", "manifest"))
    page = write_page(results, timing, manifest, finished)
    text = page.read_text(encoding="utf-8")
    tables = (finished / "tables.md").read_text(encoding="utf-8")
    for arm in CHOSEN:
        assert arm in text
        assert f"| {arm} |" in tables
    assert "://" not in text.replace("http://www.w3.org", "")
    assert headline(results) in tables
    look(page)
    with pytest.raises(ValueError, match="schema of the arena's results == 9, must be 1"):
        write_page(results | {"schema": 9}, timing, manifest, finished)


def test_report_draws_it_again_and_a_bad_arm_is_one_line(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cs3bench", "report", str(finished)])
    main()
    assert "## At equal latency" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["cs3bench", "arena", "--arm", "dssm+cs4", "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cs4" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (("dssm+cs3",), "must hold 'dssm'"),
        (("dssm", "dssm"), "must name each arm once"),
        (("dssm", "dat@bst"), "must have one ranker"),
        (("dssm", "dsm"), "dsm"),
    ],
)
def test_a_bad_choice_of_arms_is_refused_before_anything_runs(tmp_path: Path, arms: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        run_arena(plan(*arms), tmp_path / "run", 1, quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_default_holds_every_registered_backbone_plain_and_with_cs3() -> None:
    towers = set(registered(RETRIEVERS)) - {"random", "popularity", "dssm-bare", "dssm-wide"}
    assert towers <= set(ARMS)
    assert {f"{name}+cs3" for name in towers} <= set(ARMS)
    assert role("dssm-wide") == role("dssm+cs3+shuffled") == "control"
    assert role("oracle") == "reference"


def test_settings_in_brackets_do_not_change_a_role() -> None:
    assert role("popularity[prior=3]") == role("random[pool=3]@dnn") == "reference"
    assert role("dssm-bare[lr=1e-3]") == role("dssm[lr=1e+5]+cs3+shuffled@bst[heads=2]") == "control"
    assert role("dssm[lr=1e-3]") == role("dssm+cms[beta=0.5]") == "rival"


def test_what_a_mechanism_adds_is_told_with_its_settings(finished: Path) -> None:
    run = RunDirectory(finished, read_json(finished / "manifest.json"))
    mine = {arm: facts_of(run, cells) for arm, cells in arena.cells_of(plan()).arms.items()}
    base, other = mine["dssm"], mine["dssm+cts"]
    facts = {"dssm": base, "dssm+cas+cts[alpha=0.5]": other, "dssm+cms@dnn": other, "dssm[lr=1e+5]+cms": other}
    found = arena.added(tiny(), facts)
    assert {arm: (one["over"], one["adds"]) for arm, one in found.items()} == {
        "dssm+cas+cts[alpha=0.5]": ("dssm", "cas+cts[alpha=0.5]"), "dssm+cms@dnn": ("dssm", "cms")
    }  # fmt: skip


def test_controls_have_the_settings_of_what_they_control(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"dssm": {"lr": 1.0}, "dssm+cs3": {"lr": 2.0}}
    monkeypatch.setattr(arena, "shipped", lambda _: known)
    found = settings(("dssm", "dssm-wide", "dssm+cs3", "dssm+cs3+shuffled", "hit", "dssm[width=32]"), "any")
    assert found["dssm-wide"] == found["dssm"] == known["dssm"]
    assert found["dssm+cs3+shuffled"] == known["dssm+cs3"]
    assert found["hit"] == {}


def fact(money: float, recall: float, sweep: tuple[float, ...] = (8.0, 10.0, 12.0)) -> dict[str, Any]:
    return {
        "days": [{"expected_revenue": money}],
        "recall": recall,
        "k_sweep": {"k": [5, 10, 20], "revenue": [money * share for share in sweep]},
    }


def timed(retrieval: float, cascade: tuple[float, float, float] = (1.0, 2.0, 4.0)) -> dict[str, Any]:
    p50 = {"value": retrieval, "lo": retrieval, "hi": retrieval}
    return {"retrieval": {"p50_ms": p50}, "k": {"k": [5, 10, 20], "cascade_p50_ms": list(cascade)}}


def test_who_is_dominated() -> None:
    facts = {
        "fast": [fact(100, 0.4), fact(102, 0.4)],
        "slow and no better": [fact(90, 0.4), fact(92, 0.4)],
        "slow and better": [fact(120, 0.5), fact(122, 0.5)],
        "slow, finds more, earns less": [fact(80, 0.6), fact(82, 0.6)],
        "not timed": [fact(1, 0), fact(1, 0)],
    }
    latency = {arm: timed(1.0 if arm == "fast" else 2.0) for arm in facts if arm != "not timed"}
    found = arena_costs.pareto(facts, latency)
    assert {arm: one["dominated_by"] for arm, one in found.items()} == {
        "fast": None, "slow and no better": "slow and better", "slow and better": None,
        "slow, finds more, earns less": None,
    }  # fmt: skip
    assert found["slow and no better"]["surely"] is True


def test_money_at_equal_latency() -> None:
    scenario = tiny("cascade.candidates=10", "auction.slots=2")
    facts = {"dssm": [fact(1, 0.4), fact(2, 0.4)], "slow": [fact(1, 0.4), fact(2, 0.4)], "far": [fact(1, 0.4)] * 2}
    latency = {"dssm": timed(1.0), "slow": timed(1.0, (1.5, 2.5, 4.5)), "far": timed(1.0, (3.0, 4.0, 5.0))}
    found = arena_costs.equal_latency(scenario, facts, latency, "dssm")
    assert found["dssm"]["k"] == 10
    # 2 ms lie half way between 5 candidates (1.5 ms) and 10 (2.5 ms): 7.5 of them earn 9 where 10 earn 10
    assert found["slow"]["k"] == pytest.approx(7.5)
    assert found["slow"]["rel_effect"] == pytest.approx(-0.1)
    assert found["far"]["k"] is None
    assert "takes 3.00 ms with 5 candidates already, the budget is 2.00" in found["far"]["reason"]
    assert arena_costs.equal_latency(scenario, facts, {}, "dssm") == {}


def test_staleness_by_hand(finished: Path) -> None:
    class Log:
        def __init__(self, time: list[int], ready_at: list[int]) -> None:
            self.time, self.ready_at = np.array(time), np.array(ready_at)

        def __len__(self) -> int:
            return len(self.time)

    burn, log = Log([10, 50], [60, 100]), Log([130, 250], [180, 300])
    found = staleness(burn, log, CascadeConfig(tick=100, sync=100))  # type: ignore[arg-type]
    # published at 100 and at 200; by then 50 and 130 were the newest events with a label
    assert found == {"published_seconds": 40.0, "newest_event_seconds": 100.0}
    results = read_json(finished / "results.json")
    assert 0 < results["arms"]["dssm"]["staleness"]["published_seconds"] < 7200


@pytest.mark.parametrize(("lo", "hi"), [(0.57, 0.76), (0.5, 2.2), (0.96, 1.02), (0.3, 400.0), (0.01, 1e3)])
def test_names_of_a_log_axis_stand_apart(lo: float, hi: float) -> None:
    figure = Figure(figsize=(3, 2))
    ax = figure.subplots()
    ax.set_xscale("log")
    ax.set_xlim(lo, hi)
    arena_figures._plain_log(ax)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
    assert 2 <= len(boxes) <= 9
    assert ax.get_xlim() == (lo, hi)
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
