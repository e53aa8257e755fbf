"""Row-wise Adagrad for embedding tables: one accumulator a row, and only the rows of the batch are touched.

The optimiser of the DLRM line of work (Naumov et al., arXiv 1906.00091; "row-wise Adagrad" in FBGEMM). L2 reaches only
the rows of the batch too: a row that is never read never decays. The same for every model here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.training.gather import Gathered, RowGather


class RowwiseAdagrad:
    """Adagrad on one table, with the mean squared gradient of a row as its one accumulator.

    A batch first gathers what it reads, uses the gathered values in its forward, and steps after ``backward``.

    Args:
        table: weights [rows, e], changed in place; row 0 is the pad.
        lr: step size.
        l2: added to the gradient as ``l2 * row``, on the rows of the batch.
        eps: keeps the first step finite.
    """

    def __init__(self, table: Tensor, *, lr: float, l2: float = 0.0, eps: float = 1e-8) -> None:
        self._table = table
        self._lr, self._l2, self._eps = lr, l2, eps
        self._squares = torch.zeros(table.shape[0])
        self._gather = RowGather(table.shape[0])

    def gather(self, *codes: Tensor) -> Gathered:
        """The rows that a batch reads by ``codes``, int64 of any shapes."""
        return self._gather(self._table, *codes)

    @torch.no_grad()
    def step(self, batch: Gathered) -> None:
        """One update of the batch's rows by the gradient that their values collected, zero where there is none."""
        rows, values = batch.rows, batch.values
        grad = torch.zeros_like(values) if values.grad is None else values.grad
        grad = grad.add(values, alpha=self._l2)
        grad[0] = 0.0  # what the pads of a history collected
        squares = self._squares.index_select(0, rows) + grad.square().mean(dim=1)
        self._squares.index_copy_(0, rows, squares)
        step = grad.div_((squares.sqrt() + self._eps)[:, None])
        # The values are still the table's rows, and writing rows is far cheaper than adding to them.
        self._table.index_copy_(0, rows, values.detach().add(step, alpha=-self._lr))

    def snapshot(self) -> Tensor:
        """A copy of the accumulators, float32 [rows]."""
        return self._squares.clone()

    def restore(self, state: Tensor) -> None:
        """Take over a :meth:`snapshot`."""
        self._squares = state.clone()
