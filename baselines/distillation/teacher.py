"""What the log says of the teacher of a distillation loss, and whether it has anything to teach (docs/formulas.md 11).

The teacher is the ranker as it was when it scored the impression: its prediction and its hidden vector stand on the
row, from before it trained on that row, so no label reaches the student through them. No call of the ranker is added.
Rows that no ranker scored have no prediction (NaN) and take no part.
"""

from __future__ import annotations

from math import exp

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simulator.records import Impressions

SURE = 1e-6
"""Predictions are held this far from 0 and 1, for a finite logit."""


def teacher_logits(rows: Impressions) -> Tensor:
    """z_t, float32 [B]: logit of the ranker's prediction at slot 0 as logged, NaN where there is none."""
    p = torch.from_numpy(np.clip(rows.pctr.astype(np.float64), SURE, 1.0 - SURE))
    return torch.logit(p).float()


def check_share(name: str, value: float) -> None:
    """Refuse a weight outside [0, 1).

    Raises:
        ValueError: one line.
    """
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} == {value}, must be in [0, 1)")


def check_positive(name: str, value: float) -> None:
    """Refuse a number that is not positive and finite.

    Raises:
        ValueError: one line.
    """
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name} == {value}, must be positive and finite")


class Gate:
    """Open while the teacher predicts better than the student: a cold teacher teaches noise.

    Both running log losses are of the same rows: those at slot 0, for which the teacher's prediction was made and the
    student's position bias is zero. The student is the one in training, before its step on the row, so it is fresher
    than the teacher by the label's wait: the gate errs on the side of the student.

    Args:
        memory: rows after which a row's weight has fallen to 1/e.
    """

    def __init__(self, memory: float) -> None:
        check_positive("memory", memory)
        self._memory = memory
        self._teacher = self._student = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the teacher's running loss is the lower; closed before the first row."""
        return self._teacher < self._student

    def observe(self, teacher: Tensor, student: Tensor, label: Tensor, slot: Tensor) -> None:
        """Count the rows at slot 0 whose teacher is known.

        Args:
            teacher: z_t [B], NaN where unknown.
            student: logits [B] from before the step.
            label: float32 [B].
            slot: int64 [B].
        """
        both = (slot == 0) & teacher.isfinite()
        keep = exp(-float(both.sum()) / self._memory)
        losses = (
            float(functional.binary_cross_entropy_with_logits(z.detach()[both], label[both], reduction="sum"))
            for z in (teacher, student)
        )
        # Sums suffice: both are over the same rows with the same weights.
        self._teacher, self._student = (
            keep * old + new for old, new in zip((self._teacher, self._student), losses, strict=True)
        )

    def snapshot(self) -> tuple[float, float]:
        """The two running sums."""
        return self._teacher, self._student

    def restore(self, state: tuple[float, float]) -> None:
        """Take over a :meth:`snapshot`."""
        self._teacher, self._student = state
