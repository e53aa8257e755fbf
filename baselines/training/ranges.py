"""Ranges of hyper-parameters that towers and rankers have in common: a wrong one is a line before the first batch."""

from __future__ import annotations

from typing import Any

WIDEST = 1 << 16
"""Units of a layer, and width of an embedding: a dense layer between two such has 17 GB."""
MOST_ROWS = 1 << 24
"""Rows of a batch, and draws beside it."""


def check_range(config: Any, names: str, least: float, most: float, *, above: bool = False) -> None:
    """Refuse fields outside a range; every entry of a tuple counts.

    Args:
        config: whose fields they are.
        names: with blanks between them.
        least: the least value; ``above`` leaves it out.
        most: the largest value.
        above: the value must be larger than ``least``.

    Raises:
        ValueError: one line.
    """
    for name in names.split():
        value = getattr(config, name)
        entries = value if isinstance(value, tuple | list) else (value,)
        if not entries:
            raise ValueError(f"{name} == {value}, must hold at least one")
        if not all((least < one if above else least <= one) and one <= most for one in entries):
            raise ValueError(
                f"{name} == {value}, must be {'above' if above else 'at least'} {least} and at most {most}"
            )


def check_training(config: Any) -> None:
    """Refuse what no tower and no ranker can be made or trained with.

    Args:
        config: with ``embedding``, ``hidden``, ``batch``, ``dropout``, ``lr``, ``table_lr``, ``l2`` and ``horizon``.

    Raises:
        ValueError: one line.
    """
    check_range(config, "embedding hidden", 1, WIDEST)
    check_range(config, "batch", 1, MOST_ROWS)
    check_range(config, "lr table_lr", 0, 1000)
    check_range(config, "l2", 0, 1000)
    check_range(config, "horizon", 0, 1 << 40)
    check_range(config, "dropout", 0, 0.99)
