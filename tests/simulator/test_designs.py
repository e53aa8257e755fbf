"""Assignments: balanced, fixed by key, and what a design hashes decides alone."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.designs import LIVE, Assignment, DesignConfig
from simulator.records import DAY

USERS, ADS = 20_000, 4_000
CAMPAIGN = (np.arange(ADS) // 4).astype(np.int32)


def assignment(name: str, share: float = 0.5, seed: int = 1, **more) -> Assignment:
    return Assignment(seed=seed, design=DesignConfig(name=name, share=share, **more), campaign=CAMPAIGN)


def pairs(one: Assignment, seed: int = 0):
    rng = np.random.default_rng(seed)
    user = rng.integers(USERS, size=USERS).astype(np.int32)
    time = np.sort(rng.integers(0, 40 * DAY, size=USERS))
    ad = rng.integers(ADS, size=USERS).astype(np.int32)
    return user, time, ad, one.pairs(user, time, ad)


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_treated_pairs(name, share):
    *_, arm = pairs(assignment(name, share))
    wanted = share**2 if name == "two_sided" else share
    # 960 blocks, 1,000 campaigns, 20,000 users: five standard errors of the fewest
    assert arm.mean() == pytest.approx(wanted, abs=5 * np.sqrt(share * (1 - share) / 900))


@pytest.mark.parametrize("name", LIVE)
def test_all_or_nothing(name):
    assert not pairs(assignment(name, 0.0))[-1].any()
    assert pairs(assignment(name, 1.0))[-1].all()


@pytest.mark.parametrize(("name", "unit"), [("user_split", 0), ("budget_split", 0), ("switchback", 1), ("ad_side", 2)])
def test_a_unit_has_one_arm(name, unit):
    columns = pairs(assignment(name))
    keys = columns[unit] // 3600 if unit == 1 else CAMPAIGN[columns[unit]] if unit == 2 else columns[unit]
    arms = {}
    for key, arm in zip(keys.tolist(), columns[-1].tolist(), strict=True):
        assert arms.setdefault(key, arm) == arm


def test_two_sided_is_both_sides():
    one = assignment("two_sided")
    user, time, ad, arm = pairs(one)
    assert np.array_equal(arm, one.asked(user, time) & one.ads[ad])
    assert np.array_equal(one.ads, assignment("ad_side").ads)
    assert np.array_equal(one.asked(user, time), assignment("user_split").asked(user, time))


def test_salt_and_world_draw_anew():
    user = np.arange(USERS, dtype=np.int32)
    time = np.zeros(USERS, dtype=np.int64)
    base = assignment("user_split").asked(user, time)
    for other in (assignment("user_split", salt=1), assignment("user_split", seed=2)):
        assert np.mean(base == other.asked(user, time)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("share", "m", "rare"), [(0.5, 2, 1), (0.25, 4, 1), (0.9, 10, 0)])
def test_every_cycle_of_a_switchback_is_balanced(share, m, rare):
    one = assignment("switchback", share, block=600)
    time = np.arange(0, m * 600 * 50, 600)
    cycles = one.asked(np.zeros(time.size, dtype=np.int32), time).reshape(50, m)
    assert ((cycles == rare).sum(axis=1) == 1).all()
    assert len({int(np.argmax(row == rare)) for row in cycles}) == m  # not always the same block of the cycle


def test_a_switchback_has_whole_cycles():
    with pytest.raises(ValueError, match=r"design.share == 0.3, must be 1/m or 1 - 1/m in a switchback"):
        assignment("switchback", 0.3)
