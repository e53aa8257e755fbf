"""What studies of a real log have in common: seconds and seeds that can be meant, and enough of a log to learn from."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from reports.studies.offline.replay import learned_before
from simulator.config import MOST_SEED
from simulator.records import DAY, Flags, Impressions

WEEK = 7 * DAY
T = TypeVar("T")


def _number(value: object) -> object:
    """A flag is no number, though pydantic takes it for 0 or 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _of_a_week(seconds: int) -> int:
    if seconds > WEEK:
        raise ValueError(f"must be at most {WEEK} seconds, a week (in milliseconds?)")
    return seconds


def once(values: tuple[T, ...]) -> tuple[T, ...]:
    """``values`` if each is there once.

    Raises:
        ValueError: if one is there twice.
    """
    if len(set(values)) < len(values):
        raise ValueError("must name each once: what is there twice counts as another draw")
    return values


LabelWait = Annotated[int, Field(ge=0), AfterValidator(_of_a_week), BeforeValidator(_number)]
"""Seconds from an impression to its label."""
Sync = Annotated[int, Field(gt=0), AfterValidator(_of_a_week), BeforeValidator(_number)]
"""Seconds between publications."""
Seed = Annotated[int, Field(ge=0, le=MOST_SEED), BeforeValidator(_number)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000), AfterValidator(once)]


def check_learned(rows: Impressions, label_wait: int, sync: int, row: int) -> None:
    """Refuse a replay in which nothing is learned before a row: its figures would be of untrained models.

    Args:
        rows: [n], in event order.
        label_wait: seconds, for the line.
        sync: seconds between publications.
        row: the first that is measured, or the last that may be the first.

    Raises:
        ValueError: one line with both and the time that there is.
    """
    if learned_before(rows, sync, row) == 0:
        days = (rows.time[row] - rows.time[0]) / DAY
        raise ValueError(
            f"label_wait == {label_wait}, sync == {sync}, must let a label be learned and published in the {days:.2g}"
            " days before the rows that are measured, in seconds"
        )


def check_both_classes(label: Flags, what: str) -> None:
    """Refuse rows on which there is no AUC.

    Raises:
        ValueError: one line.
    """
    if label.all() or not label.any():
        raise ValueError(f"label is {bool(label[0])} in all rows of {what}, must be True in some and False in others")
