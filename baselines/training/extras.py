"""The slot that the tower trainer offers: extra input vectors that somebody else keeps (docs/formulas.md 3, 4, 6).

``cs3`` fills it; a control or a stranger's memory can too. The trainer never knows what is inside.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from torch import Tensor, nn


class Extras(Protocol):
    """Extra vectors for both towers, kept outside the optimiser.

    Attributes:
        user_width, item_width: widths of the extra inputs; 0 where a side gets none.
    """

    user_width: int
    item_width: int

    def wrap(
        self,
        user_tower: nn.Module,
        item_tower: nn.Module,
        *,
        leave_out: tuple[Collection[nn.Module], Collection[nn.Module]] = ((), ()),
    ) -> None:
        """Change the towers' layers in place, except those of each to leave out, before any optimiser is made."""
        ...

    def read_users(self, users: Tensor, as_of: Tensor) -> Tensor:
        """Training read of users int64 [n] at times [n] -> detached [n, user_width]."""
        ...

    def read_items(self, items: Tensor, as_of: Tensor) -> Tensor:
        """Training read of items int64 [n] at times [n] -> detached [n, item_width]."""
        ...

    def published_users(self, users: Tensor) -> Tensor:
        """Serving read of users [n] -> [n, user_width]."""
        ...

    def published_items(self, items: Tensor | None = None) -> Tensor:
        """Serving read of items [n], or of all -> [n, item_width]."""
        ...

    def observe(
        self, users: Tensor, items: Tensor, labels: Tensor, u: Tensor, v: Tensor, hidden: Tensor, now: int
    ) -> None:
        """Write after the optimiser's step: rows in event order, outputs from before the step."""
        ...

    def publish(self, now: int) -> None:
        """Make the live vectors visible."""
        ...

    def snapshot(self) -> dict[str, object]:
        """All state, copied."""
        ...

    def restore(self, state: dict[str, object]) -> None:
        """Take over a snapshot."""
        ...
