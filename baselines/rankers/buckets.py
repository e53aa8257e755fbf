"""Dense values as codes, for models that read categories only. Edges are fixed before the first label.

Static features get quantile edges of the catalog. Online values (counters, crosses), of which nothing is known before
the run, get one grid that is finer near zero, on the scale to which ``counters`` and ``crosses`` bring them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from simulator.records import Floats

GRID = (-1.6, -1.1, -0.75, -0.5, -0.3, -0.15, -0.05, 0.05, 0.15, 0.3, 0.5, 0.75, 1.1, 1.6, 2.4)
"""Edges of the online values."""
BUCKETS = len(GRID) + 1


class Buckets(nn.Module):
    """Codes of columns of dense values: column ``j`` gets ``j * BUCKETS ..< (j + 1) * BUCKETS``.

    Args:
        static: float32 [n, s], all the values that the first ``s`` columns can have.
        online: columns after them.
    """

    edges: Tensor

    def __init__(self, static: Floats, online: int) -> None:
        super().__init__()
        inner = np.linspace(0, 1, BUCKETS + 1)[1:-1]
        quantiles = np.quantile(static, inner, axis=0).T.reshape(-1, len(GRID))
        edges = np.concatenate([quantiles, np.tile(GRID, (online, 1))]).astype(np.float32)
        self.register_buffer("edges", torch.from_numpy(edges))

    @property
    def rows(self) -> int:
        """Number of codes."""
        return self.edges.shape[0] * BUCKETS

    @property
    def columns(self) -> int:
        """Number of columns."""
        return self.edges.shape[0]

    def forward(self, values: Tensor) -> Tensor:
        """Codes int64 [B, columns] of values float32 [B, columns]; a value on an edge belongs to the bucket above."""
        bucket = torch.searchsorted(self.edges, values.T.contiguous(), right=True).T
        return bucket + torch.arange(self.columns) * BUCKETS
