"""One gather per table and batch: the distinct rows that a batch reads, as one small leaf of the graph.

Codes of all lookups of a batch are renumbered to places in that leaf, so backward leaves one dense gradient of the
batch's rows, summed over every lookup, and no sparse tensor is ever sorted, joined or coalesced.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Gathered(NamedTuple):
    """The rows of a table that a batch reads.

    Attributes:
        rows: int64 [n], distinct and ascending; row 0, the pad, is always the first.
        values: float32 [n, e], a copy that collects the gradient.
        places: the codes of each lookup, int64 of their own shapes, renumbered to rows of ``values``.
    """

    rows: Tensor
    values: Tensor
    places: tuple[Tensor, ...]


class RowGather:
    """Finds the distinct rows of a batch without sorting: scratch memory of 9 bytes a row of the table.

    Args:
        rows: rows of the table.
    """

    def __init__(self, rows: int) -> None:
        self._read = torch.zeros(rows, dtype=torch.bool)
        self._place = torch.zeros(rows, dtype=torch.int64)

    def __call__(self, table: Tensor, *codes: Tensor) -> Gathered:
        """The rows of ``table`` [rows, e] that ``codes``, int64 of any shapes, name."""
        flat = torch.cat([c.reshape(-1) for c in codes])
        self._read[0] = True
        self._read.index_fill_(0, flat, True)
        rows = self._read.nonzero()[:, 0]
        self._read.index_fill_(0, rows, False)
        self._place.index_copy_(0, rows, torch.arange(rows.numel()))
        places = torch.split(self._place.index_select(0, flat), [c.numel() for c in codes])
        values = table.detach().index_select(0, rows).requires_grad_()
        return Gathered(rows, values, tuple(p.view(c.shape) for p, c in zip(places, codes, strict=True)))
