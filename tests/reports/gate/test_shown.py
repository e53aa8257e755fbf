"""What is shown of a gate: lines, Markdown, the figure, instruction counts, the self-test; and the command."""

from __future__ import annotations

import json
import re
import sys

import pytest

from reports.commands.main import main
from reports.gate import counts, selftest
from reports.gate import run as run_module
from reports.gate.counts import CountError, instructions, parsed
from reports.gate.figure import draw
from reports.gate.manifest import chosen, declared, of, too_short
from reports.gate.markdown import last_line, lines, markdown, percent, rare
from reports.gate.run import GateConfig, run
from reports.gate.selftest import PLANTED, judged, self_tested
from tests.reports.commands.test_cli import said
from tests.reports.gate.stand_in import BASE, DECLARED, HEAD, Makes

SLOW = {"speed": {"a/two": 1.3e-3}}


@pytest.fixture(scope="module")
def results():
    """One failed, one passed, one new."""
    base = {"faults": {("setup", "b/three"): ("import", "ImportError: no | such")}}
    return run(GateConfig(), BASE, HEAD, make=Makes(base=base, head=SLOW, twin=SLOW), declared=DECLARED)


@pytest.fixture
def cs3bench(monkeypatch, capsys):
    """Runs a command in this process, its gate by workers without a clock -> (exit code, stdout, stderr)."""

    def run_it(*typed, make=None):
        real = run_module.run

        def faked(config, base, head, *, progress):
            return real(config, base, head, make=make or Makes(), declared=DECLARED, progress=progress)

        monkeypatch.setattr(run_module, "run", faked)
        monkeypatch.setattr(sys, "argv", ["cs3bench", "gate", *typed])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        monkeypatch.setattr(run_module, "run", real)
        out, err = capsys.readouterr()
        return code, out, err

    return run_it


class TestWords:
    def test_the_last_line_counts(self, results):
        assert lines(results).splitlines()[-1] == last_line(results) == "1 passed, 1 failed"

    def test_failed_first_then_compared_then_listed(self, results):
        table = [line.split()[0] for line in lines(results).splitlines()[3:6]]
        assert table == ["a/two", "a/one", "b/three"]

    def test_its_own_error_is_in_words(self, results):
        text = lines(results)
        assert "A/A, head against head in this run: 0 of 2 benchmarks alarmed" in text
        assert re.search(r"Smallest slowdown seen here, 80 % power: \+1\d\.\d % at best", text)
        assert "p95 is advisory" in text
        assert "aaaaaaaaaa with uncommitted changes against main (bbbbbbbbbb)" in text

    def test_a_gate_that_did_not_ask_says_so(self):
        found = run(GateConfig(aa=False), BASE, HEAD, make=Makes(), declared=DECLARED)
        assert "False-alarm rate: n/a" in lines(found)
        assert found["benchmarks"][0]["aa"] is None

    def test_markdown_is_one_table(self, results):
        text = markdown(results)
        assert text.startswith("### \N{CROSS MARK} Latency gate: 1 passed, 1 failed\n")
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len(rows) == 2 + 3
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, "a bar in a cell is escaped"
        assert "second pair +" in rows[2]

    def test_numbers(self):
        assert (percent(1.1), percent(0.5), percent(None)) == ("+10.0 %", "-50.0 %", "n/a")
        assert (rare(0.0), rare(0.002)) == ("under 0.01 %", "0.2 %")

    def test_results_are_json(self, results):
        assert json.loads(json.dumps(results, allow_nan=False)) == json.loads(json.dumps(results))


class TestFigure:
    @pytest.mark.parametrize("kind", ["svg", "png"])
    def test_it_is_drawn(self, results, tmp_path, kind):
        path = tmp_path / f"gate.{kind}"
        draw(results, path)
        assert path.stat().st_size > 5000
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    def test_it_names_what_it_shows(self, results, tmp_path):
        draw(results, tmp_path / "gate.svg")
        svg = (tmp_path / "gate.svg").read_text()
        assert "one-sided 95.0 % bounds" in svg
        assert "median of 20 paired blocks" in svg
        for word in ("allowed, +10 %", "head / head", "failed", "passed", "a/two"):
            assert word in svg
        assert "b/three" not in svg, "what was not compared has no ratio"


class TestManifest:
    @pytest.mark.parametrize(("content", "words"), [
        ({"bench": {}}, "manifest table == 'bench'"),
        ({"benchmarks": {"a": 0}}, "manifest benchmarks.'a' == 0, must be microseconds over 0"),
        ({"benchmarks": {"a": True}}, "must be microseconds"),
        ({"retired": {"a": " "}}, "must be the reason"),
        ({"benchmarks": {"a": 1}, "retired": {"a": "x"}}, "'a' is retired, must not be declared too"),
    ])  # fmt: skip
    def test_what_is_wrong_is_said(self, content, words):
        with pytest.raises(ValueError, match=words):
            of(content)

    def test_a_file_that_is_none(self, tmp_path):
        (tmp_path / "m.toml").write_text("[benchmarks")
        with pytest.raises(ValueError, match=r"manifest m\.toml"):
            declared(tmp_path / "m.toml")
        with pytest.raises(ValueError, match=r"manifest n\.toml"):
            declared(tmp_path / "n.toml")

    def test_microseconds(self):
        assert of({"benchmarks": {"a": 50}}).least == {"a": pytest.approx(5e-5)}
        assert too_short(4e-5, 5e-5, 1e-5)
        assert not too_short(6e-5, 5e-5, 1e-5)

    def test_patterns(self):
        assert chosen(("*/y", "x/z"), ["x/y", "x/z", "w"]) == ["x/y", "x/z"]
        assert chosen((), ["b", "a"]) == ["b", "a"]


class TestCounts:
    VALGRIND = "==13515== warning\n==13515== \n==13515== I   refs:      2,249,181,392\n"

    def test_the_count_is_read(self):
        assert parsed(self.VALGRIND, 0, "x") == 2_249_181_392

    @pytest.mark.parametrize(("said", "code"), [("==1== \nIllegal instruction\n", 0), (VALGRIND, 1), ("", 1)])
    def test_no_count(self, said, code):
        with pytest.raises(CountError, match="valgrind could not count x"):
            parsed(said, code, "x")

    def test_the_start_is_taken_off(self, results):
        def count(tree, name, runs):
            return 10**9 + runs * (1200 if tree.name == "head" else 1000)

        found = instructions(results, BASE, HEAD, lambda *_: lambda: None, count=count, there=True)
        assert found["reason"] == ""
        assert list(found["benchmarks"]) == [row["name"] for row in results["benchmarks"] if row.get("ratio")]
        assert found["benchmarks"]["a/one"] == {"base": 1000, "head": 1200, "ratio": 1.2}
        assert "a/one +20.0 %" in lines({**results, "instructions": found})

    def test_why_there_is_none(self, results, monkeypatch):
        monkeypatch.setattr(counts.shutil, "which", lambda _: None)
        found = instructions(results, BASE, HEAD, lambda *_: lambda: None)
        assert found == {"reason": "valgrind is not installed", "benchmarks": {}}
        assert "Instruction counts: n/a, valgrind is not installed." in markdown({**results, "instructions": found})


class TestSelfTest:
    def test_all_is_well(self):
        found = judged([{PLANTED}] * 20, [{PLANTED}] * 20, [set()] * 48 + [{"x"}] * 2)
        assert (found["passed"], found["failed"]) == (4, 0)
        assert selftest.lines(found).splitlines()[-1] == "4 passed, 0 failed"
        assert "slowdown of 25 % caught: 20 of 20" in selftest.lines(found)

    @pytest.mark.parametrize(("quiet", "noisy", "same"), [
        ([{PLANTED}] * 19 + [set()], [{PLANTED}] * 20, [set()] * 50),
        ([{PLANTED}] * 20, [{"x"}] + [{PLANTED}] * 19, [set()] * 50),
        ([{PLANTED}] * 20, [{PLANTED}] * 20, [{PLANTED}] * 3 + [set()] * 47),
        ([{PLANTED, "x"}] * 3 + [{PLANTED}] * 17, [{PLANTED}] * 20, [set()] * 50),
    ])  # fmt: skip
    def test_one_thing_is_wrong(self, quiet, noisy, same):
        assert judged(quiet, noisy, same)["failed"] == 1

    def test_whole_gates_are_run(self, monkeypatch):
        names = selftest.ONLY
        seen = []

        def make(tree, side):
            seen.append(side)
            speed = {PLANTED: 1.25e-3} if side == "head" and len(seen) <= 2 * (2 + 2) else {}
            return Makes(**{side: {"names": names, "speed": speed}})(tree, side)

        monkeypatch.setattr(selftest, "plain", make)
        monkeypatch.setattr("reports.gate.manifest.declared", lambda _: of({"benchmarks": dict.fromkeys(names, 1)}))
        found = self_tested(1, lambda *_: lambda: None, plant=make)
        assert [(row["count"], row["n"]) for row in found["rows"]] == [(1, 1), (1, 1), (0, 2), (0, 2)]


class TestCommand:
    def test_nothing_failed(self, cs3bench, tmp_path):
        code, out, err = cs3bench("--base-python", sys.executable, "--quiet", "--json", str(tmp_path / "r.json"))
        assert (code, out.splitlines()[-1], err) == (0, "3 passed, 0 failed", "")
        assert json.loads((tmp_path / "r.json").read_text())["passed"] == 3

    def test_something_failed(self, cs3bench, tmp_path):
        summary = tmp_path / "summary.md"
        summary.write_text("before\n")
        files = ["--markdown", str(summary), "--figure", str(tmp_path / "f.svg"), "--json", str(tmp_path / "r.json")]
        code, out, _ = cs3bench("--base-python", sys.executable, "--quiet", *files, make=Makes(head=SLOW, twin=SLOW))
        assert (code, out.splitlines()[-1]) == (1, "2 passed, 1 failed")
        assert summary.read_text().startswith("before\n### ")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["f.svg", "r.json", "summary.md"]

    @pytest.mark.parametrize("typed", [
        [],
        ["--base", "main", "--base-python", "python"],
        ["--base", "main", "--self-test"],
        ["--base", "no-such-revision-anywhere"],
        ["--base-python", "no-such-python"],
        ["--base-python", sys.executable, "--only", "a/tow"],
        ["--base-python", sys.executable, "--threshold", "0"],
        ["--base-python", sys.executable, "--pairs", "5"],
        ["--base-python", sys.executable, "--pairs", "many"],
        ["--base-python", sys.executable, "--clock", "sundial"],
        ["--base-python", sys.executable, "--figure", "x.pdf"],
        ["--base-python", sys.executable, "--json", "no-such-folder/x.json"],
    ])  # fmt: skip
    def test_bad_input_is_one_line(self, cs3bench, typed, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, out, err = cs3bench(*typed, "--quiet")
        assert (code, out) == (2, "")
        assert said(err).startswith("cs3bench: error: ")
        assert not list(tmp_path.iterdir())

    def test_the_list(self, cs3bench):
        code, out, _ = cs3bench("--list")
        assert code == 0
        assert out.split() == list(declared().least)
