"""KD: the formula, whom its gradient reaches, which rows take part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.distillation.kd import Kd, KdLoss, soft_bce
from baselines.training.auxiliary import Trained


def trained(rows, similarity=0.3):
    """A batch's forward with leaves where the towers would be."""
    n = len(rows)
    return Trained(
        rows=rows,
        label=torch.from_numpy(rows.label).float(),
        u=torch.zeros(n, 4),
        v=torch.zeros(n, 4),
        similarity=torch.full((n,), similarity).requires_grad_(),
        logit=torch.full((n,), -6.0).requires_grad_(),  # a student that the teacher easily beats
        user_read=torch.zeros(n, 0),
        item_read=torch.zeros(n, 0),
    )


def opened(config, rows, base_ctr=0.1):
    """The loss after a first batch, which opened its gate."""
    loss = KdLoss(config, base_ctr)
    assert float(loss.loss(trained(rows))) == 0.0, "the gate is closed at first"
    assert loss.gate.is_open
    return loss


def test_the_soft_term_by_hand():
    z_a, z_t, T = torch.tensor([0.5, -2.0]), torch.tensor([1.0, -1.0]), 2.0
    p, q = (1 / (1 + np.exp(-z.numpy() / T)) for z in (z_t, z_a))
    wanted = T**2 * -(p * np.log(q) + (1 - p) * np.log(1 - q)).sum()
    assert float(soft_bce(z_a, z_t, T)) == pytest.approx(wanted, rel=1e-6)


def test_no_gradient_reaches_the_teacher_and_none_the_student_who_agrees():
    z_a, z_t = torch.tensor([0.5, -2.0], requires_grad=True), torch.tensor([0.5, -1.0], requires_grad=True)
    soft_bce(z_a, z_t, 1.0).backward()
    assert z_t.grad is None
    np.testing.assert_allclose(z_a.grad, [0.0, 1 / (1 + np.exp(2.0)) - 1 / (1 + np.exp(1.0))], atol=1e-6)


def test_the_loss_by_hand(log):
    config, rows = Kd(lam=0.2, T=3.0, gain=7.0), log[:64]
    loss, batch = opened(config, rows), trained(rows, similarity=0.25)
    z_t = torch.logit(torch.from_numpy(rows.pctr.astype(np.float64)))
    p, q = torch.sigmoid(z_t / 3.0), torch.sigmoid(torch.tensor((7.0 * 0.25 + np.log(0.1 / 0.9)) / 3.0))
    wanted = 0.25 * 9.0 * -(p * q.log() + (1 - p) * (1 - q).log()).sum()
    assert float(loss.loss(batch).detach()) == pytest.approx(float(wanted), rel=1e-5)


def test_the_serving_head_learns_from_clicks_only(log):
    loss, batch = opened(Kd(), log[:64]), trained(log[:64])
    loss.loss(batch).backward()
    assert batch.logit.grad is None
    assert batch.similarity.grad.abs().min() > 0, "the towers learn, through the auxiliary logit"
    assert all(p.grad.abs() > 0 for p in loss.dense())


def test_rows_that_no_ranker_scored_take_no_part(log):
    rows = log[:64]
    known = np.arange(64) % 3 > 0
    some = replace(rows, pctr=np.where(known, rows.pctr, np.nan).astype(np.float32))
    batch = trained(some)
    found = opened(Kd(), rows).loss(batch)
    alone = opened(Kd(), rows).loss(trained(rows[known]))
    torch.testing.assert_close(found, alone)
    found.backward()
    np.testing.assert_array_equal(batch.similarity.grad != 0, known)
    none = replace(rows, pctr=np.full(64, np.nan, dtype=np.float32))
    assert float(opened(Kd(), rows).loss(trained(none))) == 0.0


def test_a_closed_gate_is_silent(log):
    loss, rows = KdLoss(Kd(), 0.1), log[:64]
    better = trained(rows)._replace(logit=torch.from_numpy(np.where(rows.label, 9.0, -9.0)))
    for _ in range(3):
        assert float(loss.loss(better)) == 0.0


def test_nothing_learns_at_weight_0(log):
    loss = opened(Kd(lam=0.0), log[:64])
    assert loss.dense() == []
    assert float(loss.loss(trained(log[:64]))) == 0.0


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"lam": 1.0}, r"lam == 1\.0, must be in \[0, 1\)"),
        ({"lam": -0.1}, r"lam == -0\.1, must be in \[0, 1\)"),
        ({"T": 0}, "T == 0, must be positive and finite"),
        ({"gain": -1.0}, r"gain == -1\.0, must be positive and finite"),
        ({"memory": float("nan")}, "memory == nan, must be positive and finite"),
    ],
)
def test_refusals(settings, line):
    with pytest.raises(ValueError, match=line):
        Kd(**settings)
