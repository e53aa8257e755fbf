"""Rows of all ranks in one order, so that every rank of a distributed run writes the same memory.

Each rank trains on its shard and holds its own copy of the vector tables. The copies stay equal when each rank writes
the rows of *all* ranks: what rank 0 saw, then rank 1, and so on. Shards are contiguous pieces of a batch in event
order, so rank order is event order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def gather_rows(rows: Tensor, group: Any = None) -> Tensor:
    """The rows [n, ...] of all ranks, in rank order -> [sum of n, ...], the same on each rank.

    Every rank of the group must call it, with tensors of one dtype and equal trailing dimensions; n may differ.

    Args:
        rows: this rank's rows; gradients stop here.
        group: the process group; the default one if None.
    """
    rows = rows.detach().contiguous()
    ranks = distributed.get_world_size(group)
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(ranks)]
    distributed.all_gather(counts, torch.tensor([rows.shape[0]], device=rows.device), group=group)
    lengths = [int(count) for count in counts]
    # The collective wants equal shapes: short shards are padded, and the padding is cut off again.
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[: rows.shape[0]] = rows
    parts = [torch.empty_like(padded) for _ in range(ranks)]
    distributed.all_gather(parts, padded, group=group)
    return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
