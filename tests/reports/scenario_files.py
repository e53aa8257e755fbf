"""Whole scenario files, drawn: every field of every section at ordinary, extreme and wrong values, at tiny sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from simulator.config import merged
from simulator.records import DAY
from simulator.scenario import Scenario

TINY: dict[str, dict[str, Any]] = {
    "world": {"users": 30, "ads": 12, "advertisers": 4, "base_logit": -1.0, "history_days": 2},
    "traffic": {"requests_per_day": 60},
    "cascade": {"candidates": 5, "tick": 21600, "sync": 21600},
    "logging": {"pool": 5},
    "run": {
        "burn_in": 1, "days": 1, "worlds": 1, "panel": 5, "evaluation": 5, "tau": 3, "ladder_worlds": 0, "latency": 4,
    },
}  # fmt: skip
"""What a drawn file changes: half a second of a run."""
SIZES = {
    "users", "ads", "advertisers", "categories", "segments", "history_length", "requests_per_day", "candidates",
    "fatigue_days", "pool", "burn_in", "days", "worlds", "panel", "evaluation", "tau", "ladder_worlds", "ladder_days",
    "latency", "history_days", "slots",
}  # fmt: skip
"""Dials that cost time or memory: small, or so large that nothing may begin."""
CLOCKS = {"tick": (60, 3600, 7000, 21600, 43200, 86400), "sync": (60, 3600, 21600, 43200, 86400, 172800)}
ABSURD = [-1, 0, 2**31, 2**63, 10**23, 10**400]
WRONG = ["", "x", True, [], [1], {}, {"x": 1}, "a/b", "\u001b[31m", "é" * 300]
REAL = [-1e308, -1.0, -5e-324, 0.0, 5e-324, 1e-9, 0.5, 1.0, 3.0, 1e9, 1e308, math.inf, -math.inf, math.nan]


def dials() -> Iterator[tuple[str, str, FieldInfo]]:
    """(section, key, field) of every dial of a scenario."""
    for section, field in Scenario.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for key, inner in field.annotation.model_fields.items():
                yield section, key, inner


def limits(field: FieldInfo) -> tuple[float, float]:
    """The least and the most that a field's own checks let pass; an open end is a hair inside."""
    low, high = -math.inf, math.inf
    for rule in field.metadata:
        low = max(low, getattr(rule, "ge", -math.inf), getattr(rule, "gt", -math.inf) + 1e-12)
        high = min(high, getattr(rule, "le", math.inf), getattr(rule, "lt", math.inf) - 1e-12)
    return low, high


def ordinary(key: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    """Values that a field lets pass, its edges among them."""
    low, high = limits(field)
    if key in CLOCKS:
        return st.sampled_from(CLOCKS[key])
    if field.annotation is int:
        few = st.integers(int(max(low, 0)), 5)
        return few if key in SIZES else st.one_of(few, st.sampled_from([900, DAY, 900_000]))
    if field.annotation is float:
        near = st.floats(max(low, -5.0), min(high, 5.0))
        edges = [edge for edge in (low, high) if math.isfinite(edge) and key not in SIZES]
        return st.one_of(near, near, st.sampled_from(edges)) if edges else near
    return st.sampled_from([field.default, *getattr(field.annotation, "__args__", ())])


@st.composite
def scenarios(draw: Any) -> dict[str, Any]:
    """The content of a scenario file as a dict: up to eight dials moved, and one of them odd in every third file."""
    known = list(dials())
    found: dict[str, Any] = {}
    for section, key, field in draw(st.lists(st.sampled_from(known), min_size=1, max_size=8)):
        found.setdefault(section, {})[key] = draw(ordinary(key, field))
    if draw(st.integers(0, 2)) == 0:
        section, key, _ = draw(st.sampled_from(known))
        found.setdefault(section, {})[key] = draw(st.sampled_from([*ABSURD, *REAL, *WRONG]))
    return merged(TINY, found)


def spelled(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {spelled(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spelled, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in value) + '"'
    return repr(value)


def toml(content: dict[str, Any]) -> str:
    """A scenario file."""
    lines = [f"{key} = {spelled(value)}" for key, value in content.items() if not isinstance(value, dict)]
    for section, inner in content.items():
        if isinstance(inner, dict):
            lines += [f"[{section}]", *(f"{key} = {spelled(value)}" for key, value in inner.items())]
    return "\n".join(lines) + "\n"
