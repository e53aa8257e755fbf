"""Sampled softmax for retrieval: in-batch negatives with logQ, uniform ones without (docs/formulas.md 2).

Bengio & Senecal 2008 for the correction; streaming item frequencies after Yi et al., RecSys 2019 (section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor


class StreamingFrequency:
    """Probability of an item to be in a batch, from the gaps between the batches that it is in.

    ``gap <- (1 - rate) gap + rate (t - last)``, ``q = 1 / gap``; the gap starts at items / batch.

    Args:
        items: number of items.
        start: the first gap, in batches.
        rate: of the moving average.
    """

    def __init__(self, items: int, *, start: float, rate: float = 0.01) -> None:
        self.gap = torch.full((items,), max(start, 1.0))
        self.last = torch.zeros(items)
        self.step = 0
        self._rate = rate

    def log_q(self, items: Tensor) -> Tensor:
        """log q of items [n]."""
        return -self.gap[items].clamp(min=1.0).log()

    def update(self, items: Tensor) -> None:
        """Count one batch; call it after the batch's loss is formed."""
        self.step += 1
        seen = torch.unique(items)
        known = seen[self.last[seen] > 0]
        self.gap[known] += self._rate * (self.step - self.last[known] - self.gap[known])
        self.last[seen] = float(self.step)

    def snapshot(self) -> dict[str, object]:
        """All state, copied."""
        return {"gap": self.gap.clone(), "last": self.last.clone(), "step": self.step}

    def restore(self, state: dict[str, object]) -> None:
        """Take over a snapshot."""
        gap, last, step = state["gap"], state["last"], state["step"]
        assert isinstance(gap, Tensor)
        assert isinstance(last, Tensor)
        assert isinstance(step, int)
        self.gap, self.last, self.step = gap.clone(), last.clone(), step


def in_batch(scores: Tensor, users: Tensor, items: Tensor, log_q: Tensor) -> Tensor:
    """Mean in-batch softmax loss over positives, logQ-corrected.

    Args:
        scores: [P, P], row i and column j: user i with item j, already divided by the temperature.
        users: int64 [P], keys of the positives.
        items: int64 [P], likewise.
        log_q: [P], log sampling probability of each column's item.

    Returns:
        Scalar. Columns that repeat the row's item, or that are positives of the row's user, are masked.
    """
    # (user_i, item_j) is a positive elsewhere in the batch: some k has user_k == user_i and item_k == item_j.
    same_user = users[:, None] == users[None, :]
    same_item = items[:, None] == items[None, :]
    positive = (same_user.float() @ same_item.float()) > 0
    mask = positive | same_item
    mask.fill_diagonal_(False)
    logits = (scores - log_q[None, :]).masked_fill(mask, -torch.inf)
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(items)))


def against_uniform(positive: Tensor, negative: Tensor, items: Tensor, drawn: Tensor) -> Tensor:
    """Mean softmax loss of each positive against uniformly drawn items; a draw of the own item is masked.

    Args:
        positive: [P], own scores over the temperature.
        negative: [P, M], scores of the drawn items over the temperature.
        items: int64 [P], keys of the positives.
        drawn: int64 [M], keys of the draws.
    """
    clash = items[:, None] == drawn[None, :]
    logits = torch.cat([positive[:, None], negative.masked_fill(clash, -torch.inf)], dim=1)
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(items), dtype=torch.int64))
