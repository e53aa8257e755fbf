"""The trainer's slots: whatever reads into the towers, adds to the loss or remembers a batch, behind one set of verbs.

Two kinds of filler are known, ``Extras`` and ``Auxiliary``. A slot of either kind says nothing where its filler has
nothing to say, so the trainer goes through its list and never asks who is there.

Letters: B rows of a batch, Q distinct requests, n distinct ads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from baselines.training.auxiliary import Auxiliary, Trained
from baselines.training.batch import Batch
from baselines.training.extras import Extras
from baselines.training.two_tower import TwoTower


class Read(NamedTuple):
    """Extra inputs of the user tower [Q, user_width] and of the item tower [n, item_width]."""

    user: Tensor
    item: Tensor


class Scored(NamedTuple):
    """What the forward made of the rows of a batch, with gradient.

    Attributes:
        u, v: [B, d], vectors as the backbone's score hands them over; d may differ between the sides.
        similarity: [B], before the head's gain and biases.
        logit: [B].
    """

    u: Tensor
    v: Tensor
    similarity: Tensor
    logit: Tensor


class Slot(Protocol):
    """What the trainer, a publication and a checkpoint ask of each part.

    Attributes:
        user_width, item_width: columns that it feeds into the towers.
    """

    user_width: int
    item_width: int

    def wrap(self, model: TwoTower) -> None:
        """Change the towers' layers in place, before any optimiser is made."""
        ...

    def dense(self) -> list[nn.Parameter]:
        """Weights for the trainer's optimiser."""
        ...

    def read(self, batch: Batch) -> Read:
        """Its vectors for a batch's requests and ads."""
        ...

    def loss(self, batch: Batch, scored: Scored, read: Read) -> Tensor | None:
        """Its loss, summed over the rows; None for none."""
        ...

    def step(self) -> None:
        """Update what it read by the gradient that it collected."""
        ...

    def observe(self, batch: Batch, scored: Scored) -> None:
        """Remember the batch, as it was scored before the step."""
        ...

    def publish(self, now: int) -> None:
        """Make what it holds visible to ``published_*``."""
        ...

    def published_users(self, users: Tensor) -> Tensor:
        """Serving read of users int64 [n] -> [n, user_width]."""
        ...

    def published_items(self, items: Tensor) -> Tensor:
        """Serving read of items int64 [n] -> [n, item_width]."""
        ...

    def snapshot(self) -> dict[str, object]:
        """All its state, copied."""
        ...

    def restore(self, state: dict[str, object]) -> None:
        """Take over a snapshot."""
        ...


class ExtrasSlot:
    """Vectors that ``filler`` keeps outside the optimiser."""

    def __init__(self, filler: Extras) -> None:
        self.filler = filler
        self.user_width, self.item_width = filler.user_width, filler.item_width
        self.publish = filler.publish
        self.published_users, self.published_items = filler.published_users, filler.published_items
        self.snapshot, self.restore = filler.snapshot, filler.restore

    def wrap(self, model: TwoTower) -> None:
        """All layers but those that the towers leave out."""
        self.filler.wrap(model.user, model.item, leave_out=(model.user.left_out, model.item.left_out))

    def dense(self) -> list[nn.Parameter]:
        """None."""
        return []

    def read(self, batch: Batch) -> Read:
        """Rows as of when each was served, detached."""
        users = self.filler.read_users(batch.head_users, torch.from_numpy(batch.heads.time))
        return Read(users, self.filler.read_items(batch.items, torch.from_numpy(batch.item_time)))

    def loss(self, batch: Batch, scored: Scored, read: Read) -> Tensor | None:
        """None."""
        return None

    def step(self) -> None:
        """Nothing was learned by gradient."""

    def observe(self, batch: Batch, scored: Scored) -> None:
        """Rows in event order, with the ranker's hidden vectors that the log holds."""
        u, v = scored.u.detach(), scored.v.detach()
        hidden = torch.from_numpy(batch.rows.hidden).float()
        self.filler.observe(batch.users, batch.ads, batch.label, u, v, hidden, int(batch.rows.ready_at[-1]))


class AuxiliarySlot:
    """The loss of ``filler``, and the vectors that learn by it."""

    def __init__(self, filler: Auxiliary) -> None:
        self.filler = filler
        self.user_width, self.item_width = filler.user_width, filler.item_width
        self.dense, self.step = filler.dense, filler.step
        self.published_users, self.published_items = filler.published_users, filler.published_items
        self.snapshot, self.restore = filler.snapshot, filler.restore

    def wrap(self, model: TwoTower) -> None:
        """Changes no layer."""

    def read(self, batch: Batch) -> Read:
        """Its rows, with gradient."""
        return Read(*self.filler.read(batch.head_users, batch.items))

    def loss(self, batch: Batch, scored: Scored, read: Read) -> Tensor | None:
        """The filler's."""
        of_users = read.user.index_select(0, batch.user_row)
        of_items = read.item.index_select(0, batch.item_row)
        return self.filler.loss(Trained(batch.rows, batch.label.float(), *scored, of_users, of_items))

    def observe(self, batch: Batch, scored: Scored) -> None:
        """What it learns of a batch it learns by its loss."""

    def publish(self, now: int) -> None:
        """Whenever it is."""
        self.filler.publish()


def slots_of(extras: Extras | None, auxiliary: Auxiliary | None) -> tuple[Slot, ...]:
    """The slots that are filled, in the order of their columns in a tower's input."""
    first = () if extras is None else (ExtrasSlot(extras),)
    return first if auxiliary is None else (*first, AuxiliarySlot(auxiliary))


def widths(slots: Sequence[Slot]) -> tuple[int, int]:
    """Columns that they feed into the user tower and into the item tower."""
    return sum(slot.user_width for slot in slots), sum(slot.item_width for slot in slots)


def joined(parts: list[Tensor]) -> Tensor | None:
    """Extra inputs [n, w] side by side; None for none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return torch.cat(parts, dim=1)
