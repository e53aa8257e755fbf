"""The gate's steps, by workers without a clock."""

from __future__ import annotations

import numpy as np
import pytest

from reports.gate.manifest import Manifest
from reports.gate.pairs import ROUNDS, measure, order
from reports.gate.run import GateConfig, run
from tests.reports.gate.stand_in import BASE, DECLARED, HEAD, NAMES, Fake, Makes

SLOW = {"speed": {"a/two": 1.3e-3}}


def gate(make, declared=DECLARED, **config):
    return run(GateConfig(**config), BASE, HEAD, make=make, declared=declared)


def status(results):
    return {row["name"]: row["status"] for row in results["benchmarks"]}


def row(results, name):
    return next(one for one in results["benchmarks"] if one["name"] == name)


class TestDecision:
    def test_nothing_changed_nothing_failed(self):
        make = Makes()
        results = gate(make)
        assert (results["passed"], results["failed"]) == (3, 0)
        assert len(make.made) == 1, "no second pair of processes without an alarm"
        assert all(worker.closed for worker in make.made[0].values())

    def test_a_slowdown_fails_when_a_fresh_pair_agrees(self):
        make = Makes(head=SLOW, twin=SLOW)
        results = gate(make)
        assert status(results) == {"a/one": "passed", "a/two": "failed", "b/three": "passed"}
        slow = row(results, "a/two")
        assert slow["ratio"]["lo"] > 1.1
        assert slow["ratio"]["value"] == pytest.approx(1.3, rel=0.03)
        assert slow["confirmation"]["lo"] > 1.1
        assert slow["confirmation"] != slow["ratio"]
        assert list(make.made[1]) == ["base", "head"]
        timed_again = {given["name"] for do, given in make.made[1]["head"].asked if do == "block"}
        assert timed_again == {"a/two"}

    def test_an_alarm_that_a_fresh_pair_denies_passes_and_is_told(self):
        results = gate(Makes(head=lambda i: SLOW if i == 0 else {}))
        assert status(results)["a/two"] == "passed"
        found = row(results, "a/two")
        assert "did not confirm" in found["reason"]
        assert found["confirmation"]["lo"] < 1.1 < found["ratio"]["lo"]

    def test_a_slowdown_within_the_threshold_passes(self):
        assert gate(Makes(head={"speed": {"a/two": 1.07e-3}}))["failed"] == 0
        assert gate(Makes(head={"speed": {"a/two": 1.07e-3}}), threshold=0.03)["failed"] == 1

    def test_faster_is_said_and_passes(self):
        results = gate(Makes(head={"speed": {"a/one": 0.5e-3}}))
        assert row(results, "a/one")["reason"] == "faster"
        assert results["failed"] == 0

    def test_p95_never_fails_the_gate(self):
        """A head whose one round in ten is ten times slower: its p95 is told, its median is what counts."""

        class Spiky(Fake):
            def ask(self, do, **given):
                found = super().ask(do, **given)
                if do == "block" and self.rng.random() < 0.3:
                    found["cpu"][0] *= 10
                return found

        make = Makes()
        results = gate(lambda tree, side: Spiky(7) if side == "head" else make(tree, side))
        assert results["failed"] == 0
        assert row(results, "a/one")["p95"]["ratio"] > 2

    def test_its_own_error_is_told(self):
        results = gate(Makes())
        assert results["false_alarm"] == {"tried": 3, "alarms": 0, "gate_rate": pytest.approx(0, abs=1e-6)}
        for one in results["benchmarks"]:
            assert 0.1 < one["aa"]["smallest_slowdown"] < 0.2
        assert gate(Makes(), aa=False)["false_alarm"] is None

    def test_processes_that_differ_by_luck_are_false_alarms_in_the_open(self):
        """Twin of the head 20 % faster: what the machine does to equal code counts as an A/A alarm."""
        twin = {"speed": dict.fromkeys(NAMES, 0.8e-3)}
        found = gate(Makes(twin=twin))["false_alarm"]
        assert found["alarms"] == 3
        assert found["gate_rate"] > 0.9


class TestLooks:
    def test_what_is_undecided_gets_more_pairs_and_the_rest_does_not(self):
        """Exactly at the threshold: no number of pairs decides."""
        make = Makes(head={"speed": {"a/two": 1.1e-3}}, twin={"speed": {"a/two": 1.1e-3}})
        results = gate(make)
        assert {n: row(results, n)["ratio"]["n"] for n in NAMES} == {"a/one": 20, "a/two": 80, "b/three": 20}
        assert row(results, "a/two")["aa"]["ratio"]["n"] == 80

    def test_the_level_is_shared_among_looks(self):
        config = gate(Makes())["config"]
        assert config["level"] == 0.95
        assert config["level_at_a_look"] == pytest.approx(1 - 0.05 / 3)


class TestListing:
    def test_a_benchmark_that_the_base_lacks_is_listed_not_failed(self):
        results = gate(Makes(base={"faults": {("setup", "b/three"): ("import", "ImportError: no such")}}))
        assert status(results)["b/three"] == "new"
        assert "ImportError: no such" in row(results, "b/three")["reason"]
        assert (results["passed"], results["failed"]) == (2, 0)

    def test_a_base_with_another_result_is_listed_not_failed(self):
        results = gate(Makes(base={"faults": {("setup", "b/three"): ("other", "AssertionError: ")}}))
        assert status(results)["b/three"] == "incomparable"
        assert (results["passed"], results["failed"]) == (2, 0)

    @pytest.mark.parametrize("do", ["setup", "repeats", "check"])
    def test_a_head_that_cannot_run_it_fails(self, do):
        results = gate(Makes(head={"faults": {(do, "b/three"): ("other", "AssertionError: wrong")}}))
        assert status(results)["b/three"] == "failed"
        assert "AssertionError: wrong" in row(results, "b/three")["reason"]
        assert (results["passed"], results["failed"]) == (2, 1)

    def test_a_result_that_both_have_wrong_fails(self):
        wrong = {"faults": {("check", "b/three"): ("other", "AssertionError: wrong")}}
        assert status(gate(Makes(base=wrong, head=wrong, twin=wrong)))["b/three"] == "failed"
        assert status(gate(Makes(base=wrong)))["b/three"] == "incomparable"

    def test_a_missing_benchmark_fails(self):
        results = gate(Makes(head={"names": NAMES[:2]}))
        assert row(results, "b/three")["reason"] == "declared, but missing"
        assert results["failed"] == 1

    def test_a_renamed_benchmark_fails_twice(self):
        results = gate(Makes(head={"names": (*NAMES[:2], "b/threes")}))
        assert "renamed to b/threes?" in row(results, "b/three")["reason"]
        assert row(results, "b/threes")["reason"] == "not declared in the manifest"
        assert results["failed"] == 2

    def test_a_disabled_benchmark_fails(self):
        shown = [
            {
                "name": n,
                "group": "",
                "threads": 1,
                "pure": True,
                "info": {},
                "disabled": "flaky" if n == "a/one" else "",
            }
            for n in NAMES
        ]
        results = gate(Makes(head={"said": {"benchmarks": shown}}))
        assert row(results, "a/one")["reason"] == "disabled: flaky"
        assert results["failed"] == 1

    @pytest.mark.parametrize(("seconds", "words"), [(0.5e-7, "clock's useful floor"), (0.5e-6, "manifest declares")])
    def test_a_too_short_benchmark_fails(self, seconds, words):
        results = gate(Makes(head={"speed": {"a/one": seconds}}))
        assert words in row(results, "a/one")["reason"]
        assert results["failed"] == 1

    def test_what_the_base_declares_is_retired_with_a_reason_or_fails(self):
        said = {"said": {"manifest": {"benchmarks": {**dict.fromkeys(NAMES, 1), "z/gone": 1}}}}
        assert "dropped without a reason" in row(gate(Makes(base=said)), "z/gone")["reason"]
        retired = Manifest(DECLARED.least, {"z/gone": "the kernel is gone"})
        assert gate(Makes(base=said), retired)["failed"] == 0

    def test_only_what_was_chosen_is_timed_and_judged(self):
        results = gate(Makes(head={"names": NAMES[:2]}), only=("a/*",))
        assert list(status(results)) == ["a/one", "a/two"]
        assert results["failed"] == 0


class TestBadInput:
    def test_an_unknown_benchmark_names_the_nearest(self):
        with pytest.raises(ValueError, match=r"^--only a/tow: must name a benchmark, e\.g\. a/two$"):
            gate(Makes(), only=("a/tow",))

    def test_a_base_that_does_not_import(self):
        with pytest.raises(ValueError, match=r"^main: does not import: ModuleNotFoundError: simulator$"):
            gate(Makes(base={"faults": {("hello", None): ("import", "ModuleNotFoundError: simulator")}}))

    def test_nothing_to_compare(self):
        faults = {("setup", name): ("import", "ImportError: x") for name in NAMES}
        with pytest.raises(ValueError, match="nothing can be compared: the base lacks it: ImportError: x"):
            gate(Makes(base={"faults": faults}))

    def test_a_worker_that_is_gone(self):
        make = Makes(head={"faults": {("setup", "a/one"): ("lost", "worker ended: Killed")}})
        with pytest.raises(ValueError, match="worker ended: Killed"):
            gate(make)
        assert all(worker.closed for worker in make.made[0].values())

    def test_a_failure_while_timing(self):
        with pytest.raises(ValueError, match="failed while timed: OSError"):
            gate(Makes(head={"faults": {("block", "a/one"): ("other", "OSError: x")}}))

    def test_a_fresh_pair_that_fails(self):
        broken = {**SLOW, "faults": {("setup", "a/two"): ("other", "MemoryError: ")}}
        with pytest.raises(ValueError, match="a/two: had run before, and failed in a fresh process: MemoryError"):
            gate(Makes(head=lambda i: SLOW if i == 0 else broken))

    @pytest.mark.parametrize(("config", "words"), [
        ({"threshold": 0.0}, "threshold == 0.0, must be over 0"),
        ({"clock": "sundial"}, "clock == 'sundial', must be one of auto, cpu, wall"),
        ({"pairs": 5}, "pairs == 5, must be at least 6"),
    ])  # fmt: skip
    def test_settings(self, config, words):
        with pytest.raises(ValueError, match=words):
            gate(Makes(), **config)


class TestPairs:
    def test_neighbours_change_places_each_pair(self):
        assert [order(["base", "head", "twin"], i) for i in range(2)] == [
            ["base", "head", "twin"], ["twin", "head", "base"],
        ]  # fmt: skip

    def test_a_pair_is_on_one_processor_in_both_orders_before_it_is_the_next_ones_turn(self):
        log = []

        class Told(Fake):
            def ask(self, do, **given):
                log.append((self.rng.bit_generator.seed_seq.entropy, given["name"], given["cpu"]))
                assert (given["repeats"], given["rounds"]) == (4, ROUNDS)
                return super().ask(do, **given)

        measure({"base": Told(0), "head": Told(1)}, {"x": 4, "y": 4}, 4, cpus=[2, 5])
        assert [entry[0] for entry in log] == [0, 1, 0, 1, 1, 0, 1, 0] * 2
        assert [entry[1] for entry in log] == ["x", "x", "y", "y"] * 4
        assert [entry[2] for entry in log] == [2] * 8 + [5] * 8

    def test_the_processors_clock_unless_something_waits(self):
        sides = {"base": Fake(0), "head": Fake(1, wall=3.0)}
        found = measure(sides, {"x": 4}, 20)["x"]
        assert found.clock == "cpu"
        assert np.median(found.log_ratio("head", "base")) == pytest.approx(0, abs=0.03)
        waiting = {"base": Fake(0), "head": Fake(1, wall=3.0, waits=1.0)}
        found = measure(waiting, {"x": 4}, 20)["x"]
        assert found.clock == "wall"
        assert np.median(found.log_ratio("head", "base")) == pytest.approx(np.log(3), abs=0.03)

    def test_a_clock_that_was_asked_for(self):
        sides = {"base": Fake(0), "head": Fake(1, wall=3.0)}
        assert measure(sides, {"x": 4}, 5, clock="wall")["x"].clock == "wall"
