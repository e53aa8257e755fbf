"""The second slot of the tower trainer: a loss of its own beside the click's, and trainable vectors that go with it.

DAT's mimic vectors are one such thing; a distillation loss is another. Unlike ``Extras``, what it reads into the towers
collects their gradient. Several of them fill the slot together as ``Auxiliaries``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from simulator.records import Catalog, Impressions


class Trained(NamedTuple):
    """What the forward of one micro-batch gave, row by row.

    Attributes:
        rows: the batch, [B].
        label: float32 [B].
        u: [B, d], user vectors as the backbone's score hands them over, with gradient.
        v: [B, d], item vectors likewise; d may differ between the sides.
        similarity: [B], of the pair before the head's gain and biases, with gradient.
        logit: [B], gain x similarity + bias + the slot's bias, with gradient.
        user_read: [B, user_width], what the auxiliary read for the row's user.
        item_read: [B, item_width], likewise for the ad.
    """

    rows: Impressions
    label: Tensor
    u: Tensor
    v: Tensor
    similarity: Tensor
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


class LossOnly:
    """What an auxiliary without vectors says to the part of the trainer that asks for vectors: nothing."""

    user_width = 0
    item_width = 0

    def read(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """No columns: [n, 0] and [m, 0]."""
        return torch.zeros(len(users), 0), torch.zeros(len(items), 0)

    def step(self) -> None:
        """Nothing was read."""

    def publish(self) -> None:
        """Nothing is served."""

    def published_users(self, users: Tensor) -> Tensor:
        """No columns: [n, 0]."""
        return torch.zeros(len(users), 0)

    def published_items(self, items: Tensor) -> Tensor:
        """No columns: [n, 0]."""
        return torch.zeros(len(items), 0)


class AuxiliaryConfig(Protocol):
    """What a modifier of an arm's spelling makes when it stands for an auxiliary, ``dssm+kd``."""

    def auxiliary(self, catalog: Catalog, seed: int, widths: tuple[int, int], hidden: int) -> Auxiliary:
        """The auxiliary for vectors of these ``widths``, the user's and the item's, and a ranker's of ``hidden``."""
        ...


class Auxiliaries:
    """Several auxiliaries as one: losses are summed, vectors joined in the order given.

    Args:
        parts: at least one.
    """

    def __init__(self, parts: Sequence[Auxiliary]) -> None:
        if not parts:
            raise ValueError("parts == [], must hold at least one auxiliary")
        self.parts = list(parts)
        self.user_width = sum(part.user_width for part in parts)
        self.item_width = sum(part.item_width for part in parts)

    def dense(self) -> list[nn.Parameter]:
        """Weights of all parts."""
        return [weight for part in self.parts for weight in part.dense()]

    def read(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of all parts side by side."""
        of_users, of_items = zip(*(part.read(users, items) for part in self.parts), strict=True)
        return torch.cat(of_users, dim=1), torch.cat(of_items, dim=1)

    def loss(self, batch: Trained) -> Tensor:
        """Sum of the parts' losses, each with the vectors that it read."""
        of_users = torch.split(batch.user_read, [part.user_width for part in self.parts], dim=1)
        of_items = torch.split(batch.item_read, [part.item_width for part in self.parts], dim=1)
        each = zip(self.parts, of_users, of_items, strict=True)
        losses = [part.loss(batch._replace(user_read=user, item_read=item)) for part, user, item in each]
        return torch.stack(losses).sum()

    def step(self) -> None:
        """Of all parts."""
        for part in self.parts:
            part.step()

    def publish(self) -> None:
        """Of all parts."""
        for part in self.parts:
            part.publish()

    def published_users(self, users: Tensor) -> Tensor:
        """Vectors of all parts side by side."""
        return torch.cat([part.published_users(users) for part in self.parts], dim=1)

    def published_items(self, items: Tensor) -> Tensor:
        """Vectors of all parts side by side."""
        return torch.cat([part.published_items(items) for part in self.parts], dim=1)

    def snapshot(self) -> dict[str, object]:
        """A list of the parts' snapshots."""
        return {"parts": [part.snapshot() for part in self.parts]}

    def restore(self, state: dict[str, object]) -> None:
        """Take over a :meth:`snapshot`."""
        for part, theirs in zip(self.parts, cast(list[dict[str, object]], state["parts"]), strict=True):
            part.restore(theirs)


def together(*parts: Auxiliary | None) -> Auxiliary | None:
    """What fills the slot when each of ``parts`` would: None, the only one, or all as ``Auxiliaries``."""
    there = [part for part in parts if part is not None]
    if len(there) > 1:
        return Auxiliaries(there)
    return there[0] if there else None
