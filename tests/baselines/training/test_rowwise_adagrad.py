"""The embedding tables' optimiser: one gather of distinct rows, then Adagrad with one accumulator a row."""

from __future__ import annotations

import torch
from torch.nn import functional

from baselines.training.flat_adam import FlatAdam
from baselines.training.gather import RowGather
from baselines.training.rowwise_adagrad import RowwiseAdagrad


def table(rows: int = 12, width: int = 3) -> torch.Tensor:
    made = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    made[0] = 0.0
    return made


def test_gather_renumbers_every_lookup_to_distinct_rows():
    weights, gather = table(), RowGather(12)
    one, other = torch.tensor([[5, 3], [5, 0]]), torch.tensor([9, 3, 9])
    for _ in range(2):  # the scratch memory is clean again
        batch = gather(weights, one, other)
        assert batch.rows.tolist() == [0, 3, 5, 9]
        assert torch.equal(batch.values, weights[batch.rows])
        assert torch.equal(batch.rows[batch.places[0]], one)
        assert torch.equal(batch.rows[batch.places[1]], other)
        assert (one == 0).equal(batch.places[0] == 0)
    assert gather(weights, torch.tensor([7])).rows.tolist() == [0, 7]


def test_equals_a_dense_reference_that_touches_the_batch_rows_only():
    lr, l2, eps = 0.3, 0.01, 1e-8
    weights, reference = table(), table()
    squares = torch.zeros(12)
    optimiser = RowwiseAdagrad(weights, lr=lr, l2=l2, eps=eps)
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        codes = torch.randint(1, 8, (6,), generator=generator)
        target = torch.randn(6, 3, generator=generator)

        batch = optimiser.gather(codes)
        functional.mse_loss(batch.values.index_select(0, batch.places[0]), target).backward()
        optimiser.step(batch)

        dense = reference.clone().requires_grad_()
        functional.mse_loss(dense[codes], target).backward()
        for row in codes.unique().tolist():
            gradient = dense.grad[row] + l2 * reference[row]
            squares[row] += gradient.square().mean()
            reference[row] -= lr * gradient / (squares[row].sqrt() + eps)
        torch.testing.assert_close(weights, reference)
    assert torch.equal(weights[8:], table()[8:]), "rows outside the batches never decay"


def test_a_row_without_gradient_still_decays_and_the_pad_stays_zero():
    weights = table()
    optimiser = RowwiseAdagrad(weights, lr=0.1, l2=0.5)
    batch = optimiser.gather(torch.tensor([0, 4]))
    (batch.values.index_select(0, batch.places[0][:1]).sum() * 3.0).backward()  # only the pad is used
    optimiser.step(batch)
    assert not weights[0].any()
    assert not torch.equal(weights[4], table()[4])
    untouched = [1, 2, 3, *range(5, 12)]
    assert torch.equal(weights[untouched], table()[untouched])


def test_flat_adam_learns_what_adam_learns():
    def layers() -> torch.nn.Sequential:
        made = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for p in made.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))
        return made

    one, other = layers(), layers()
    flat, plain = FlatAdam(one.parameters(), lr=0.05), torch.optim.Adam(other.parameters(), lr=0.05)
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(3))
    for model, optimiser in ((one, flat), (other, plain)):
        for _ in range(20):
            optimiser.zero_grad()
            (model(x) - 1.0).square().mean().backward()
            optimiser.step()
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.allclose(one[0].weight, layers()[0].weight)
