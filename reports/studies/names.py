"""The names in an arm's spelling, looked up before anything heavy is imported: a wrong one is told within a second."""

from __future__ import annotations

from collections.abc import Sequence

from reports.records.spelling import Spelling
from simulator.config import shown
from simulator.plugins import MODIFIERS, RANKERS, RETRIEVERS, nearest, registered

ORACLE = "oracle"
"""A retriever that a study builds with the world in hand; it has no factory."""
MOST_LETTERS = 200
"""Of a spelling, which is part of a folder's name."""


def check(*spellings: str) -> None:
    """Refuse arms with a part that is not there. Factories of one's own, ``module:factory``, are imported later.

    Raises:
        ValueError: one line with the part that is unknown and the nearest right name.
    """
    for spelling in spellings:
        if not spelling.isprintable() or len(spelling) > MOST_LETTERS:
            raise ValueError(f"arm == {shown(spelling)}, must be at most {MOST_LETTERS} printable letters")
        parts = Spelling.of(spelling)
        if not parts.backbone:
            raise ValueError(f"arm == '{spelling}', must be spelled backbone+modifier+...@ranker")
        _there([] if parts.backbone == ORACLE else [parts.backbone], RETRIEVERS)
        _there(parts.modifiers, MODIFIERS)
        _there([parts.learned.name], RANKERS)


def _there(names: Sequence[str], group: str) -> None:
    points = registered(group)
    for name in names:
        if ":" not in name and name not in points:
            raise ValueError(f"name == '{name}', must be in {group}{nearest(name, points)}")
