"""World -> Requests of one day, in event order, the arm already stamped on each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.config import Section
from simulator.keyed_random import integers, uniforms
from simulator.records import DAY, MOST_IDS, Requests

HOUR_PROFILE = (
    0.0365, 0.0228, 0.0148, 0.0094, 0.0078, 0.0098, 0.0177, 0.0266, 0.0338, 0.0402, 0.0460, 0.0515,
    0.0586, 0.0559, 0.0508, 0.0524, 0.0557, 0.0599, 0.0562, 0.0547, 0.0565, 0.0606, 0.0641, 0.0578,
)  # fmt: skip
"""Share of a day's impressions by hour, KuaiRand-Pure 25 Apr - 8 May (local time)."""
SESSION_REACH = 64
"""A session goes on within so many requests of the whole site."""


_EDGES = np.concatenate([[0.0], np.cumsum(HOUR_PROFILE)]) / sum(HOUR_PROFILE)


def day_share(second: float) -> float:
    """Share of a day's traffic expected by ``second`` of the day."""
    return float(np.interp(second, np.arange(25) * 3600.0, _EDGES))


class TrafficConfig(Section):
    """Dials of the traffic."""

    requests_per_day: int = Field(10_000, ge=1, le=MOST_IDS, description="the same on every day")
    session_share: float = Field(0.3, ge=0, lt=1, description="share of requests that go on with an earlier session")


def day_requests(
    config: TrafficConfig,
    seed: int,
    day: int,
    activity: npt.NDArray[np.float64],
    arrival: npt.NDArray[np.int64],
    placements: int,
) -> Requests:
    """All requests of a day; the ids run on from day to day.

    Args:
        config: dials.
        seed: the world's seed.
        day: 0-based.
        activity: float64 [U], relative request rates.
        arrival: int64 [U], seconds; a user makes no request on the days before the one in which she arrives.
        placements: number of placement codes.
    """
    n = config.requests_per_day
    index = np.arange(n)
    ids = day * n + index
    # Stratified times: request i has the i-th n-th of the day's mass, so they come sorted.
    mass = (index + uniforms(seed, "time", ids)) / n
    time = (day * DAY + np.interp(mass, _EDGES, np.arange(25) * 3600.0)).astype(np.int64)

    rate = np.where(arrival < (day + 1) * DAY, activity, 0.0)
    cumulative = np.cumsum(rate)
    fresh = np.searchsorted(cumulative, uniforms(seed, "user", ids) * cumulative[-1], side="right")
    # A request that goes on with a session takes the user of an earlier one; follow the pointers to the session's head.
    goes_on = uniforms(seed, "session", ids) < config.session_share
    head = np.where(goes_on, np.maximum(index - 1 - integers(seed, "session gap", SESSION_REACH, ids), 0), index)
    while not np.array_equal(head, head[head]):
        head = head[head]
    user = np.minimum(fresh, activity.size - 1)[head]
    context = np.stack([(time % DAY) // 3600, integers(seed, "placement", placements, ids)], axis=1)
    return Requests(
        id=ids.astype(np.int64),
        user=user.astype(np.int32),
        time=time,
        context=context.astype(np.int32),
        arm=np.zeros(n, dtype=np.int8),
    )
