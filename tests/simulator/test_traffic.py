"""Who comes when."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from simulator.keyed_random import normals
from simulator.records import DAY
from simulator.traffic import HOUR_PROFILE, TrafficConfig, day_requests
from simulator.world import WorldConfig
from tests.simulator.conftest import gini

USERS = 4000
ACTIVITY = np.exp(WorldConfig().activity_sd * normals(3, "activity", np.arange(USERS)))
NOBODY_LATE = np.zeros(USERS, dtype=np.int64)
CONFIG = TrafficConfig(requests_per_day=8000)


def a_day(day: int = 0, *, seed: int = 1, config: TrafficConfig = CONFIG, arrival: np.ndarray = NOBODY_LATE):
    return day_requests(config, seed, day, ACTIVITY, arrival, 2)


def test_the_same_day_twice():
    a, b, other = a_day(2), a_day(2), a_day(2, seed=2)
    for f in fields(a):
        assert np.array_equal(getattr(a, f.name), getattr(b, f.name)), f.name
    assert not np.array_equal(a.user, other.user)
    assert not np.array_equal(a.time, other.time)


def test_days_need_no_earlier_days():
    """Drawing day 3 alone or after the others is the same: nothing is carried along."""
    first = a_day(3)
    for day in range(3):
        a_day(day)
    assert np.array_equal(a_day(3).user, first.user)


def test_event_order_ids_and_ranges():
    days = [a_day(d) for d in range(3)]
    ids = np.concatenate([d.id for d in days])
    assert np.array_equal(ids, np.arange(3 * 8000))
    for d, day in enumerate(days):
        assert (np.diff(day.time) >= 0).all()
        assert day.time[0] >= d * DAY
        assert day.time[-1] < (d + 1) * DAY
        assert day.user.min() >= 0
        assert day.user.max() < USERS
        assert set(np.unique(day.context[:, 1])) == {0, 1}
        assert np.array_equal(day.context[:, 0], day.time % DAY // 3600)


def test_hours_follow_the_profile():
    share = np.bincount(a_day().context[:, 0], minlength=24) / 8000
    # Times are stratified, so every hour holds its share to within a request or two.
    assert np.abs(share - np.array(HOUR_PROFILE) / sum(HOUR_PROFILE)).max() < 3 / 8000


def test_gini_of_activity_is_the_logs():
    """World card: 0.465 on KuaiRand-Pure."""
    activity = np.exp(WorldConfig().activity_sd * normals(1, "activity", np.arange(100_000)))
    assert gini(activity) == pytest.approx(0.47, abs=0.01)


def test_gini_of_requests_follows_activity():
    users = np.concatenate([a_day(d).user for d in range(14)])
    counts = np.bincount(users, minlength=USERS)
    assert gini(counts) == pytest.approx(gini(ACTIVITY), abs=0.03)
    assert np.corrcoef(counts, ACTIVITY)[0, 1] > 0.95


def test_nobody_comes_before_the_day_of_her_arrival():
    arrival = np.where(np.arange(USERS) % 2, np.int64(2 * DAY + DAY // 2), np.int64(0))
    late = np.arange(USERS) % 2 == 1
    assert not late[a_day(1, arrival=arrival).user].any()
    assert late[a_day(2, arrival=arrival).user].mean() > 0.3


def test_sessions_bring_users_back_soon_and_their_off_position_does_not():
    def quick_returns(share: float) -> float:
        """Share of requests whose user was among the 64 requests before."""
        user = a_day(config=TrafficConfig(requests_per_day=8000, session_share=share)).user
        return float(np.mean([user[i] in user[max(i - 64, 0) : i] for i in range(1, 8000)]))

    assert quick_returns(0.0) < 0.1
    assert quick_returns(0.3) > quick_returns(0.0) + 0.2


@pytest.mark.parametrize("wrong", [{"requests_per_day": 0}, {"session_share": 1.0}, {"session_share": -0.1}])
def test_wrong_dials_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrafficConfig(**wrong)
