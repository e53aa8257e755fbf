"""CIT: the contrast by hand, who is whose other, whom its gradient reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from baselines.distillation.cit import Cit, CitLoss, contrast
from tests.baselines.distillation.test_kd import trained


def by_loop(student, teacher, pair, others, tau):
    """Row by row, from the formula."""
    total, size = 0.0, others + 1
    for i in range(len(student)):
        cosines = functional.cosine_similarity(student[i : i + 1], teacher).double().numpy() / tau
        block = range(i // size * size, min(i // size * size + size, len(student)))
        rivals = [j for j in block if j == i or pair[j] != pair[i]]
        total -= cosines[i] - np.log(np.exp(cosines[rivals]).sum())
    return total


@pytest.mark.parametrize(("n", "others"), [(7, 63), (12, 3), (13, 4), (5, 1), (1, 15)])
def test_the_contrast_by_hand(n, others):
    draws = torch.Generator().manual_seed(n)
    student, teacher = torch.randn(n, 6, generator=draws), torch.randn(n, 6, generator=draws)
    pair = torch.randint(n // 2 + 1, (n,), generator=draws)
    found = contrast(student, teacher, pair, others, 0.1)
    assert float(found) == pytest.approx(by_loop(student, teacher, pair, others, 0.1), rel=1e-4, abs=1e-5)


def test_equal_pairs_are_no_others_of_each_other():
    r = torch.randn(4, 5)
    assert float(contrast(r, r, torch.zeros(4, dtype=torch.int64), 63, 0.1)) == pytest.approx(0.0, abs=1e-5)
    assert float(contrast(r, r.roll(1, 0), torch.arange(4), 63, 0.1)) > 4 * np.log(4)


def test_no_gradient_reaches_the_teacher_and_padding_gives_no_nan():
    student, teacher = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    contrast(student, teacher, torch.arange(5), 1, 0.1).backward()
    assert teacher.grad is None
    assert student.grad.isfinite().all()
    assert student.grad[:4].any(dim=1).all()
    assert not student.grad[4].any(), "the last block is of one row: it has no others"


def with_vectors(rows, width=4, user_width=None):
    draws = torch.Generator().manual_seed(0)
    u, v = (torch.randn(len(rows), w, generator=draws).requires_grad_() for w in (user_width or width, width))
    return trained(rows)._replace(u=u, v=v)


def opened(config, rows, ads, widths=(4, 4)):
    loss = CitLoss(config, 1, ads, widths, rows.hidden.shape[1])
    assert float(loss.loss(with_vectors(rows, widths[1], widths[0]))) == 0.0, "the gate is closed at first"
    assert loss.gate.is_open
    return loss


def test_the_loss_by_hand(world, log):
    rows, ads = log[:50], world.catalog.ads.rows
    loss, batch = opened(Cit(lam=0.3, tau=0.2, others=15), rows, ads), with_vectors(rows)
    r_s = loss._head(torch.cat([batch.u, batch.v, batch.u * batch.v], dim=1)).detach()
    h = torch.from_numpy(rows.hidden.astype(np.float32))
    pair = [(int(user), int(ad)) for user, ad in zip(rows.user, rows.ad, strict=True)]
    numbers = torch.tensor([sorted(set(pair)).index(one) for one in pair])
    assert float(loss.loss(batch).detach()) == pytest.approx(0.3 * by_loop(r_s, h, numbers, 15, 0.2), rel=1e-4)


def test_towers_and_head_learn_the_serving_head_does_not(world, log):
    rows = log[:50]
    loss, batch = opened(Cit(), rows, world.catalog.ads.rows), with_vectors(rows)
    loss.loss(batch).backward()
    assert batch.u.grad.any(dim=1).all()
    assert batch.v.grad.any(dim=1).all()
    assert batch.logit.grad is None
    assert all(p.grad is not None and p.grad.any() for p in loss.dense())


def test_vectors_of_two_widths_meet_in_their_score(world, log):
    rows = log[:50]
    loss, batch = opened(Cit(), rows, world.catalog.ads.rows, widths=(6, 4)), with_vectors(rows, 4, user_width=6)
    loss.loss(batch).backward()
    assert batch.u.grad.shape == (50, 6)
    assert batch.similarity.grad.any()


def test_rows_that_no_ranker_scored_take_no_part(world, log):
    rows, ads, known = log[:50], world.catalog.ads.rows, np.arange(50) % 3 > 0
    some = replace(rows, pctr=np.where(known, rows.pctr, np.nan).astype(np.float32))
    batch = with_vectors(some)
    opened(Cit(), rows, ads).loss(batch).backward()
    np.testing.assert_array_equal(batch.u.grad.any(dim=1), known)
    nobody = replace(rows, pctr=np.full(50, np.nan, dtype=np.float32), hidden=np.zeros((50, 0), dtype=np.float16))
    assert float(opened(Cit(), rows, ads).loss(with_vectors(nobody))) == 0.0


def test_hidden_vectors_of_another_width_are_refused_in_one_line(world, log):
    rows = log[:50]
    narrow = replace(rows, hidden=rows.hidden[:, :10])
    with pytest.raises(ValueError, match=r"^rows\.hidden\.shape\[1\] == 10, must be 64$"):
        opened(Cit(), rows, world.catalog.ads.rows).loss(with_vectors(narrow))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"lam": float("inf")}, "lam == inf, must be at least 0 and finite"),
        ({"others": 0}, "others == 0, must be at least 1"),
        ({"head": 0}, "head == 0, must be at least 1"),
        ({"tau": 0.0}, r"tau == 0\.0, must be positive and finite"),
    ],
)
def test_refusals(settings, line):
    with pytest.raises(ValueError, match=line):
        Cit(**settings)
