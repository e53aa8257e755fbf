"""CTS, cross-tower synchronisation (arXiv 2604.19269): each tower sees an average of the other's outputs on positives.

    y = 1:  c_u <- alpha c_u + (1 - alpha) sg(v)
            c_v <- alpha c_v + (1 - alpha) sg(u)
    y = 0:  nothing

Departure from the paper: what is written is L2-normalised. Raw dot products would let norms run away
(c_u <- v <- c_v <- u); behind a cosine the vectors are already unit and nothing changes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from cs3.store import DAY, TwoTables, VectorTable

FACETS_WIDTH = 128
"""Width up to which facets are stored side by side."""


def cts_vector(out: Tensor) -> Tensor:
    """What CTS stores of a tower's output -> [B, width].

    A vector is itself; facets [B, facets, p] are laid side by side up to a width of 128, else averaged.
    """
    if out.dim() == 2:
        return out
    if out.dim() != 3:
        raise ValueError(f"tower output == {tuple(out.shape)}, must be [B, d] or [B, facets, p]")
    return out.flatten(1) if out.shape[1] * out.shape[2] <= FACETS_WIDTH else out.mean(dim=1)


def positives(labels: Tensor) -> Tensor:
    """Places of the positive rows among labels [n] -> int64 [m].

    Raises:
        ValueError: unless every label is 0 or 1.
    """
    labels = labels.detach().cpu()
    if labels.dim() != 1 or not bool(((labels == 0) | (labels == 1)).all()):
        raise ValueError(
            f"labels == {tuple(labels.shape)} in {labels.flatten()[:4].tolist()}.., must be [n] of 0 and 1"
        )
    return labels.nonzero().squeeze(1)


class CrossVectors(TwoTables):
    """The cross vectors: ``users`` holds c_u (of the item vectors' width), ``items`` c_v (of the user vectors')."""

    def __init__(
        self,
        *,
        users: int,
        items: int,
        user_width: int,
        item_width: int,
        alpha: float = 0.8,
        horizon: int = DAY,
        bias_correct: bool = False,
    ) -> None:
        """Makes empty tables.

        Args:
            users: number of users.
            items: number of items.
            user_width: width of u, the user tower's output.
            item_width: width of v, the item tower's output.
            alpha: weight of the past in one write, in [0, 1).
            horizon: see ``VectorTable``.
            bias_correct: see ``VectorTable``.
        """
        super().__init__(
            VectorTable(users, item_width, decay=alpha, horizon=horizon, bias_correct=bias_correct),
            VectorTable(items, user_width, decay=alpha, horizon=horizon, bias_correct=bias_correct),
        )

    @torch.no_grad()
    def write(self, users: Tensor, items: Tensor, labels: Tensor, u: Tensor, v: Tensor, now: int) -> None:
        """Writes the positives of a batch, in event order, at time ``now``.

        Args:
            users: integers [n].
            items: integers [n].
            labels: [n] of 0 and 1.
            u: [n, user_width], from the forward before the step.
            v: [n, item_width], likewise.
            now: time of the write, seconds.

        Raises:
            ValueError: for rows that do not fit; neither table is written then.
        """
        self.check(users, items, labels, u, v)
        rows = positives(labels)
        self.users.write(users.cpu()[rows], functional.normalize(v.detach().cpu()[rows], eps=1e-8), now)
        self.items.write(items.cpu()[rows], functional.normalize(u.detach().cpu()[rows], eps=1e-8), now)

    def check(self, users: Tensor, items: Tensor, labels: Tensor, u: Tensor, v: Tensor) -> None:
        """Raises what ``write`` would raise, and also for negatives that do not fit.

        Raises:
            ValueError: for labels other than 0 and 1, unknown keys, another width or number of rows, or a NaN.
        """
        positives(labels)
        if labels.shape != users.shape:
            raise ValueError(f"labels.shape == {tuple(labels.shape)}, must be {tuple(users.shape)}, one for each key")
        self.users.check(users, v)
        self.items.check(items, u)
