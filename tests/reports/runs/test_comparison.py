"""`cs3bench compare`: arms of several runs, what differs between the runs, and refusals."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from reports.runs.comparison import MOST, compare, differences
from reports.runs.load import load_run
from tests.reports.commands.test_cli import said


def other(root: Path, to: Path, results=(), manifest=()) -> Path:
    """A copy of a made-up run with some fields of its results and its manifest changed."""
    shutil.copytree(root, to)
    for name, changes in (("results", dict(results)), ("manifest", dict(manifest))):
        file = to / f"{name}.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return to


@pytest.fixture
def second(made_up, tmp_path) -> Path:
    """Another arm, in other worlds, for fewer days."""
    config = {"traffic": {"requests_per_day": 20_000}, "retrieval": {"k": 50}, "auction": {"pricing": "vcg"}}
    return other(
        made_up,
        tmp_path / "second",
        {"treatment": "dssm+cms", "worlds": [21, 22], "days": {"burn_in": 10, "test": 2}},
        {"config": config},
    )


class TestComparison:
    def test_arms_and_effects_are_those_of_the_runs(self, made_up, second):
        found = compare([made_up, second])
        assert [(one.run, one.arm, one.control) for one in found.entries] == [
            ("run", "dssm+cs3", "dssm"),
            ("second", "dssm+cms", "dssm"),
        ]
        assert found.metric == "revenue"
        assert found.metrics == tuple(load_run(made_up).metrics)
        assert found.entries[0].metrics["revenue"] == load_run(made_up).metrics["revenue"]

    def test_what_differs_is_said(self, made_up, second):
        assert compare([made_up, second]).notes == (
            "Worlds: run 11–15; second 21, 22.",
            "Test days: run 4; second 2.",
            "auction.pricing: run gsp; second vcg.",
        )

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"scenario": "scenario_a"}, "Scenario: run quickstart; b scenario_a."),
            ({"small": True}, "Form: run full; b small."),
            ({"k": 10}, "K: run 50; b 10."),
            ({"control": "dssm-bare"}, "Control: run dssm; b dssm-bare."),
            ({"settings": {"dssm": {"lr": 0.1}}}, "Tuning: run defaults; b each arm's own settings."),
        ],
    )
    def test_each_field_is_said(self, made_up, tmp_path, changes, told):
        b = other(made_up, tmp_path / "b", changes)
        assert compare([made_up, b]).notes == (told,)

    def test_equal_runs_differ_in_nothing(self, made_up, tmp_path):
        assert compare([made_up, other(made_up, tmp_path / "b", {"treatment": "dssm+cms"})]).notes == ()

    def test_many_fields_are_counted(self, made_up, tmp_path):
        config = {f"f{i:02}": i for i in range(MOST + 3)}
        b = other(made_up, tmp_path / "b", manifest={"config": config})
        c = other(made_up, tmp_path / "c", manifest={"config": {key: value + 1 for key, value in config.items()}})
        notes = differences(["b", "c"], [load_run(b), load_run(c)])
        assert notes[:1] == ["f00: b 0; c 1."]
        assert notes[-1] == "3 more fields of the configuration differ: f12, f13, f14."
        assert len(notes) == MOST + 1

    def test_names_tell_runs_of_one_name_apart(self, made_up, tmp_path):
        b = other(made_up, tmp_path / "there" / "run")
        assert [one["name"] for one in compare([made_up, b]).runs] == [f"{made_up.parent.name}/run", "there/run"]
        with pytest.raises(ValueError, match="RUN is given twice"):
            compare([made_up, made_up])

    def test_every_kind_that_holds_arms_against_a_control(self, made_up, tmp_path):
        """A laboratory's truth beside an A/B test's; late interaction has no arm against a control."""
        truth = {"rel_effect": 0.1, "ci": [0.05, 0.15], "n_worlds": 3, "per_world": [0.1] * 3}
        level = {"budget_clicks": 15.0, "bound": 0.4, "truth": truth, "rows": [], "srm_alarms": 0}
        meter = {"control": "popularity[temperature=0.5]", "treatment": "popularity", "levels": [level]}
        b = other(made_up, tmp_path / "lab", {"kind": "lab", "meters": {"interference": meter}, "metrics": None})
        found = compare([made_up, b])
        assert found.metrics == ("revenue",)
        assert found.entries[1].metrics["revenue"]["rel_effect"] == 0.1
        assert "Kind of run: run ab; lab lab." in found.notes
        c = other(made_up, tmp_path / "late", {"kind": "late", "sizes": {}})
        with pytest.raises(ValueError, match=r"in common: run \(ab\) has revenue.*; late \(late\) has no arm"):
            compare([made_up, c])
        with pytest.raises(ValueError, match="no metric in common: late"):
            compare([c])


class TestCommand:
    def test_text(self, cs3bench, made_up, second):
        code, out, err = cs3bench("compare", str(made_up), str(second))
        assert (code, err) == (0, "")
        assert "differs: Worlds: run 11–15; second 21, 22." in out
        row = next(line for line in out.splitlines() if line.startswith("second "))
        assert re.split(r"\s{2,}", row) == [
            "second", "quickstart", "dssm+cms", "dssm", "+2.60%", "[+1.47%, +3.73%]", "0.003", "5 worlds"
        ]  # fmt: skip
        assert "Kendall tau-b" in out, "all metrics of two arms"
        assert "not tested here" in out

    def test_page(self, cs3bench, made_up, second, tmp_path, look):
        out = tmp_path / "page"
        code, text, _ = cs3bench("compare", str(made_up), str(second), "--metric", "recall", "--out", str(out))
        assert code == 0
        assert text.rstrip().endswith(f"page: {out / 'index.html'}")
        page = (out / "index.html").read_text()
        assert "Worlds: run 11–15; second 21, 22." in page
        assert page.count("<svg") == 1
        assert "://" not in page.replace("http://www.w3.org", "")
        assert "Recall@50, true order: difference to dssm" in page
        look(out / "index.html")
        found = json.loads((out / "comparison.json").read_text())
        assert (found["metric"], len(found["entries"]), found["schema"]) == ("recall", 2, 1)
        assert (out / "figures" / "forest.svg").stat().st_size > 1000
        assert "| second | quickstart | dssm+cms |" in (out / "tables.md").read_text()
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        cs3bench("compare", str(made_up), str(second), "--metric", "recall", "--out", str(out))
        assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def test_arms_are_chosen(self, cs3bench, made_up, second):
        out = cs3bench("compare", str(made_up), str(second), "--json")[1]
        assert len(json.loads(out)["entries"]) == 2
        code, _, err = cs3bench("compare", str(made_up), str(second), "--arm", "dssm+cmss")
        assert code == 2
        assert "--arm dssm+cmss: in none of the runs; did you mean 'dssm+cms'" in said(err)

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            (["--metric", "revenu"], "--metric revenu: not in every run; did you mean 'revenue'"),
            (["nowhere"], "nowhere: no such directory"),
        ],
    )
    def test_one_line_that_helps(self, cs3bench, made_up, more, line):
        code, _, err = cs3bench("compare", str(made_up), *more)
        assert code == 2
        assert line in said(err)
        assert cs3bench("compare")[0] == 2

    def test_a_run_is_never_written_over(self, cs3bench, made_up, second, tmp_path):
        run = tmp_path / "kept"
        shutil.copytree(made_up, run)
        before = (run / "results.json").read_bytes()
        code, _, err = cs3bench("compare", str(made_up), str(second), "--out", str(run))
        assert code == 2
        assert "not empty and not a comparison, choose another --out" in said(err)
        assert (run / "results.json").read_bytes() == before
        assert not (run / "comparison.json").exists()


METRIC = {"label": "Revenue", "unit": "", "kind": "ratio", "better": "higher", "rel_effect": 0.1, "ci": [0, 0.2]}
AB = {"control": "dssm", "treatment": "dssm+cs3", "scenario": "quickstart", "worlds": [1], "days": {"test": 1}}
LEVELS = {"kind": "sensitivity", "dial": "k", "control": "dssm", "treatment": "dssm+cs3", "worlds": [1]}
OFFLINE = {"kind": "offline", "schema": 2, "data": {"name": "kr", "test_users": 3}, "seeds": [1], "rows": []}
ARENA = {"kind": "arena", "scenario": "quickstart", "reference": "dssm", "worlds": [1], "arms": {}, "learning": {}}


class TestReceived:
    """Whoever made a run up puts what he likes where a word, a number or an interval stands."""

    @pytest.mark.parametrize(
        ("results", "line"),
        [
            ({**LEVELS, "levels": [{"level": 1, "revenue": METRIC}]}, "KeyError: 'scenario'"),
            ({**LEVELS, "scenario": "q", "levels": [{"level": [1], "revenue": METRIC}]}, "TypeError"),
            ({**AB, "kind": "lab", "days": 3, "meters": 3}, "AttributeError"),
            ({**ARENA, "arms": [1]}, "AttributeError"),
            ({**ARENA, "arms": {"b": {"metrics": {"revenue": METRIC}}}, "scenario": ["q"]}, "must be str"),
            ({**OFFLINE, "contrasts": [[[]]]}, "AttributeError"),
            ({**OFFLINE, "data": 3, "contrasts": [{"treatment": "b", "control": "a"}]}, "TypeError"),
            ({"kind": "latency", "config": {}, "arms": {}, "closed": []}, "KeyError: 'arms'"),
            ({**AB, "kind": "ab", "metrics": {"revenue": 3}}, "must be Mapping"),
            ({**AB, "kind": "ab", "metrics": {"revenue": [3]}}, "must be Mapping"),
            ({**AB, "kind": "ab", "metrics": {"revenue": {**METRIC, "label": 3}}}, "must be str"),
            ({**AB, "kind": "ab", "metrics": {"revenue": {**METRIC, "ci": [0, 10**400]}}}, "OverflowError"),
            ({**AB, "kind": "ab", "metrics": {"revenue": {**METRIC, "ci": 3}}}, "must be list"),
            ({**AB, "kind": "ab", "metrics": {"revenue": METRIC}, "scenarios": 3, "scenario": ""}, "TypeError"),
        ],
    )
    def test_odd_parts_are_one_line(self, tmp_path, cs3bench, results, line):
        (tmp_path / "results.json").write_text(json.dumps({"schema": 1, "verdict": {}, **results}))
        for more in ([], ["--json"], ["--out", str(tmp_path / "compared")]):
            code, out, err = cs3bench("compare", str(tmp_path), *more)
            assert (code, out) == (2, "")
            assert said(err).startswith(f"cs3bench: error: {tmp_path}/results.json: damaged or incomplete (")
            assert line in said(err)

    def test_days_of_no_form_tell_nothing(self, tmp_path, cs3bench):
        arms = {"dssm": {"metrics": {}}, "b": {"metrics": {"revenue": METRIC}}}
        (tmp_path / "results.json").write_text(json.dumps({"schema": 1, **ARENA, "arms": arms, "days": 3}))
        assert cs3bench("compare", str(tmp_path))[0] == 0
