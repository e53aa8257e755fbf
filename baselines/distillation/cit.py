"""CIT, contrastive information transfer (Cao et al., Meituan, arXiv 2207.03073): CMS's own h_uv, as a loss.

The towers' representation of a pair must pick the ranker's frozen representation of the same pair among others:

    r_s = MLP([u; v; u * v])      r_t = sg(h_uv)
    L = BCE(y, sigma(z_s)) + lam sum_rows -log( exp(cos(r_s, r_t) / tau) / sum over own and others of the same )

What CMS averages into an input, CIT puts into the gradient: the two differ by the channel only. The MLP is for training
only; serving is the plain towers'.

Departures, where the public abstract is silent or the log short (docs/formulas.md 11): the form of the head, in which
the pair's score stands for ``u * v`` where the two sides' vectors differ in width; the others are a row's neighbours in
the log, ``others`` of them at most, because a request exposes few ads: the request's own rows are among them, wherever
a micro-batch or a block does not part them; rows of the same user and ad are no others of each other; h_uv is the one
that was logged when the impression was scored, from before the ranker trained on it (``teacher``), with 0 extra ranker
calls; the term is switched off while the ranker's running log loss is not below the towers'.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.distillation.teacher import Gate, check_positive, teacher_logits
from baselines.training.auxiliary import LossOnly, Trained
from baselines.training.features import mlp
from simulator.keyed_random import subseed
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class Cit:
    """Entry point ``cit``, the modifier of ``dssm+cit``.

    Attributes:
        lam: weight of the contrast beside the clicks.
        tau: temperature of the cosines.
        others: wrong pairs that each row is set against at most, at least 1.
        head: width of the head's hidden layer.
        memory: rows of the gate's running losses.
    """

    lam: float = 0.1
    tau: float = 0.1
    others: int = 63
    head: int = 128
    memory: float = 10_000.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.lam < float("inf"):
            raise ValueError(f"lam == {self.lam}, must be at least 0 and finite")
        for name in ("others", "head"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} == {getattr(self, name)}, must be at least 1")
        for name in ("tau", "memory"):
            check_positive(name, getattr(self, name))

    def auxiliary(self, catalog: Catalog, seed: int, widths: tuple[int, int], hidden: int) -> CitLoss:
        """The loss for towers whose vectors have these ``widths`` and a ranker of ``hidden`` vectors."""
        return CitLoss(self, seed, catalog.ads.rows, widths, hidden)


def contrast(student: Tensor, teacher: Tensor, pair: Tensor, others: int, tau: float) -> Tensor:
    """Sum over rows of the InfoNCE of the header; blocks of ``others + 1`` neighbours are each other's others.

    Args:
        student: r_s [n, H].
        teacher: r_t [n, H].
        pair: int64 [n], number of the row's pair.
        others: wrong pairs per row at most.
        tau: temperature.
    """
    n, H = student.shape
    size = min(others + 1, n)
    blocks = -(-n // size)
    # A last block that is not full is filled up with rows that are masked as columns and not summed as rows.
    fill = blocks * size - n
    r_s, r_t = (functional.normalize(r, dim=1, eps=1e-8) for r in (student, teacher.detach()))
    r_s, r_t = (functional.pad(r, (0, 0, 0, fill)).view(blocks, size, H) for r in (r_s, r_t))
    pair = functional.pad(pair, (0, fill), value=-1).view(blocks, size)
    real = torch.arange(blocks * size).view(blocks, size) < n
    cosine = r_s @ r_t.transpose(1, 2) / tau
    own = torch.eye(size, dtype=torch.bool)
    wrong = real[:, None, :] & (pair[:, :, None] != pair[:, None, :])
    total = cosine.masked_fill(~(wrong | own), -torch.inf).logsumexp(dim=2)
    return (total - cosine.diagonal(dim1=1, dim2=2))[real].sum()


class CitLoss(LossOnly):
    """The contrast as an ``Auxiliary``.

    Args:
        config: weights.
        seed: of the head.
        ads: number of ads, to number the pairs.
        widths: of the user's and the item's vectors.
        hidden: dh, of the ranker's vectors.
    """

    def __init__(self, config: Cit, seed: int, ads: int, widths: tuple[int, int], hidden: int) -> None:
        self.config = config
        self.gate = Gate(config.memory)
        self._ads, self._hidden = ads, hidden
        joint = widths[0] if widths[0] == widths[1] else 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(subseed(seed, "cit head"))
            self._head = mlp([sum(widths) + joint, config.head, hidden])

    def dense(self) -> list[nn.Parameter]:
        """Weights of the head; nothing learns at weight 0."""
        return list(self._head.parameters()) if self.config.lam else []

    def loss(self, batch: Trained) -> Tensor:
        """The contrast, over the rows that a ranker scored; 0 while the gate is closed.

        Raises:
            ValueError: if the log's hidden vectors are of another width than the head's.
        """
        rows, z_t = batch.rows, teacher_logits(batch.rows)
        known, teaches = z_t.isfinite(), self.gate.is_open
        self.gate.observe(z_t, batch.logit, batch.label, torch.from_numpy(rows.slot.astype(np.int64)))
        if not (self.config.lam and teaches and known.any()):
            return batch.logit.new_zeros(())
        if rows.hidden.shape[1] != self._hidden:
            raise ValueError(f"rows.hidden.shape[1] == {rows.hidden.shape[1]}, must be {self._hidden}")
        h = torch.from_numpy(rows.hidden[known.numpy()].astype(np.float32))
        pair = torch.from_numpy(rows.user.astype(np.int64) * self._ads + rows.ad)[known]
        u, v = batch.u[known], batch.v[known]
        both = u * v if u.shape == v.shape else batch.similarity[known, None]
        r_s = self._head(torch.cat([u, v, both], dim=1))
        return self.config.lam * contrast(r_s, h, pair, self.config.others, self.config.tau)

    def snapshot(self) -> dict[str, object]:
        """Head and gate, copied."""
        return {"head": copy.deepcopy(self._head.state_dict()), "gate": self.gate.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self._head.load_state_dict(state["head"])
        self.gate.restore(state["gate"])
