"""The rule, certified by simulation: coverage, false alarms (under noise that remembers too), power, its forecast."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from reports.gate.decide import (
    FAMILY,
    LOOKS,
    alarm_rate,
    alarms,
    at_a_look,
    bounds,
    false_alarm,
    fewest_pairs,
    level,
    rank,
    smallest_slowdown,
    undecided,
)

N, TRIES = 30, 4000
SLACK = 3 * np.sqrt(0.05 * 0.95 / TRIES)
LOG_THRESHOLD = np.log1p(0.1)


def share_of_alarms(d):
    """Of rows [..., N], all at once; the same rule as ``alarms(bounds(row))``."""
    return np.mean(np.sort(d, axis=-1)[..., rank(d.shape[-1], 0.95) - 1] > LOG_THRESHOLD)


def heavy(rng, size):
    """Timings of a shared machine: mostly quiet, now and then far off to the slow side, in either block of a pair."""
    quiet = 0.03 * rng.standard_normal(size)
    spikes = rng.exponential(0.8, size) * (rng.random(size) < 0.15)
    return quiet + spikes


NOISES = {
    "normal": lambda rng, size: 0.1 * rng.standard_normal(size),
    "laplace": lambda rng, size: rng.laplace(0, 0.1, size),
    "cauchy": lambda rng, size: 0.05 * rng.standard_cauchy(size),
    "difference of spikes": lambda rng, size: heavy(rng, size) - heavy(rng, size),
}


@pytest.mark.parametrize("noise", NOISES)
def test_bounds_cover_the_median_as_often_as_they_say(noise):
    d = NOISES[noise](np.random.default_rng(1), (TRIES, N)) + LOG_THRESHOLD
    k, ordered = rank(N, 0.95), np.sort(d, axis=1)
    lo, hi = ordered[:, k - 1], ordered[:, N - k]
    assert [(one.lo, one.hi) for one in (bounds(row, 0.95) for row in d[:9])] == list(zip(lo[:9], hi[:9], strict=True))
    below, above = np.mean(lo <= LOG_THRESHOLD), np.mean(hi >= LOG_THRESHOLD)
    exact = 1 - binom.cdf(rank(N, 0.95) - 1, N, 0.5)
    assert exact >= 0.95
    assert below == pytest.approx(exact, abs=SLACK)
    assert above == pytest.approx(exact, abs=SLACK)


def pairs_of_a_spell(rng, rho, gap):
    """d of pairs out of one slowly changing machine: AR(1) log noise, ``gap`` other blocks between two pairs."""
    blocks = N * (2 + gap)
    noise = np.empty((TRIES, blocks))
    noise[:, 0] = rng.standard_normal(TRIES)
    steps = np.sqrt(1 - rho**2) * rng.standard_normal((TRIES, blocks))
    for i in range(1, blocks):
        noise[:, i] = rho * noise[:, i - 1] + steps[:, i]
    first, second = noise[:, :: 2 + gap], noise[:, 1 :: 2 + gap]
    turned = np.arange(N) % 2 == 1  # AB, BA, AB, ...
    return 0.2 * np.where(turned, first - second, second - first)


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(("gap", "most"), [(6, 0.05), (0, 0.07)])
def test_noise_that_remembers_makes_few_more_false_alarms(rho, gap, most):
    """At the worst place, exactly the slowdown that is allowed. A benchmark timed alone has pairs that touch."""
    d = pairs_of_a_spell(np.random.default_rng(2), rho, gap) + LOG_THRESHOLD
    assert share_of_alarms(d) <= most + SLACK


def test_a_machine_that_only_gets_slower_is_no_slowdown():
    """A drift of 300 % over the run: alternation puts half of it on either side."""
    time = np.linspace(0, np.log(4), 2 * N)
    first, second = time[::2], time[1::2]
    d = np.where(np.arange(N) % 2 == 1, first - second, second - first)
    assert not alarms(bounds(d + 0.01 * np.random.default_rng(3).standard_normal(N), 0.95), 0.1)
    assert bounds(d, 0.95).log_ratio == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("m", [1, 5, 20, 22, 100, 1000])
def test_the_family_keeps_its_false_alarms(m):
    """Two independent pairs must agree: m a^2 at the worst place."""
    assert m * (1 - level(m)) ** 2 <= FAMILY + 1e-12
    assert level(m) >= 0.95


def alarms_at_some_look(d, confidence):
    """Of rows [..., 4 n]: who alarms at a look, having been undecided before."""
    n = d.shape[-1] // LOOKS[-1]
    open_, found = np.ones(d.shape[:-1], dtype=bool), np.zeros(d.shape[:-1], dtype=bool)
    for look in LOOKS:
        ordered, k = np.sort(d[..., : look * n], axis=-1), rank(look * n, at_a_look(confidence))
        over, under = ordered[..., k - 1] > LOG_THRESHOLD, ordered[..., look * n - k] < LOG_THRESHOLD
        found |= open_ & over
        open_ &= ~over & ~under
    return found


@pytest.mark.parametrize("noise", ["normal", "cauchy", "difference of spikes"])
def test_three_looks_keep_the_error_of_one(noise):
    d = NOISES[noise](np.random.default_rng(9), (TRIES, 80)) + LOG_THRESHOLD
    assert alarms_at_some_look(d, 0.95).mean() <= 0.05 + SLACK


def test_more_pairs_see_what_twenty_do_not():
    """Noise as of a processor whose two halves disturb each other: a pair is off by a factor of 1.6 as often as not."""
    rng = np.random.default_rng(10)
    d = np.log(1.25) + np.log(1.6) * rng.choice([-1, 0, 0, 1], (2000, 80)) + 0.05 * rng.standard_normal((2000, 80))
    first = np.sort(d[:, :20], axis=1)[:, rank(20, 0.95) - 1] > LOG_THRESHOLD
    assert first.mean() < 0.8
    assert alarms_at_some_look(d, 0.95).mean() > 0.97


def test_undecided_is_a_threshold_between_the_bounds():
    d = np.linspace(-1, 1, 20)
    assert undecided(bounds(d, 0.95), 0.1)
    assert not undecided(bounds(d + 1, 0.95), 0.1)
    assert not undecided(bounds(d - 1, 0.95), 0.1)


def test_the_family_by_simulation():
    """22 benchmarks, each exactly as much slower as is allowed, heavy-tailed: whole gates, two pairs each."""
    rng, m, gates = np.random.default_rng(4), 22, 600
    d = rng.laplace(0, 0.1, (gates, m, 2, 80)) + LOG_THRESHOLD
    failed = alarms_at_some_look(d, level(m)).all(axis=2).any(axis=1)
    assert failed.mean() <= FAMILY + 3 * np.sqrt(FAMILY * (1 - FAMILY) / gates)


def test_a_real_slowdown_is_seen_and_a_permitted_one_is_not():
    rng = np.random.default_rng(5)
    d = NOISES["difference of spikes"](rng, (500, N))
    assert share_of_alarms(d + np.log(1.25)) > 0.97
    assert share_of_alarms(d + np.log(1.02)) == 0
    assert alarms(bounds(d[0] + np.log(1.25), 0.95), 0.1)
    assert not alarms(bounds(d[0] + np.log(1.02), 0.95), 0.1)


def test_bounds_are_order_statistics():
    d = np.arange(30.0)[::-1]
    found = bounds(d, 0.95)
    assert (found.lo, found.log_ratio, found.hi, found.n) == (10.0, 14.5, 19.0, 30)
    assert rank(30, 0.95) == 11  # P(Bin(30, 1/2) <= 10) = 0.0494


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_too_few_pairs_have_no_bound(confidence):
    n = fewest_pairs(confidence)
    assert 0.5**n <= 1 - confidence < 0.5 ** (n - 1)
    found = bounds(np.full(n - 1, 9.0), confidence)
    assert found.lo == -np.inf
    assert not alarms(found, 0.1)
    assert alarms(bounds(np.full(n, 9.0), confidence), 0.1)


def test_ratios_that_are_none_are_refused():
    with pytest.raises(ValueError, match="must be finite"):
        bounds(np.array([0.1, np.nan]), 0.95)
    with pytest.raises(ValueError, match="at least one"):
        bounds(np.array([]), 0.95)


def test_the_forecast_is_what_resampling_gives():
    rng = np.random.default_rng(6)
    d = 0.15 * rng.standard_normal(N)
    forecast = alarm_rate(d, 0.18, 0.1, 0.95, N)
    drawn = d[rng.integers(N, size=(20_000, N))] + np.log1p(0.18)
    seen = np.mean(np.sort(drawn, axis=1)[:, rank(N, 0.95) - 1] > LOG_THRESHOLD)
    assert 0.2 < seen < 0.9
    assert forecast == pytest.approx(seen, abs=0.05)  # half a pair on either side of the threshold


def test_the_smallest_slowdown_is_seen_four_times_in_five():
    """In data of the same kind that were not looked at, on average over runs."""
    rng = np.random.default_rng(7)
    seen = []
    for _ in range(40):
        s = smallest_slowdown(0.06 * rng.standard_normal(N), 0.1, 0.95, N)
        fresh = 0.06 * rng.standard_normal((400, N)) + np.log1p(s)
        seen.append(share_of_alarms(fresh) ** 2)
    assert 0.6 < np.mean(seen) < 0.95


def test_the_smallest_slowdown_grows_with_the_noise_and_is_never_below_the_threshold():
    d = np.random.default_rng(8).standard_normal(N)
    found = [smallest_slowdown(sd * d, 0.1, 0.95, N) for sd in (0.01, 0.1, 0.5)]
    assert 0.1 < found[0] < found[1] < found[2]
    assert smallest_slowdown(20 * d, 0.1, 0.95, N) is None
    assert smallest_slowdown(d, 0.1, 0.95, 3) is None


def test_false_alarms_of_a_gate_need_both_pairs():
    assert false_alarm(np.array([0.1, 0.0])) == pytest.approx(0.01)
    assert false_alarm(np.array([0.0, 0.0])) == 0
    assert false_alarm(np.array([1.0, 0.2])) == 1
