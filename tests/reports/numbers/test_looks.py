"""Looks by hand, and the promise of the band in simulated tests."""

from __future__ import annotations

import numpy as np
import pytest

from reports.numbers.looks import guarded, judged


def look(effect: float | None, se: float | None, n: int) -> dict[str, float | None]:
    return {"rel_effect": None if effect is None else float(np.expm1(effect)), "se": se, "requests": n}


def test_a_look_without_an_answer_says_nothing() -> None:
    found = guarded([look(None, None, 10), look(0.1, 0.05, 100)], 200)
    assert np.isnan(found["effect"][0])
    assert np.isnan(found["band"][0])
    assert found["p"][0] == 1
    assert found["plain"][1] == pytest.approx(1.959964 * 0.05)
    assert found["band"][1] > found["plain"][1]


def test_shares_by_hand() -> None:
    # Two looks; the truth is 0.1. The first world's plain interval misses early only, the second's never.
    worlds = [
        guarded([look(0.5, 0.1, 50), look(0.15, 0.05, 100)], 100),
        guarded([look(0.0, 0.1, 50), look(0.05, 0.05, 100)], 100),
    ]
    found = judged(worlds, [0.1, 0.1])
    assert found["at_the_end"]["value"] == 0
    assert found["ever"]["value"] == 0.5
    assert (found["n"], found["looks"]) == (2, 2)


def test_a_strong_wrong_effect_stops_the_test_with_the_wrong_sign() -> None:
    worlds = [guarded([look(-0.5, 0.05, 50), look(-0.5, 0.04, 100)], 100)]
    found = judged(worlds, [0.1])
    assert found["stopped"]["value"] == 1
    assert found["wrong_sign"] == 1
    assert found["mean_look"] == 1


def test_looking_misleads_the_plain_interval_and_not_the_band() -> None:
    """No effect, unit noise, 12 looks: the band misses in at most 5 % of 600 tests, the plain interval in many more."""
    rng, worlds = np.random.default_rng(1), []
    edges = np.linspace(100, 1200, 12).astype(int)
    for _ in range(600):
        mean = np.cumsum(rng.normal(size=1200))[edges - 1] / edges
        worlds.append(guarded([look(m / 10, 0.1 / np.sqrt(n), int(n)) for m, n in zip(mean, edges, strict=True)], 1200))
    found = judged(worlds, np.zeros(600))
    assert found["ever"]["value"] > 0.15
    assert found["band_ever"]["value"] < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)
    assert 0.02 < found["at_the_end"]["value"] < 0.09
