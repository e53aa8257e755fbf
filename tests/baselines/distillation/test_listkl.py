"""Listwise distillation: how the lists are made, the divergence by hand, whom its gradient reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.distillation.listkl import ListKl, ListKlLoss, list_kl, lists
from tests.baselines.distillation.test_kd import trained


def test_lists_are_of_a_request_else_of_a_user_else_of_neighbours():
    request = np.array([1, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9])
    user = np.array([0, 0, 5, 5, 5, 5, 1, 2, 5, 3, 4, 6])
    found = lists(request, user, size=2).tolist()
    groups = {tuple(i for i, one in enumerate(found) if one == number) for number in found}
    # Requests 1 and 3; the lone rows of user 5; the others two by two in order, the last one alone.
    assert groups == {(0, 1), (3, 4, 5), (2, 8), (6, 7), (9, 10), (11,)}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=40), st.integers(2, 9))
def test_every_list_is_of_one_kind(rows, size):
    request, user = (np.array(column) for column in zip(*rows, strict=True))
    found = lists(request, user, size)
    assert found.min() >= 0
    lone = np.bincount(request)[request] == 1
    lone_of_user = lone & (np.bincount(user[lone], minlength=5)[user] == 1)
    for number in np.unique(found):
        mine = found == number
        if not lone[mine].any():
            assert np.unique(request[mine]).size == 1
            np.testing.assert_array_equal(mine, request == request[mine][0])
        elif not lone_of_user[mine].any():
            np.testing.assert_array_equal(mine, lone & (user == user[mine][0]))
        else:
            assert lone_of_user[mine].all()
            assert mine.sum() <= size
    assert np.unique(found[lone_of_user]).size == -(-lone_of_user.sum() // size)


def test_the_divergence_by_hand():
    z_a, z_t = torch.tensor([0.3, 9.0, -1.0, 0.5, 2.0]), torch.tensor([1.0, -4.0, 0.0, -2.0, 0.7])
    of, T, wanted = torch.tensor([4, 1, 4, 4, 6]), 2.0, 0.0
    for mine in ([0, 2, 3], [1], [4]):
        p, q = (np.exp(z.numpy()[mine] / T) for z in (z_t, z_a))
        p, q = p / p.sum(), q / q.sum()
        wanted += T**2 * len(mine) * (p * np.log(p / q)).sum()
    assert float(list_kl(z_a, z_t, of, T)) == pytest.approx(wanted, rel=1e-5)


def test_a_shift_of_a_list_changes_nothing_and_a_lone_row_says_nothing():
    z_a, z_t, of = torch.randn(6), torch.randn(6), torch.tensor([0, 0, 1, 1, 1, 2])
    shift = torch.tensor([5.0, 5.0, -300.0, -300.0, -300.0, 1.0])
    torch.testing.assert_close(list_kl(z_a + shift, z_t, of, 1.0), list_kl(z_a, z_t, of, 1.0), rtol=1e-3, atol=1e-4)
    assert float(list_kl(z_t - shift, z_t, of, 1.0)) == pytest.approx(0.0, abs=1e-4)
    assert float(list_kl(z_a[5:], z_t[5:], of[:1], 1.0)) == 0.0


def test_no_gradient_reaches_the_teacher():
    z_a, z_t = torch.randn(5, requires_grad=True), torch.randn(5, requires_grad=True)
    list_kl(z_a, z_t, torch.tensor([0, 0, 1, 1, 1]), 1.0).backward()
    assert z_t.grad is None
    q, p = torch.softmax(z_a.detach()[2:], 0), torch.softmax(z_t.detach()[2:], 0)
    torch.testing.assert_close(z_a.grad[2:], 3 * (q - p))


def opened(config, rows):
    loss = ListKlLoss(config)
    assert float(loss.loss(trained(rows))) == 0.0, "the gate is closed at first"
    assert loss.gate.is_open
    return loss


def test_the_loss_by_hand(log):
    """One request's rows: the student, equal on all, is uniform."""
    rows = log[-64:]  # by then the ranker tells ads apart
    one = rows[rows.request == np.bincount(rows.request).argmax()]
    assert len(one) >= 2
    p = torch.softmax(torch.logit(torch.from_numpy(one.pctr.astype(np.float64))), 0)
    wanted = 0.3 * len(one) * (p * (p * len(one)).log()).sum()
    assert float(opened(ListKl(lam=0.3), rows).loss(trained(one)).detach()) == pytest.approx(float(wanted), rel=1e-3)


def test_the_serving_head_learns_from_clicks_only(log):
    loss, batch = opened(ListKl(), log[:64]), trained(log[:64])
    loss.loss(batch).backward()
    assert batch.logit.grad is None
    assert batch.similarity.grad.abs().max() > 0


def test_rows_that_no_ranker_scored_are_in_no_list(log):
    rows, known = log[:64], np.arange(64) % 3 > 0
    some = replace(rows, pctr=np.where(known, rows.pctr, np.nan).astype(np.float32))
    batch = trained(some)
    found = opened(ListKl(), rows).loss(batch)
    alone = opened(ListKl(), rows).loss(trained(rows[known]))
    torch.testing.assert_close(found, alone)
    found.backward()
    assert not batch.similarity.grad[~known].any()
    none = replace(rows, pctr=np.full(64, np.nan, dtype=np.float32))
    assert float(opened(ListKl(), rows).loss(trained(none))) == 0.0


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"lam": -1.0}, r"lam == -1\.0, must be at least 0 and finite"),
        ({"size": 1}, "size == 1, must be at least 2"),
        ({"T": -2}, "T == -2, must be positive and finite"),
    ],
)
def test_refusals(settings, line):
    with pytest.raises(ValueError, match=line):
        ListKl(**settings)
