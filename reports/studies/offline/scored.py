"""What a model leaves of a replay in one seed: its scores. Letters: n rows of the log, T test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

Array = npt.NDArray[Any]


class Scored(NamedTuple):
    """What one model left in one seed.

    Attributes:
        prequential: float32 [n], logit of each row of the log by what had been published when it was row_name.
        frozen: float32 [T], logit of each test row by what was published before the first of them.
        tau: against its ranker's order of the panel; None for a ranker.
        noise: AUC of the frozen scores by scale and level; empty where it was not asked for.
    """

    prequential: Array
    frozen: Array
    tau: float | None
    noise: dict[str, list[float]]


Cells = Mapping[str, Sequence[Scored]]
"""Model -> what it left, by seed."""


def row_name(model: str) -> str:
    """A model's name in the tables: rankers are spelled out."""
    return f"ranker {model[1:]}" if model.startswith("@") else model
