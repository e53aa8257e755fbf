"""The k best of a row of scores, equals in the order of their ids: one answer, however scores were laid out."""

from __future__ import annotations

from torch import Tensor


def top_by_id(score: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` best columns of each row, best first, ties by the lower column.

    Args:
        score: [R, N], no NaN; -inf is what may not be taken, and comes in any order.
        k: how many, at least 1.

    Returns:
        Scores and columns, [R, min(k, N)] and int64 of that shape.
    """
    k = min(k, score.shape[1])
    best, columns = score.topk(k, dim=1)
    # Several columns may equal the last that fits: then `topk` took any of them.
    last = best[:, -1:]
    tied = ((score >= last).sum(dim=1) > k) & last.isfinite().any(dim=1)
    if tied.any():
        columns[tied] = score[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    columns = columns.sort(dim=1).values
    best, order = score.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return best, columns.gather(1, order)
