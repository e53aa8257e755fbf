"""A whole ablation in seconds; the best cell and the null check by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.commands.main import main
from reports.numbers.factorial import cells
from reports.pages.ablation.page import write_page
from reports.studies.ablation import study as ablation
from reports.studies.ablation.study import Found, Plan, best, null_check, run_ablation, settings_of
from simulator.experiment import read_json
from simulator.scenario import Scenario
from tests.reports.run_contract import check_run
from tests.reports.studies.tiny import SETS, tiny


def plan(*scenarios: Scenario, **more: Any) -> Plan:
    return Plan(scenarios=scenarios or (tiny("run.worlds=2"),), small=True, **{"choosing": 1, **more})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, _ = run_ablation(plan(), tmp_path_factory.mktemp("ablation") / "run", 1, quiet=True)
    return root


def test_every_cell_is_held_against_the_base_on_fresh_worlds(finished: Path) -> None:
    results = read_json(finished / "results.json")
    one = results["scenarios"]["quickstart"]
    assert list(one["cells"]) == list(cells())
    assert one["worlds"] == [1, 2]
    assert results["choosing"] == [801]
    assert one["cells"]["dssm"]["metrics"]["revenue"]["rel_effect"] == 0
    for arm in cells()[1:]:
        metrics = one["cells"][arm]["metrics"]
        assert metrics["expected_revenue"]["q"] >= metrics["expected_revenue"]["p"]
        assert one["cells"][arm]["word"] in ("supported", "not supported", "undecided")
    assert [(step["arm"], step["adds"]) for step in one["steps"]] == [
        ("dssm+cas", "cas"), ("dssm+cas+cms", "cms"), ("dssm+cs3", "cts")
    ]  # fmt: skip
    assert set(one["best"]["all"]) == set(cells()[1:])
    assert one["best"]["all"][one["best"]["arm"]] == max(one["best"]["all"].values())
    assert one["null"] is None
    assert one["counters"]["revenue"]["n_worlds"] == 2
    assert one["counters"]["expected_revenue"]["rel_effect"] > -1
    assert "dssm-bare" not in one["cells"]
    assert "A/A" in {light["name"] for light in one["lights"]}


def test_tau_is_read_every_night_of_fresh_worlds_and_ends_as_the_metric(finished: Path) -> None:
    """Cells of choosing worlds have no final evaluation, and so no nights of it."""
    for path in finished.glob("scenarios/*/cells/world-*/dssm*/cell.json"):
        facts = read_json(path)
        nights = facts["panel"]["tau"]
        if "tau" in facts:
            assert len(nights) == len(facts["panel"]["recall"])
            assert nights[-1] == facts["tau"]
            assert len(set(nights)) == len(nights)
        else:
            assert nights == []


def test_it_is_read_back(finished: Path) -> None:
    check_run(finished, "ablation", "metrics", "steps", "best", "serving", "impressions")


def test_requests_are_timed_apart_from_the_results(finished: Path) -> None:
    timing = read_json(finished / "timing.json")
    served = timing["serving"]["quickstart"]
    assert set(served) == set(cells())
    assert served["dssm"]["qps_change"]["value"] == 0
    assert served["dssm+cs3"]["p50_ms"]["value"] > 0
    assert not (finished / "scenarios" / "quickstart" / "work").exists()
    assert "p50" not in (finished / "results.json").read_text(encoding="utf-8")


def test_a_finished_ablation_is_read_and_drawn_again(
    finished: Path, look: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in finished.glob("scenarios/*/cells/*/*/cell.json")}
    assert len(stamps) == read_json(finished / "manifest.json")["cells"] == 3 * 9 + 2 + 1
    before = (finished / "results.json").read_bytes()
    run_ablation(plan(), finished, 1, quiet=True)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert (finished / "results.json").read_bytes() == before
    monkeypatch.setattr("sys.argv", ["cs3bench", "report", str(finished)])
    main()
    said = capsys.readouterr().out
    for title in (
        "All eight cells",
        "What online counters alone gain",
        "Step by step",
        "Beside the paper",
        "What each mechanism gives",
        "The best cell",
    ):
        assert f"## {title}" in said
    page = (finished / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3
    look(finished / "index.html")
    assert "://" not in page.replace("http://www.w3.org", "")
    results, timing, manifest = (read_json(finished / f"{name}.json") for name in ("results", "timing", "manifest"))
    with pytest.raises(ValueError, match="schema of the ablation's results == 9, must be 1"):
        write_page(results | {"schema": 9}, timing, manifest, finished)


def test_choosing_worlds_are_never_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choosing seeds hold 2, a fresh world of quickstart"):
        run_ablation(plan(choosing_seed=2), tmp_path / "run", 1, quiet=True)
    with pytest.raises(ValueError, match="each once"):
        run_ablation(plan(tiny(), tiny()), tmp_path / "run", 1, quiet=True)
    assert not (tmp_path / "run").exists()


def test_an_unknown_scenario_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [word for item in SETS for word in ("--set", item)]
    monkeypatch.setattr(
        "sys.argv", ["cs3bench", "ablation", "--scenario", "scenario_d", "--out", str(tmp_path / "run"), *sets]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_settings_are_shared_or_each_cells_own(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"dssm": {"lr": 1.0}, "dssm+cas": {"lr": 2.0}, "dssm+cs3": {"lr": 3.0}}
    monkeypatch.setattr(ablation, "shipped", lambda name: known if name == "quickstart" else {})
    assert set(map(str, settings_of("scenario_a", "shared").values())) == {"{'lr': 1.0}"}
    own = settings_of("scenario_a", "own")
    assert own["dssm+cas"] == {"lr": 2.0}
    assert own["dssm+cas+cts"] == own["dssm+cs3"] == {"lr": 3.0}


def earned(*money: float) -> list[dict[str, Any]]:
    return [{"days": [{"expected_revenue": value}]} for value in money]


def test_the_best_is_chosen_on_its_own_worlds_and_told_on_fresh_ones() -> None:
    choosing = {arm: earned(100, 100) for arm in cells()} | {"dssm+cts": earned(110, 110), "dssm+cas": earned(120, 90)}
    fresh = {arm: earned(100, 100, 100) for arm in cells()} | {"dssm+cts": earned(99, 98, 97)}
    found = best(Found(choosing=choosing, fresh=fresh, a_a={}))
    assert found["arm"] == "dssm+cts"
    assert found["chosen"]["rel_effect"] == pytest.approx(0.10)
    assert found["fresh"]["rel_effect"] == pytest.approx((0.99 * 0.98 * 0.97) ** (1 / 3) - 1)
    assert best(Found(choosing={}, fresh=fresh, a_a={})) == {"arm": None}
    broke = choosing | {"dssm+cms": earned(0, 100)}
    assert best(Found(choosing=broke, fresh=fresh, a_a={})) == {"arm": None}


@pytest.mark.parametrize(
    ("ci", "word"),
    [([-0.01, 0.009], "passed"), ([-0.01, 0.02], "too noisy"), ([0.001, 0.005], "failed"), ([None, None], "too noisy")],
)
def test_a_null_world_passes_when_a_gain_of_a_hundredth_is_ruled_out(ci: Any, word: str) -> None:
    assert null_check({"expected_revenue": {"ci": ci}})["word"] == word


def test_without_choosing_worlds_there_is_no_best_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells' own numbers are other tests' business: here they are made up, so that it takes no time."""
    asked: list[Any] = []
    monkeypatch.setattr(ablation, "compute_missing", lambda run, s, tasks, **_: asked.extend(tasks))
    monkeypatch.setattr(ablation, "facts_of", lambda run, mine: [{"world": cell.world} for cell in mine])
    monkeypatch.setattr(ablation, "compared", lambda run, mine: {})
    monkeypatch.setattr(ablation, "_serving", lambda *_: {})
    found, _ = ablation._scenario(plan(choosing=0), tiny("run.worlds=2"), tmp_path, 1, True, None)
    assert {cell.world for cell in asked} == {1, 2}
    assert found.choosing == {}
    assert list(found.fresh) == list(cells())
    assert best(found) == {"arm": None}
