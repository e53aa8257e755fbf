"""The two softmax losses against cases worked by hand, and the streaming frequencies behind logQ."""

from __future__ import annotations

from math import exp, log

import pytest
import torch

from baselines.training.softmax import StreamingFrequency, against_uniform, in_batch

SCORES = torch.tensor([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [1.0, -1.0, 2.5]])
LOG_Q = torch.tensor([-1.0, -2.0, -0.5])


def test_in_batch_three_by_three():
    """Distinct keys: nothing is masked, every column is corrected by its own log q."""
    by_hand = 0.0
    for i, row in enumerate(SCORES.tolist()):
        corrected = [s - q for s, q in zip(row, LOG_Q.tolist(), strict=True)]
        by_hand -= corrected[i] - log(sum(map(exp, corrected)))
    loss = in_batch(SCORES, torch.tensor([0, 1, 2]), torch.tensor([4, 5, 6]), LOG_Q)
    assert float(loss) == pytest.approx(by_hand / 3, rel=1e-6)


def test_in_batch_masks_the_same_item_and_other_positives_of_the_user():
    """Rows (u0, a), (u0, b), (u1, a): row 0 and 1 see nobody else, row 2 sees only b."""
    users, items = torch.tensor([0, 0, 1]), torch.tensor([7, 8, 7])
    s, q = SCORES.tolist(), LOG_Q.tolist()
    row_2 = -(s[2][2] - q[2]) + log(exp(s[2][2] - q[2]) + exp(s[2][1] - q[1]))
    assert float(in_batch(SCORES, users, items, LOG_Q)) == pytest.approx(row_2 / 3, rel=1e-6)


def test_in_batch_ignores_a_common_shift_of_log_q():
    users, items = torch.tensor([0, 1, 2]), torch.tensor([4, 5, 6])
    shifted = in_batch(SCORES, users, items, LOG_Q + 3.0)
    torch.testing.assert_close(shifted, in_batch(SCORES, users, items, LOG_Q))


def test_against_uniform_masks_a_draw_of_the_own_item():
    positive, negative = torch.tensor([1.0, 2.0]), torch.tensor([[0.5, 3.0], [0.0, 1.0]])
    loss = against_uniform(positive, negative, torch.tensor([4, 5]), torch.tensor([9, 4]))
    row_0 = log(exp(1.0) + exp(0.5)) - 1.0  # the second draw is its own item
    row_1 = log(exp(2.0) + exp(0.0) + exp(1.0)) - 2.0
    assert float(loss) == pytest.approx((row_0 + row_1) / 2, rel=1e-6)


def test_log_q_follows_the_gaps_between_batches():
    frequency = StreamingFrequency(3, start=10.0, rate=0.5)
    items = torch.tensor([0, 1, 2])
    assert frequency.log_q(items).tolist() == pytest.approx([-log(10.0)] * 3)
    gap = 10.0
    for step in range(1, 5):  # item 0 in every batch, twice; item 1 in the second and fourth; item 2 never
        frequency.update(torch.tensor([0, 0, 1] if step % 2 == 0 else [0, 0]))
        if step > 1:
            gap = 0.5 * gap + 0.5 * 1
    expected = [-log(gap), -log(0.5 * 10 + 0.5 * 2), -log(10.0)]
    assert frequency.log_q(items).tolist() == pytest.approx(expected)


def test_log_q_is_never_positive():
    frequency = StreamingFrequency(2, start=0.1)
    assert frequency.log_q(torch.tensor([0, 1])).tolist() == [0.0, 0.0]
