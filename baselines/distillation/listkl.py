"""Listwise distillation (ListNet, Cao et al., ICML 2007, with the ranker as the judge; docs/formulas.md 11).

    L = BCE(y, sigma(z_s)) + lam T^2 sum over lists C of |C| KL(softmax_C(z_t / T) || softmax_C(z_a / T))

z_t is the teacher's logit as logged on the row (``teacher``), ``z_a = g' s(u, v)`` the student's, the backbone's score
with a gain of its own; a list's softmax knows no bias. A list counts as its rows: the gradient on a logit does not
shrink as lists grow.

Departure, and a large one: the lists. The full method takes per request 16 to 64 ads, exposed ones, the student's own
current top and uniform draws, because a loss over a subset bounds the ranking error only if the student's top is in it
(arXiv 2509.20989). The log holds a teacher's figure for exposed ads only, so here C is

1. the exposed rows of one request, where two or more have a teacher's figure;
2. else such rows of one user in the same micro-batch, where there are two or more;
3. else ``size`` neighbours in the log, of other users: the same tick's.

In a market that the arm serves itself, what is exposed comes from its own top and from the keyed uniform exploration,
as far as the auction let them through; that much of the full list is there. This arm makes 0 extra ranker calls; the
full method would make about ``size`` per request that is trained on, plus one search of the student's index.
Further: the soft term is switched off while the teacher's running log loss is not below the student's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.distillation.teacher import Gate, check_positive, teacher_logits
from baselines.training.auxiliary import LossOnly, Trained
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class ListKl:
    """Entry point ``listkl``, the modifier of ``dssm+listkl``.

    Attributes:
        lam: weight of the lists beside the clicks.
        T: temperature of both sides.
        size: rows of a list of neighbours, at least 2.
        gain: start of the auxiliary logit's gain.
        memory: rows of the gate's running losses.
    """

    lam: float = 0.5
    T: float = 1.0
    size: int = 16
    gain: float = 10.0
    memory: float = 10_000.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.lam < float("inf"):
            raise ValueError(f"lam == {self.lam}, must be at least 0 and finite")
        if self.size < 2:
            raise ValueError(f"size == {self.size}, must be at least 2")
        for name in ("T", "gain", "memory"):
            check_positive(name, getattr(self, name))

    def auxiliary(self, catalog: Catalog, seed: int, widths: tuple[int, int], hidden: int) -> ListKlLoss:
        """The loss."""
        return ListKlLoss(self)


def lists(request: npt.NDArray[Any], user: npt.NDArray[Any], size: int) -> npt.NDArray[np.int64]:
    """The list of each row, int64 [n], by the rule of this file's header.

    Args:
        request: ids [n].
        user: ids [n].
        size: rows of a list of neighbours.
    """
    lone, found = _shared(request)
    lone_of_user, of_user = _shared(user[lone])
    of_user[lone_of_user] = of_user.size + np.arange(lone_of_user.sum()) // size
    found[lone] = found.size + of_user
    return found


def _shared(key: npt.NDArray[Any]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which keys [n] occur once, and numbers below n of the keys."""
    _, number, count = np.unique(key, return_inverse=True, return_counts=True)
    return count[number] < 2, number


def list_kl(student: Tensor, teacher: Tensor, of: Tensor, T: float) -> Tensor:  # noqa: N803
    """``T^2 sum_C |C| KL(softmax_C(sg(z_t) / T) || softmax_C(z_a / T))``.

    Args:
        student: z_a [n].
        teacher: z_t [n].
        of: int64 [n], the list of each row, numbered from 0 with or without gaps; n at least 1.
        T: temperature.
    """
    rows = torch.bincount(of)
    log_p, log_q = (_log_softmax(z / T, of, rows.numel()) for z in (teacher.detach(), student))
    return T**2 * (rows[of] * log_p.exp() * (log_p - log_q)).sum()


def _log_softmax(z: Tensor, of: Tensor, count: int) -> Tensor:
    """Log softmax of z [n] within each of ``count`` lists."""
    top = z.new_zeros(count).scatter_reduce(0, of, z.detach(), "amax", include_self=False)
    z = z - top[of]
    total: Tensor = z.new_zeros(count).index_add(0, of, z.exp())
    return z - total[of].log()


class ListKlLoss(LossOnly):
    """The listwise term as an ``Auxiliary``.

    Args:
        config: weights.
    """

    def __init__(self, config: ListKl) -> None:
        self.config = config
        self.gate = Gate(config.memory)
        self._rho = nn.Parameter(torch.tensor(float(np.log(np.expm1(config.gain)))))

    def dense(self) -> list[nn.Parameter]:
        """Gain of the auxiliary logit; nothing learns at weight 0."""
        return [self._rho] if self.config.lam else []

    def loss(self, batch: Trained) -> Tensor:
        """The listwise term, over the rows whose teacher is known; 0 while the gate is closed."""
        rows, z_t = batch.rows, teacher_logits(batch.rows)
        known, teaches = z_t.isfinite(), self.gate.is_open
        self.gate.observe(z_t, batch.logit, batch.label, torch.from_numpy(rows.slot.astype(np.int64)))
        lam = self.config.lam
        if not (lam and teaches and known.any()):
            return batch.logit.new_zeros(())
        at = known.numpy()
        of = torch.from_numpy(lists(rows.request[at], rows.user[at], self.config.size))
        z_a = functional.softplus(self._rho) * batch.similarity[known]
        return lam * list_kl(z_a, z_t[known], of, self.config.T)

    def snapshot(self) -> dict[str, object]:
        """Gain and gate, copied."""
        return {"rho": self._rho.detach().clone(), "gate": self.gate.snapshot()}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self._rho.copy_(state["rho"])
        self.gate.restore(state["gate"])
