"""The worker: its answers, its planted slowdown, its clocks; and the process around it."""

from __future__ import annotations

import io
import json
import os
import sys
import time

import pytest

from reports.gate.process import Worker, WorkerError, environment
from reports.gate.suite.benchmark import Benchmark, Case
from reports.gate.trees import HEAD
from reports.gate.worker import Session, clock_floor, main, one_line, serve


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def counted(calls, *, seconds=0.0, fresh=None, wrong=False):
    """A benchmark that notes its runs."""

    def run(given):
        calls.append(given)
        spin(seconds)
        return len(calls)

    def check(result):
        assert not wrong, "not what it was"
        assert result == len(calls)

    return Benchmark(name="x/y", setup=lambda: Case(run, check, fresh))


def session(calls, slow=None, **settings):
    made = Session({"x/y": counted(calls, **settings)}, slow or {})
    assert "error" not in made.answer({"do": "setup", "name": "x/y"}) or settings.get("wrong")
    return made


class TestSession:
    def test_set_up_runs_and_checks(self):
        calls = []
        session(calls)
        assert len(calls) == 1
        answer = session([], wrong=True).answer({"do": "check", "name": "x/y"})
        assert answer["error"]["kind"] == "other"
        assert answer["error"]["text"].startswith("AssertionError: not what it was")

    def test_a_block_warms_up_and_runs_its_rounds(self):
        calls = []
        made = session(calls)
        del calls[:]
        found = made.answer({"do": "block", "name": "x/y", "repeats": 4, "rounds": 3, "cpu": None})
        assert len(calls) == 1 + 3 * 4
        assert len(found["wall"]) == len(found["cpu"]) == 3

    def test_a_plant_is_a_fourth_more_work_called_the_same(self):
        calls = []
        made = session(calls, slow={"x/y": 0.25}, seconds=0.001)
        del calls[:]
        found = made.answer({"do": "block", "name": "x/y", "repeats": 8, "rounds": 2, "cpu": None})
        assert len(calls) == 1 + 2 * 10
        assert min(found["cpu"]) >= 0.00125

    def test_what_a_run_uses_up_is_made_anew_and_not_timed(self):
        calls, made_for = [], iter(range(100))

        def fresh():
            spin(0.02)
            return next(made_for)

        made = session(calls, fresh=fresh)
        found = made.answer({"do": "block", "name": "x/y", "repeats": 4, "rounds": 1, "cpu": None})
        assert calls == list(range(6))
        assert found["cpu"][0] < 0.01

    def test_calibration_fills_the_time_with_a_multiple_of_four(self):
        found = session([], seconds=0.0005).answer({"do": "repeats", "name": "x/y", "seconds": 0.005})
        assert found["repeats"] % 4 == 0
        assert 4 <= found["repeats"] <= 12
        assert found["seconds"] >= 0.0005

    @pytest.mark.parametrize(
        ("seconds", "slow", "repeats"), [(0.003, {}, 1), (0.0015, {}, 4), (0.003, {"x/y": 0.25}, 4)]
    )
    def test_a_long_run_is_a_round_unless_a_fourth_of_it_is_to_be_planted(self, seconds, slow, repeats):
        made = session([], slow=slow, seconds=seconds)
        assert made.answer({"do": "repeats", "name": "x/y", "seconds": 0.002})["repeats"] == repeats

    def test_waiting_is_noticed(self):
        made = Session(
            {"x/y": Benchmark(name="x/y", setup=lambda: Case(lambda _: time.sleep(0.002), lambda _: None))}, {}
        )
        made.answer({"do": "setup", "name": "x/y"})
        found = made.answer({"do": "block", "name": "x/y", "repeats": 4, "rounds": 2, "cpu": None})
        assert found["waits"] >= 0.9
        assert min(found["wall"]) >= 0.002 > max(found["cpu"])

    @pytest.mark.parametrize(("error", "kind"), [(ImportError("no x"), "import"), (AttributeError("no y"), "import"),
                                                 (TypeError("two\nlines"), "other")])  # fmt: skip
    def test_errors_are_answers(self, error, kind):
        def setup():
            raise error

        made = Session({"x/y": Benchmark(name="x/y", setup=setup)}, {})
        found = made.answer({"do": "setup", "name": "x/y"})["error"]
        assert found == {"kind": kind, "text": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def test_hello_tells_all(self):
        made = Session({"x/y": counted([])}, {})
        found = made.answer({"do": "hello", "imports": False})
        assert found["benchmarks"][0] == {
            "name": "x/y", "group": "x", "threads": 1, "pure": False, "disabled": "", "info": {"threads": 1},
        }  # fmt: skip
        assert found["pid"] == os.getpid()
        assert "auction/gsp" in found["manifest"]["benchmarks"]

    def test_one_line_a_request(self):
        out = io.StringIO()
        serve(session([]), ['{"do": "check", "name": "x/y"}\n', '{"do": "check", "name": "?"}\n'], out)
        first, second = map(json.loads, out.getvalue().splitlines())
        assert first == {"right": True}
        assert second["error"]["text"] == "KeyError: '?'"

    def test_a_long_error_is_cut(self):
        assert len(one_line(ValueError("x" * 1000))) == 300

    def test_the_floor_is_above_the_clocks_own_cost(self):
        assert 1e-7 < clock_floor() < 1e-2


class TestCount:
    def test_a_run_to_be_counted(self, monkeypatch):
        """Two draws: the first checks nothing, since checking would be counted too."""
        seen = []
        monkeypatch.setattr(Session, "_round", lambda self, name, runs: seen.append((name, runs)))
        main(["--suite", str(HEAD / "reports/gate/suite"), "--count", "draws/uniforms", "--runs", "3"])
        assert seen == [("draws/uniforms", 3)]


class TestProcess:
    def test_lines_in_lines_out_over_this_tree(self):
        with Worker((HEAD,)) as worker:
            hello = worker.ask("hello", imports=False)
            assert hello["pid"] != os.getpid()
            assert worker.ask("setup", name="draws/uniforms") == {"right": True}
            found = worker.ask("block", name="draws/uniforms", repeats=1, rounds=2, cpu=hello["cpus"][0])
            assert min(found["cpu"]) > 0
            with pytest.raises(WorkerError, match="KeyError") as refused:
                worker.ask("setup", name="nothing")
            assert refused.value.kind == "other"

    def test_a_process_that_ends_says_its_last_words(self, tmp_path):
        with (
            Worker((tmp_path,), slow={"x": "not a number"}) as worker,
            pytest.raises(WorkerError, match="worker ended: ValueError: could not convert") as lost,
        ):
            worker.ask("hello", imports=False)
        assert lost.value.kind == "lost"

    def test_its_surroundings(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", "/elsewhere")
        env = environment((tmp_path, HEAD))
        assert env["PYTHONPATH"] == f"{tmp_path}{os.pathsep}{HEAD}"
        assert (env["OMP_NUM_THREADS"], env["PYTHONHASHSEED"]) == ("1", "0")
        assert "PYTHONPATH" not in environment(())

    def test_an_interpreter_that_is_none(self, tmp_path):
        assert sys.executable
        with pytest.raises(FileNotFoundError):
            Worker(python=str(tmp_path / "python"))
