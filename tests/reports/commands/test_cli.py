"""The command line: what a study leaves behind, and one line for whatever is wrong."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys

import pytest

from reports.studies.machine.git import HOME
from simulator.scenario import names
from tests.reports.studies.tiny import HERE, arguments

STUDY = ["revenue", "clicks", "ctr", "recall", "captured", "tau", "retriever_auc", "ranker_logloss", "surplus"]


def said(err: str) -> str:
    """The one line on stderr."""
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    return err.strip()


class TestStudy:
    def test_results_hold_every_metric_and_the_verdict(self, finished):
        results = json.loads((finished / "results.json").read_text())
        assert results["worlds"] == [1, 2]
        assert (results["control"], results["treatment"], results["k"]) == ("dssm", "dssm+cs3", 8)
        assert set(STUDY) <= set(results["metrics"])
        for key, row in results["metrics"].items():
            effect = row["rel_effect"] if row["kind"] == "ratio" else row["effect"]
            assert row["n_worlds"] == 2
            if effect is None and key in ("cold_users", "new_ad_survival"):  # a tiny world may have none of them
                continue
            low, high = row["ci"]
            assert low <= effect <= high, key
            assert 0 <= row["p"] <= 1, key
            if row["kind"] == "difference":
                assert effect == pytest.approx(row["treatment"] - row["control"]), key
            else:
                assert math.copysign(1, effect) == math.copysign(1, sum(row["per_world"])), key
        assert results["verdict"]["word"] in ("ship", "do not ship", "undecided")
        assert results["verdict"]["reason"]
        lights = {light["name"]: light["state"] for light in results["verdict"]["lights"]}
        assert lights["A/A"] == "green"
        assert [row["arm"] for row in results["ladder"]["rows"]] == ["dssm-bare", "dssm", "dssm+cs3"]
        retrievers = [row["retriever"] for row in results["references"]["rows"]]
        assert retrievers == ["random", "popularity", "dssm", "oracle"]

    def test_the_money_adds_up(self, finished):
        """The table's revenue is the log's: the sum of what was paid, a mean over worlds."""
        import pyarrow.parquet as pq

        results = json.loads((finished / "results.json").read_text())
        for side in ("control", "treatment"):
            logs = [finished / f"cells/world-{w}/{results[side]}/log.parquet" for w in (1, 2)]
            paid = [pq.read_table(log)["paid"].to_numpy().sum() for log in logs]
            assert results["metrics"]["revenue"][side] == pytest.approx(sum(paid) / 2, rel=1e-12)
            clicks = [pq.read_table(log.with_name("ledger.parquet"))["click"].to_numpy().sum() for log in logs]
            assert results["metrics"]["clicks"][side] == sum(clicks) / 2 > 0
            assert all("hidden" not in pq.read_table(log).column_names for log in logs)

    def test_files(self, finished):
        manifest = json.loads((finished / "manifest.json").read_text())
        assert manifest["seeds"] == [1, 2]
        assert manifest["config"]["world"]["users"] == 100
        assert manifest["rule"].startswith("Fixed before the run.")
        assert {"numpy", "torch", "cs3-bench"} <= set(manifest["versions"])
        timing = json.loads((finished / "timing.json").read_text())
        assert set(timing["latency"]) == {"dssm", "dssm+cs3"}
        for arm in timing["latency"].values():
            for kind in ("retrieval", "cascade"):
                p50, p95, p99 = (arm[kind][q]["value"] for q in ("p50_ms", "p95_ms", "p99_ms"))
                assert 0 < p50 <= p95 <= p99
                assert arm[kind]["n"] == 5
            assert len(arm["k"]["k"]) == len(arm["k"]["cascade_p50_ms"]) > 3
            assert arm["qps_batch"]["qps"] > 0
        figures = {p.suffix for p in finished.glob("figures/*")}
        assert {".png", ".svg"} <= figures
        assert not (finished / "work").exists()
        assert not (finished / "progress.bin").exists()

    def test_the_page_opens_offline(self, finished):
        page = (finished / "index.html").read_text()
        assert "<svg" in page
        assert "dssm+cs3 against dssm" in page
        assert not re.search(r"(src|href)=[\"']https?://[^\"']+\.(js|css|svg|png)", page)

    def test_report_draws_the_page_again(self, finished, tmp_path, cs3bench):
        copy = tmp_path / "run"
        shutil.copytree(finished, copy)
        (copy / "index.html").unlink()
        code, out, err = cs3bench("report", str(copy))
        assert (code, err) == (0, "")
        assert (copy / "index.html").read_text() == (finished / "index.html").read_text()
        assert "verdict:" in out
        segments = json.loads((copy / "results.json").read_text())["segments"]
        (cold,) = [one for one in segments if (one["segment"], one["measure"]) == ("cold_users", "expected_revenue")]
        (line,) = re.findall(r"^Cold users .*", out, re.MULTILINE)
        assert f"{100 * cold['rel_effect']:+.2f} %" in line
        assert line.endswith(f"{cold['q']:.3f}")

    def test_a_finished_run_is_not_computed_again(self, finished, tmp_path, cs3bench, monkeypatch):
        import reports.studies.market.twins
        from reports.runs.load import Run

        copy = tmp_path / "run"
        shutil.copytree(finished, copy)
        monkeypatch.setattr(reports.studies.market.twins, "compute", None)
        monkeypatch.setattr(Run, "draw", lambda run: run.root)
        code, _, err = cs3bench(*arguments(copy, "--jobs", "1"))
        assert (code, err) == (0, "")
        assert (copy / "results.json").read_bytes() == (finished / "results.json").read_bytes()

    def test_a_control_against_itself_differs_by_exactly_nothing(self, finished, tmp_path, cs3bench):
        code, out, err = cs3bench(*arguments(tmp_path, "--control", "dssm", "--treatment", "dssm", "--jobs", "1"))
        assert (code, err) == (0, "")
        results = json.loads((tmp_path / "results.json").read_text())
        compared = 0
        for key, row in results["metrics"].items():
            assert row["control"] == row["treatment"], key
            if row["per_world"]:
                compared += 1
                assert (row["rel_effect"] if row["kind"] == "ratio" else row["effect"]) == 0, key
                assert row["per_world"] == [0, 0], key
                assert row["ci"] == [0, 0], key
                assert row["p"] == 1, key
        assert compared >= 15
        assert "verdict: UNDECIDED" in out
        assert "A/A run of dssm" in (tmp_path / "index.html").read_text()
        for world in (1, 2):
            cells = tmp_path / "cells" / f"world-{world}"
            for name in ("log.parquet", "ledger.parquet"):
                assert (cells / "dssm" / name).read_bytes() == (cells / "dssm.again" / name).read_bytes()
            # and the control is the same whatever it is compared with
            for path in (cells / "dssm").iterdir():
                assert path.read_bytes() == (finished / path.relative_to(tmp_path)).read_bytes(), path.name


class TestErrors:
    @pytest.mark.parametrize(
        ("typed", "line"),
        [
            (["--treatment", "dsm"], "name == 'dsm', must be in cs3bench.retrievers; did you mean 'dssm'?"),
            (["--treatment", "dssm+cs33"], "name == 'cs33', must be in cs3bench.modifiers; did you mean 'cs3'?"),
            (["--treatment", "dssm@dn"], "name == 'dn', must be in cs3bench.rankers; did you mean 'dnn'?"),
            (["--control", ""], "arm == '', must be spelled backbone+modifier+...@ranker"),
            (["--treatment", "dssm+cas+cas"], "arm == 'dssm+cas+cas', must name each modifier once"),
            (["--treatment", "random+cs3"], "arm == 'random+cs3', must have a backbone that takes `extras`"),
            (["--treatment", "oracle+cs3"], "arm == 'oracle+cs3', must have a backbone that takes `extras`"),
            (["--treatment", "dssm+cts[alfa=1]"], "parameter == 'alfa', must be one of"),
            (["--control", "dssm[lrr=1]"], "setting == 'lrr', must be one of dssm's; did you mean 'lr'?"),
            (
                ["--treatment", "dssm@dnn[droput=0]"],
                "setting == 'droput', must be one of dnn's; did you mean 'dropout'?",
            ),
            (["--treatment", "no.such:thing"], "name == 'no.such:thing', must be an importable 'module:factory'"),
            (["--treatment", f"{HERE}:not_callable"], "must be callable, got int"),
            (["--treatment", "os:getcwd"], "name == 'os:getcwd', must take (catalog, seed, **settings), takes ()"),
            (
                ["--scenario", "quikstart"],
                "scenario == 'quikstart', must be one that exists; did you mean 'quickstart'?",
            ),
            (["--scenario", "none.toml"], "scenario == 'none.toml', must be a readable file"),
            (["--set", "world.user=3"], "unknown key 'world.user'; did you mean 'users'?"),
            (["--set", "wrld.users=3"], "unknown key 'wrld'; did you mean 'world'?"),
            (["--set", "users"], "--set users: must be section.key=value"),
            (["--set", "world.users=many"], "world.users == 'many', input should be a valid integer"),
            (["--set", "world.base_logit=nan"], "world.base_logit == nan, input should be a finite number"),
            (["--set", "cascade.candidates=41"], "cascade.candidates == 41, must be at most world.ads == 40"),
            (["--set", "cascade.candidates=3"], "auction.slots == 4, must be at most cascade.candidates == 3"),
            (["--set", "cascade.sync=100"], "cascade.sync == 100, must be a multiple of cascade.tick == 7200"),
            (["--worlds", "0"], "Invalid value for '--worlds'"),
            (["--trearment", "dssm"], "--treatment"),
        ],
    )
    def test_one_line_that_helps(self, tmp_path, cs3bench, typed, line):
        code, out, err = cs3bench(*arguments(tmp_path / "run", *typed))
        assert (code, out) == (2, "")
        assert said(err).startswith("cs3bench: error: ")
        assert line in err
        assert not (tmp_path / "run").exists()

    def test_nothing_typed_is_a_call_for_help(self, cs3bench):
        code, out, err = cs3bench()
        assert (code, err) == (0, "")
        assert out.startswith("Usage: cs3bench")

    def test_what_a_terminal_would_obey_is_spelled(self, tmp_path, cs3bench):
        code, _, err = cs3bench(*arguments(tmp_path / "run", "--scenario", "\x1b[31m\udcff"))
        assert code == 2
        assert said(err).isprintable()
        assert "x1b[31m" in err

    def test_bare_memory_errors_are_called_so(self, cs3bench, monkeypatch):
        import simulator.scenario

        def full(*_: object, **__: object) -> None:
            raise MemoryError("Unable to allocate 8.00 TiB")

        monkeypatch.setattr(simulator.scenario, "load", full)
        code, out, err = cs3bench("world")
        assert (code, out) == (2, "")
        assert "out of memory (Unable to allocate 8.00 TiB)" in said(err)

    @pytest.mark.parametrize(
        "typed",
        [
            ["ab", "--treatment", "dsm"], ["ab", "--scenario", "nope"], ["arena", "--arm", "dssm+cs33"],
            ["ablation", "--scenario", "nope"], ["lab", "--design", "nope"], ["power", "--control", "nope"],
            ["sensitivity", "--dial", "nope"], ["sensitivity", "--dial", "k", "--control", "dssm@nope"],
            ["late", "--scenario", "nope"], ["latency", "--arm", "nope"], ["latency", "--set", "scenario=nope"],
            ["growth", "--scenario", "nope"], ["check", "nope"], ["world", "nope"],
        ],
    )  # fmt: skip
    def test_a_wrong_name_is_told_before_anything_heavy_is_imported(self, tmp_path, typed):
        script = (
            "import sys; from reports.commands.main import main; sys.argv = ['cs3bench', *sys.argv[1:]]\n"
            "try:\n    main()\n"
            "except SystemExit as stop:\n    assert stop.code == 2\n"
            "print('heavy:', sorted({'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, *typed], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout == "heavy: []\n"
        assert "nope" in said(done.stderr) or "did you mean" in done.stderr
        assert not list(tmp_path.iterdir())

    def test_unknown_command(self, cs3bench):
        code, _, err = cs3bench("abb")
        assert code == 2
        assert "No such command 'abb'" in said(err)

    def test_a_directory_that_holds_another_run(self, finished, cs3bench):
        before = (finished / "manifest.json").read_bytes()
        code, _, err = cs3bench(*arguments(finished, "--seed", "7"))
        assert code == 2
        assert "holds another run (cs3bench ab --small" in said(err)
        assert err.endswith("choose another --out\n")
        assert (finished / "manifest.json").read_bytes() == before

    def test_a_directory_that_is_no_run(self, tmp_path, cs3bench):
        (tmp_path / "thesis.tex").write_text("mine")
        code, _, err = cs3bench(*arguments(tmp_path))
        assert code == 2
        assert "not empty and not a run of ours, choose another --out" in said(err)
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]

    def test_a_directory_that_cannot_be_made(self, tmp_path, cs3bench):
        (tmp_path / "file").write_text("")
        code, _, err = cs3bench(*arguments(tmp_path / "file" / "run"))
        assert code == 2
        assert "Not a directory, choose another --out" in said(err)

    @pytest.mark.parametrize("damage", ["", "{", "[]", "\0\0\0"])
    @pytest.mark.parametrize("file", ["cells/world-2/dssm/cell.json", "manifest.json"])
    def test_a_damaged_file_is_named(self, finished, tmp_path, cs3bench, file, damage):
        copy = tmp_path / "run"
        shutil.copytree(finished, copy)
        (copy / file).write_text(damage)
        code, _, err = cs3bench(*arguments(copy, "--jobs", "1"))
        assert code == 2
        assert file in said(err)

    @pytest.mark.parametrize("damage", ["", "{}", "[]", None])
    def test_a_report_of_damaged_results(self, tmp_path, cs3bench, damage):
        if damage is not None:
            (tmp_path / "results.json").write_text(damage)
        code, _, err = cs3bench("report", str(tmp_path))
        assert code == 2
        assert "results.json" in said(err)

    def test_a_report_of_nothing(self, tmp_path, cs3bench):
        code, _, err = cs3bench("report", str(tmp_path / "none"))
        assert code == 2
        assert "no such directory" in said(err)

    def test_a_market_without_a_click(self, tmp_path, cs3bench):
        typed = ["--control", "random", "--treatment", "popularity", "--worlds", "1", "--jobs", "1"]
        code, _, err = cs3bench(*arguments(tmp_path / "run", *typed, "--set", "auction.reserve=1e9"))
        assert code == 2
        assert "auction.reserve == 1000000000.0, must be at most the best bid" in said(err)
        assert not list((tmp_path / "run").glob("cells/*"))


class TestLooks:
    def test_list_for_machines(self, cs3bench):
        code, out, _ = cs3bench("list", "--json")
        found = json.loads(out)
        assert code == 0
        assert found["scenarios"] == names()
        assert {"random", "popularity", "oracle", "dssm", "dssm-bare"} <= set(found["retrievers"])
        assert {"cs3", "cas", "cts", "cms"} <= set(found["modifiers"])
        assert "dnn" in found["rankers"]

    def test_list_for_people(self, cs3bench):
        code, out, _ = cs3bench("list")
        assert code == 0
        assert "dssm+cas+cms" in out

    def test_world_card(self, cs3bench):
        typed = ["world", "--small", "--days", "1", "--set", "world.users=200", "--set", "traffic.requests_per_day=500"]
        code, out, err = cs3bench(*typed, "--json")
        facts = json.loads(out)
        assert (code, err) == (0, "")
        assert facts["gini_user_activity"]["real"] == pytest.approx(0.465, abs=1e-3)
        assert 0.3 < facts["gini_user_activity"]["world"] < 0.65
        code, out, _ = cs3bench(*typed)
        assert code == 0
        assert "bid_cv" in out

    def test_check(self, cs3bench):
        code, out, err = cs3bench("check", "popularity")
        assert (code, err) == (0, "")
        assert out.endswith("0 failed\n")
        code, _, err = cs3bench("check", "populariti")
        assert code == 2
        assert "did you mean 'popularity'?" in said(err)

    @pytest.mark.parametrize("typed", [["--help"], ["ab", "--help"], ["--version"], ["list"]])
    def test_help_imports_nothing_heavy(self, typed):
        script = (
            "import sys; from reports.commands.main import main; sys.argv = ['cs3bench', *sys.argv[1:]]\n"
            "try:\n    main()\n"
            "except SystemExit as stop:\n    assert not stop.code\n"
            "heavy = {'torch', 'matplotlib', 'scipy', 'pandas', 'pyarrow', 'seaborn', 'numpy'} & set(sys.modules)\n"
            "print('heavy:', sorted(heavy))"
        )
        done = subprocess.run([sys.executable, "-c", script, *typed], capture_output=True, text=True, check=True)
        heavy = done.stdout.splitlines()[-1]
        if typed == ["list"]:
            assert not {"'torch'", "'matplotlib'"} & set(re.findall(r"'\w+'", heavy))
        else:
            assert heavy == "heavy: []"


def test_in_a_folder_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os, shutil; shutil.rmtree({str(gone)!r}); from reports.commands.main import main; main()"
    command = [sys.executable, "-c", f"import sys; sys.path[0] = {str(HOME)!r}; {script}", "list"]
    done = subprocess.run(command, cwd=gone, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cs3bench: error: the current folder is gone, must be one that is there\n"
