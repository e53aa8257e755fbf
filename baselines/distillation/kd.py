"""KD, soft labels of the ranker for the towers (Hinton et al., arXiv 1503.02531; docs/formulas.md 11).

    L = (1 - lam) BCE(y, sigma(z_s)) + lam T^2 BCE(sigma(z_t / T), sigma(z_a / T))

z_t is the teacher's logit as logged on the row (``teacher``), z_s the student's serving logit, z_a its auxiliary logit
``g' s(u, v) + b'`` over the backbone's score s, with a gain and a bias of its own. The serving head learns from clicks
only, so a teacher that is shifted moves the vectors and not the calibration. Both z_t and z_a are at slot 0: no
position bias is in them.

Departures: the soft term works on z_a instead of z_s; the hard term keeps weight 1 and the soft one has
``lam / (1 - lam)``, the same up to a factor, so that the towers' other losses keep theirs beside the click's; the soft
term is switched off while the teacher's running log loss is not below the student's; impressions only: soft labels of
unexposed candidates (arXiv 2205.01289) need ranker calls that the log does not hold, of which this arm makes 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.distillation.teacher import Gate, check_positive, check_share, teacher_logits
from baselines.training.auxiliary import LossOnly, Trained
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class Kd:
    """Entry point ``kd``, the modifier of ``dssm+kd`` and ``dssm+kd[lam=0.3,T=2]``.

    Attributes:
        lam: weight of the soft labels against the clicks, in [0, 1).
        T: temperature of both sides of the soft term.
        gain: start of the auxiliary logit's gain.
        memory: rows of the gate's running losses.
    """

    lam: float = 0.5
    T: float = 1.0
    gain: float = 10.0
    memory: float = 10_000.0

    def __post_init__(self) -> None:
        check_share("lam", self.lam)
        for name in ("T", "gain", "memory"):
            check_positive(name, getattr(self, name))

    def auxiliary(self, catalog: Catalog, seed: int, widths: tuple[int, int], hidden: int) -> KdLoss:
        """The loss; its head starts as the serving head does."""
        return KdLoss(self, catalog.base_ctr)


def soft_bce(student: Tensor, teacher: Tensor, T: float) -> Tensor:  # noqa: N803
    """``T^2 sum BCE(sigma(sg(z_t) / T), sigma(z_a / T))`` of logits [n]."""
    target = torch.sigmoid(teacher.detach() / T)
    return T**2 * functional.binary_cross_entropy_with_logits(student / T, target, reduction="sum")


class KdLoss(LossOnly):
    """The soft term as an ``Auxiliary``.

    Args:
        config: weights.
        base_ctr: start of the auxiliary logit's bias, as a rate.
    """

    def __init__(self, config: Kd, base_ctr: float) -> None:
        self.config = config
        self.gate = Gate(config.memory)
        self._rho = nn.Parameter(torch.tensor(float(np.log(np.expm1(config.gain)))))
        self._bias = nn.Parameter(torch.tensor(float(np.log(base_ctr / (1 - base_ctr)))))

    def dense(self) -> list[nn.Parameter]:
        """Gain and bias of the auxiliary logit; nothing learns at weight 0."""
        return [self._rho, self._bias] if self.config.lam else []

    def logit(self, similarity: Tensor) -> Tensor:
        """z_a of similarities [n]."""
        return functional.softplus(self._rho) * similarity + self._bias

    def loss(self, batch: Trained) -> Tensor:
        """The soft term, over the rows whose teacher is known; 0 while the gate is closed."""
        z_t = teacher_logits(batch.rows)
        known, teaches = z_t.isfinite(), self.gate.is_open
        self.gate.observe(z_t, batch.logit, batch.label, torch.from_numpy(batch.rows.slot.astype(np.int64)))
        lam = self.config.lam
        if not (lam and teaches and known.any()):
            return batch.logit.new_zeros(())
        return lam / (1 - lam) * soft_bce(self.logit(batch.similarity[known]), z_t[known], self.config.T)

    def snapshot(self) -> dict[str, object]:
        """Gain, bias and gate, copied."""
        return {"weights": [p.detach().clone() for p in (self._rho, self._bias)], "gate": self.gate.snapshot()}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        for mine, theirs in zip((self._rho, self._bias), cast(list[Tensor], state["weights"]), strict=True):
            mine.copy_(theirs)
        self.gate.restore(state["gate"])
