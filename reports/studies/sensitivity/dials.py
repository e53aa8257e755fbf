"""The dials of ``cs3bench sensitivity``, apart from the study: naming a wrong one loads nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple


class Dial(NamedTuple):
    """One dial.

    Attributes:
        key: the field of a scenario that it turns.
        values: its default levels, mildest first.
        what: the axis' name and unit.
        x: level -> place on the axis, in order of the levels.
        value: level -> the field's value.
    """

    key: str
    values: tuple[float, ...]
    what: str
    x: Callable[[float], float] = float
    value: Callable[[float], float] = float


DIALS: Mapping[str, Dial] = {
    "feature_noise": Dial("world.feature_noise", (0, 0.5, 1, 2), "Sd of the noise on dense features"),
    "drift": Dial(
        "world.drift_half_life", (0, 28, 14, 7, 3), "Drift: 1 / half-life in days (0 is off)",
        lambda days: 1 / days if days else 0.0,
    ),
    "label_wait": Dial("feedback.label_wait", (900, 3600, 14_400, 86_400), "Label wait, seconds"),
    "sync": Dial("cascade.sync", (1800, 7200, 21_600, 86_400), "Sync period, seconds"),
    "budget_tightness": Dial(
        "world.budget_clicks", (1500, 20, 6, 2), "Budget tightness: 1 / median daily budget in clicks",
        lambda clicks: 1 / clicks if clicks else inf,
    ),
    "cross_share": Dial(
        "world.low_rank_share", (0, 0.25, 0.5, 0.75, 1), "Share of crosses in the variance of interactions",
        value=lambda share: 1 - share,
    ),
    "k": Dial("cascade.candidates", (10, 20, 30, 60), "K, candidates"),
}  # fmt: skip
WHOLE = ("label_wait", "sync", "k")
"""Dials whose levels are whole numbers."""
