"""Row-wise Adagrad for embedding tables: one accumulator a row, and only the rows of the batch are touched.

The optimiser of the DLRM line of work (Naumov et al., arXiv 1906.00091; "row-wise Adagrad" in FBGEMM). L2 reaches only
the rows of the batch too: a row that is never read never decays. The same for every model here.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class RowwiseAdagrad(torch.optim.Optimizer):
    """Adagrad with the mean squared gradient of a row as its one accumulator.

    Args:
        params: embedding weights [rows, e] with sparse gradients (``nn.Embedding(sparse=True)``).
        lr: step size.
        l2: added to the gradient as ``l2 * row``, on the rows of the batch.
        eps: keeps the first step finite.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, l2: float = 0.0, eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "l2": l2, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                grad = table.grad.coalesce()
                rows, values = grad.indices()[0], grad.values()
                state = self.state[table]
                if not state:
                    state["squares"] = torch.zeros(table.shape[0])
                if group["l2"]:
                    values = values + group["l2"] * table[rows]
                squares = state["squares"][rows] + values.square().mean(dim=1)
                state["squares"][rows] = squares
                table.index_add_(0, rows, values / (squares.sqrt() + group["eps"])[:, None], alpha=-group["lr"])
