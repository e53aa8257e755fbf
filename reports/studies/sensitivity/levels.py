"""Levels of a dial: numbers that name folders and rows, so no two may be spelled alike."""

from __future__ import annotations

from collections.abc import Sequence


def apart(name: str, values: Sequence[float]) -> None:
    """Refuse levels that are the same in the six digits of their names.

    Raises:
        ValueError: one line with the two that clash.
    """
    spelled: dict[str, float] = {}
    for value in values:
        six = f"{value:g}"
        if six in spelled:
            raise ValueError(f"{name} == {spelled[six]!r}, {value!r}: must differ in six digits")
        spelled[six] = value
