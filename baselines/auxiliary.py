"""The second slot of the tower trainer: a loss of its own beside the click's, and trainable vectors that go with it.

DAT's mimic vectors are one such thing; a distillation loss is another. Unlike ``Extras``, what it reads into the towers
collects their gradient.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor, nn

from simulator.records import Impressions


class Trained(NamedTuple):
    """What the forward of one micro-batch gave, row by row.

    Attributes:
        rows: the batch, [B].
        label: float32 [B].
        u: [B, d], user vectors, with gradient.
        v: [B, d], item vectors, with gradient.
        logit: [B], with gradient.
        user_read: [B, user_width], what the auxiliary read for the row's user.
        item_read: [B, item_width], likewise for the ad.
    """

    rows: Impressions
    label: Tensor
    u: Tensor
    v: Tensor
    logit: Tensor
    user_read: Tensor
    item_read: Tensor


class Auxiliary(Protocol):
    """A further loss, with or without vectors of its own.

    Attributes:
        user_width, item_width: widths of what it feeds into the towers, after the extras; 0 for nothing.
    """

    user_width: int
    item_width: int

    def dense(self) -> list[nn.Parameter]:
        """Weights for the trainer's optimiser."""
        ...

    def read(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of users int64 [n] and items [m] for the forward, with gradient -> [n, user_width], [m, item_width]."""
        ...

    def loss(self, batch: Trained) -> Tensor:
        """Sum over the rows of the batch; the trainer divides by the size of a full batch."""
        ...

    def step(self) -> None:
        """Update what :meth:`read` gave by the gradient that it collected."""
        ...

    def publish(self) -> None:
        """Make what was learned visible."""
        ...

    def published_users(self, users: Tensor) -> Tensor:
        """Serving read of users [n] -> [n, user_width]."""
        ...

    def published_items(self, items: Tensor) -> Tensor:
        """Serving read of items [n] -> [n, item_width]."""
        ...

    def snapshot(self) -> dict[str, object]:
        """All state but the dense weights' optimiser, copied."""
        ...

    def restore(self, state: dict[str, object]) -> None:
        """Take over a snapshot."""
        ...
