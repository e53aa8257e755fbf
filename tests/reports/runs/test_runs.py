"""`load_run`: numbers, tables and figures of a run, and one line for whatever is wrong with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import reports
from reports import load_run
from reports.runs.tables import flat, points, to_arrow
from tests.reports.run_contract import check_run

BASIC = ("metrics", "per_world", "per_day", "daily", "learning", "latency", "impressions", "ledger")


@pytest.fixture
def copy(made_up, tmp_path) -> Path:
    return Path(shutil.copytree(made_up, tmp_path / "copy"))


def put(file: Path, **changes) -> None:
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, **changes}))


class TestReading:
    def test_a_run_of_the_command_line(self, finished):
        check_run(finished, "ab", *BASIC)

    def test_its_numbers_are_those_of_the_files(self, finished):
        run = load_run(str(finished))
        assert run.results == json.loads((finished / "results.json").read_text())
        assert run.timing == json.loads((finished / "timing.json").read_text())
        assert run.manifest["identity"]["kind"] == "ab"
        assert run.metrics is run.results["metrics"]
        assert run.verdict == (run.results["verdict"]["word"], run.results["verdict"]["reason"])

    def test_metrics_and_worlds(self, made_up):
        run = load_run(made_up)
        found = run.frame("metrics").set_index("metric")
        assert found.loc["revenue", ["control", "lo", "hi"]].tolist() == pytest.approx(
            [101_250.4, *run.metrics["revenue"]["ci"]]
        )
        assert found.loc["recall", "effect"] == pytest.approx(0.036)
        assert pd.isna(found.loc["recall", "rel_effect"])
        worlds = run.frame("per_world")
        assert worlds[worlds.metric == "revenue"].effect.tolist() == run.metrics["revenue"]["per_world"]
        assert worlds[worlds.metric == "revenue"].world.tolist() == run.results["worlds"]
        days = run.frame("per_day")
        assert days.cumulative_lift.tolist() == run.results["per_day"]["cumulative"]["lift"]

    def test_the_log_is_that_of_the_cells(self, finished):
        run = load_run(finished)
        log = run.frame("impressions")
        assert set(log.world) == {1, 2}
        assert {"burn-in", "dssm", "dssm+cs3"} <= set(log.cell)
        paid = log[log.cell == "dssm"].groupby("world", observed=True).paid.sum().mean()
        assert paid == pytest.approx(run.metrics["revenue"]["control"], rel=1e-12)
        daily = run.frame("daily")
        assert daily[daily.cell == "dssm"].revenue.sum() / 2 == pytest.approx(run.metrics["revenue"]["control"])
        assert len(run.table("ledger")) == len(log[log.cell != "burn-in"])

    def test_backends(self, made_up):
        run = load_run(made_up)
        rows = run.frame("metrics", "pyarrow").num_rows
        assert len(run.frame("metrics", "pandas")) == rows
        polars = pytest.importorskip("polars")
        frame = run.frame("metrics", "polars")
        assert isinstance(frame, polars.DataFrame)
        assert frame.height == rows
        with pytest.raises(ValueError, match="backend == 'spark', must be one of pandas, polars, pyarrow"):
            run.frame("metrics", "spark")

    def test_a_backend_that_is_not_there_is_one_line(self, made_up, monkeypatch):
        monkeypatch.setitem(sys.modules, "polars", None)
        with pytest.raises(ValueError, match=r"backend == 'polars', not installed, run: pip install polars$"):
            load_run(made_up).frame("metrics", "polars")


class TestFigures:
    def test_by_attribute_and_by_name(self, made_up):
        figures = load_run(made_up).figures
        assert figures.names[0] == "forest"
        assert list(figures) == list(figures.names)
        assert {"forest", "k_sweep"} <= set(dir(figures))
        assert figures.forest().axes[0].get_xlabel() == figures["forest"]().axes[0].get_xlabel() != ""
        assert figures.forest().get_facecolor() == (1, 1, 1, 1), "readable in a dark notebook"

    def test_one_that_the_run_has_not_names_the_nearest(self, made_up):
        figures = load_run(made_up).figures
        with pytest.raises(AttributeError, match="no figure 'forrest'; did you mean 'forest'"):
            figures.forrest()
        with pytest.raises(ValueError, match="no figure 'zzz'; known: budgets, calibration"):
            figures["zzz"]
        assert not hasattr(figures, "_repr_png_")


class TestWhatIsWrong:
    @pytest.mark.parametrize("file", ["results.json", "timing.json", "manifest.json"])
    def test_damaged_json_names_the_file(self, copy, file):
        whole = (copy / file).read_text()
        (copy / file).write_text(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=f"{file}: not a readable JSON file"):
            load_run(copy)

    def test_damaged_parquet_names_the_file(self, finished, tmp_path):
        root = Path(shutil.copytree(finished, tmp_path / "run"))
        file = root / "cells" / "world-2" / "dssm" / "log.parquet"
        file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(ValueError, match=r"world-2/dssm/log.parquet: damaged or incomplete \(its digest"):
            load_run(root)
        run = load_run(finished)
        file = next(finished.glob("cells/*/dssm/log.parquet"))
        whole = file.read_bytes()
        try:
            file.write_bytes(whole[:100])
            with pytest.raises(ValueError, match=r"dssm/log.parquet: not a readable Parquet file"):
                run.table("impressions")
        finally:
            file.write_bytes(whole)

    def test_no_run(self, tmp_path):
        with pytest.raises(ValueError, match="no such directory"):
            load_run(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="not a run directory"):
            load_run(tmp_path)

    def test_an_unfinished_run_says_how_to_go_on(self, copy):
        (copy / "results.json").unlink()
        cell = copy / "cells" / "world-1" / "dssm"
        cell.mkdir(parents=True)
        (cell / "cell.json").write_text("{}")
        with pytest.raises(ValueError, match=r"not finished \(1 cells\), resume it: cs3bench ab --control dssm"):
            load_run(copy)

    @pytest.mark.parametrize(
        ("file", "schema", "said"),
        [
            ("results.json", 0, "schema 0, this version reads 1: run it again with another --out"),
            ("results.json", 2, "schema 2, this version reads 1: install the newer cs3-bench"),
            ("manifest.json", 0, "schema 0, this version reads 2: run it again with another --out"),
        ],
    )
    def test_another_schema_says_what_to_do(self, copy, file, schema, said):
        put(copy / file, schema=schema)
        with pytest.raises(ValueError, match=f"{file}: {said}"):
            load_run(copy)

    def test_an_unknown_kind(self, copy):
        put(copy / "results.json", kind="abc")
        with pytest.raises(ValueError, match=r"results.json: kind == 'abc', must be one of ab, arena"):
            load_run(copy)

    def test_results_that_lack_a_part_name_the_file(self, copy):
        found = json.loads((copy / "results.json").read_text())
        del found["verdict"]["lights"]
        (copy / "results.json").write_text(json.dumps(found))
        with pytest.raises(ValueError, match=r"results.json: damaged or incomplete \(KeyError: 'lights'\)"):
            load_run(copy).table("lights")

    def test_an_unknown_table_names_the_nearest(self, made_up):
        with pytest.raises(ValueError, match="no table 'metric'; did you mean 'metrics'"):
            load_run(made_up).frame("metric")


class TestRows:
    def test_flat(self):
        found = flat({"auc": {"mean": 0.7, "ci": [0.6, None]}, "n": 3, "worlds": [1, 2], "ci": None}, arm="a")
        assert found == {"arm": "a", "auc": 0.7, "auc_lo": 0.6, "auc_hi": None, "n": 3, "lo": None, "hi": None}

    def test_points(self):
        curve = {"k": [1, 2], "revenue": {"mean": [5.0, 6.0], "lo": [4.0, None]}, "other": [1, 2, 3], "name": "x"}
        assert points(curve) == [
            {"k": 1, "revenue": 5.0, "revenue_lo": 4.0},
            {"k": 2, "revenue": 6.0, "revenue_lo": None},
        ]

    def test_columns_of_any_row(self):
        table = to_arrow([{"a": 1}, {"a": 2.5, "b": None}, {"c": "x", "part": None}, {"c": 3, "part_lo": 1}])
        assert table.to_pydict() == {
            "a": [1.0, 2.5, None, None],
            "b": [None] * 4,
            "c": [None, None, "x", "3"],
            "part_lo": [None, None, None, 1],
        }


def test_the_package_stays_light():
    code = "import reports, sys; print([m for m in ('numpy', 'pyarrow', 'matplotlib', 'torch') if m in sys.modules])"
    home = Path(reports.__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=home)
    assert found.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'load_runs'"):
        _ = reports.load_runs
