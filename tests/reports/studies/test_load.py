"""Load generators: who is asked when, and from when latency counts. Clocks are faked; nothing here is timed."""

from __future__ import annotations

import numpy as np
import pytest

from reports.studies.serving import load


class Clock:
    """Time that passes only where somebody says so."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        self.now += 1e-6
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(load.time, "perf_counter", made.perf_counter)
    monkeypatch.setattr(load.time, "sleep", made.sleep)
    return made


def test_arms_take_turns():
    asked = []
    seconds = load.interleaved(["a", "b"], 4, lambda name, i: asked.append((name, i)))
    timed = asked[-8:]
    assert [i for _, i in timed] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [name for name, _ in timed] == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert len(asked) == 8 + 8  # as many untimed before, and no more than 20
    assert all(times.shape == (4,) for times in seconds.values())


def test_a_clock_may_be_given():
    ticks = iter(range(100))
    seconds = load.interleaved(["a"], 3, lambda *_: None, lambda: float(next(ticks)))
    assert seconds["a"].tolist() == [1.0, 1.0, 1.0]


def test_a_stall_is_charged_to_all_who_waited(clock):
    """One answer of 1 s, questions each 0.1 s: a closed loop would see one slow answer, an open one sees ten."""

    def serve(i):
        clock.now += 1.0 if i == 0 else 0.01

    latency, answered = load.open_loop(np.arange(20) / 10, serve)
    np.testing.assert_allclose(latency[:11], 1.0 - 0.09 * np.arange(11), atol=1e-3)
    np.testing.assert_allclose(latency[12:], 0.01, atol=1e-3)
    assert answered == pytest.approx(20 / 1.91, rel=1e-2)


def test_nobody_is_served_before_arrival(clock):
    began = []
    load.open_loop(np.array([0.0, 0.5, 0.7]), lambda i: began.append(clock.now - 100.0))
    np.testing.assert_allclose(began, [0.0, 0.5, 0.7], atol=1e-3)


def test_arrivals_are_poisson():
    at = load.poisson(50.0, 4000, np.random.default_rng(1))
    gaps = np.diff(at)
    assert (gaps > 0).all()
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.06)
    assert gaps.std() == pytest.approx(1 / 50, rel=0.1)
    with pytest.raises(ValueError, match="rate == 0, must be above 0"):
        load.poisson(0, 1, np.random.default_rng(1))


def test_the_knee():
    assert load.knee([1, 2, 3, 4], [1.0, 1.5, 2.9, 9.0]) == 3
    assert load.knee([1, 2, 3], [1.0, 4.0, 1.0]) == 1, "what comes after a break does not count"
    assert load.knee([1, 2], [1.0, float("nan")]) == 1
    assert load.knee([], []) is None


def test_clients_share_no_question():
    asked = []
    assert load.together(2, 5, asked.append) > 0
    assert sorted(asked) == list(range(10))


def test_ends_that_n_cannot_give_are_none():
    few, many = (load.quantiles(np.arange(1, n + 1) / 1e3) for n in (298, 299))
    assert few["p99_ms"]["hi"] is None
    assert many["p99_ms"]["hi"] == pytest.approx(299)
    assert many["n"] == 299
    assert many["p50_ms"]["value"] == pytest.approx(150)


def test_change_of_qps():
    base = np.full(40, 1.0)
    assert load.change_of_qps(base, base * 1.25)["value"] == pytest.approx(-0.2)
    assert load.change_of_qps(base, base)["lo"] == 0
