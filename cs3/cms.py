"""CMS, cascade-model sharing (arXiv 2604.19269): each tower sees an average of the ranker's hidden vectors.

    every labelled impression, y = 0 or 1:  s_u <- beta s_u + (1 - beta) sg(h_uv)
                                            s_v <- beta s_v + (1 - beta) sg(h_uv)

h_uv is what the ranker computed for the pair *before* it trained on it, the same for both sides. A vector means
something only in the space of the ranker that made it: a new ranker empties the tables.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from cs3.store import DAY, TwoTables, VectorTable


class CascadeVectors(TwoTables):
    """The cascade vectors: ``users`` holds s_u, ``items`` s_v.

    Attributes:
        ranker: tag of the ranker whose space the vectors live in, None before the first tagged one.
        published_ranker: the same of what was last published.
        live: s_u is published with each write (a key-value table read live, as in the paper's set-up). s_v never is: it
            is baked into the item index.
    """

    def __init__(
        self,
        *,
        users: int,
        items: int,
        width: int,
        beta: float = 0.8,
        beta_item: float | None = None,
        horizon: int = DAY,
        bias_correct: bool = False,
        norm: bool = False,
        live: bool = False,
    ) -> None:
        """Makes empty tables.

        Args:
            users: number of users.
            items: number of items.
            width: width of h_uv.
            beta: weight of the past in one write, in [0, 1).
            beta_item: the same for items; beta if None.
            horizon: see ``VectorTable``.
            bias_correct: see ``VectorTable``.
            norm: LayerNorm h_uv, without affine, before it is written.
            live: see the class.
        """
        decay = beta if beta_item is None else beta_item
        super().__init__(
            VectorTable(users, width, decay=beta, horizon=horizon, bias_correct=bias_correct),
            VectorTable(items, width, decay=decay, horizon=horizon, bias_correct=bias_correct),
        )
        self.ranker: str | int | None = None
        self.published_ranker: str | int | None = None
        self.live = live
        self._norm = norm

    @torch.no_grad()
    def write(self, users: Tensor, items: Tensor, hidden: Tensor, now: int) -> None:
        """Writes every labelled impression of a batch, in event order, at time ``now``.

        Args:
            users: integers [n].
            items: integers [n].
            hidden: [n, width], the ranker's last hidden vector, any float type.
            now: time of the write, seconds.

        Raises:
            ValueError: for rows that do not fit; neither table is written then.
        """
        self.check(users, items, hidden)
        hidden = hidden.detach().to(device="cpu", dtype=torch.float32)
        if self._norm:
            hidden = functional.layer_norm(hidden, hidden.shape[1:])
        self.users.write(users, hidden, now)
        self.items.write(items, hidden, now)
        if self.live:
            # What is written after a publication cannot have been visible before it.
            self.users.publish(max(now, self.users.published_at))

    def check(self, users: Tensor, items: Tensor, hidden: Tensor) -> None:
        """Raises what ``write`` would raise.

        Raises:
            ValueError: for unknown keys, another width or number of rows, or a NaN.
        """
        self.users.check(users, hidden)
        self.items.check(items, hidden)

    def adopt(self, ranker: str | int, warmed: CascadeVectors | None = None) -> None:
        """Declares which ranker the next writes come from; another one than before empties the tables.

        Args:
            ranker: its tag.
            warmed: vectors that the new ranker already wrote, beside these, while the old one was still served; the
                tables go on from them.
        """
        if ranker == self.ranker:
            return
        if warmed is None:
            self.reset()
        else:
            self.users.take_over(warmed.users)
            self.items.take_over(warmed.items)
        self.ranker = ranker

    def publish(self, now: int) -> None:
        """Publishes both tables."""
        super().publish(now)
        self.published_ranker = self.ranker

    def snapshot(self) -> dict[str, object]:
        """A copy of both tables and the rankers' tags."""
        return {**super().snapshot(), "ranker": self.ranker, "published_ranker": self.published_ranker}

    def restore(self, state: dict[str, object]) -> None:
        """Continues from what ``snapshot`` gave."""
        super().restore(state)
        self.ranker = cast("str | int | None", state["ranker"])
        self.published_ranker = cast("str | int | None", state.get("published_ranker", state["ranker"]))
