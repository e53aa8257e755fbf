"""The names in an arm's spelling, looked up before anything heavy is imported: a wrong one is told within a second."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.config import shown
from simulator.plugins import MODIFIERS, RANKERS, RETRIEVERS, nearest, registered

DEFAULT_RANKER = "dnn"
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
        backbone, modifiers, ranker = split(spelling)
        if not backbone:
            raise ValueError(f"arm == '{spelling}', must be spelled backbone+modifier+...@ranker")
        _there([] if backbone == ORACLE else [backbone], RETRIEVERS)
        _there(modifiers, MODIFIERS)
        _there([ranker], RANKERS)


def split(spelling: str) -> tuple[str, list[str], str]:
    """Names of the backbone, of the modifiers and of the ranker, without their brackets."""
    towers, _, ranker = spelling.partition("@")
    backbone, *modifiers = (part.partition("[")[0] for part in towers.split("+"))
    return backbone, modifiers, ranker.partition("[")[0] or DEFAULT_RANKER


def _there(names: Sequence[str], group: str) -> None:
    points = registered(group)
    for name in names:
        if ":" not in name and name not in points:
            raise ValueError(f"name == '{name}', must be in {group}{nearest(name, points)}")
