"""Catalog -> tensors: every field of a side in one embedding table, codes offset so that one gather serves all fields.

Letters: B rows, F fields of a side, L history length, e embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from baselines.training.dropout import KeyedDropout
from baselines.training.rectifier import Rectifier
from baselines.training.stack import Stack
from simulator.keyed_random import subseed
from simulator.records import Catalog, Floats, Impressions, Keys, Requests


class Events(NamedTuple):
    """Who, what and when of some rows: what both a request and an impression can say before any feedback.

    Attributes:
        user: int32 [B].
        time: int64 [B].
        context: int32 [B, C].
    """

    user: Keys
    time: npt.NDArray[np.int64]
    context: Keys

    @classmethod
    def of(cls, rows: Requests | Impressions) -> Events:
        """The part of a record that is known before feedback."""
        return cls(rows.user, rows.time, rows.context)


class SideInput(NamedTuple):
    """Input of one tower.

    Attributes:
        codes: int64 [B, F], rows of the embedding table.
        bags: int64 [B, 2, L] history rows of the table (each item's ad, each item's category), or None on the ad side.
        dense: float32 [B, D].
    """

    codes: Tensor
    bags: Tensor | None
    dense: Tensor


class Fields:
    """The layout of one embedding table for users, context and ads, and the static inputs as arrays."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        offset = 1  # row 0 is the pad of the history bags
        users, offset = _stack(catalog.users.codes, catalog.users.sizes, offset)
        self._context_offset = offset + np.concatenate([[0], np.cumsum(list(catalog.context.values()))[:-1]])
        self._context_offset = self._context_offset.astype(np.int64)
        offset += sum(catalog.context.values())
        # Where the table has no code of that name, the category is one more field.
        named = {**catalog.ads.codes, "category": catalog.ads.codes.get("category", catalog.category)}
        ads, offset = _stack(named, {"category": catalog.categories, **catalog.ads.sizes}, offset)
        self.rows = offset
        """Rows that the embedding table needs."""
        self._users, self._ads = users, ads
        self.item_fields = [list(named).index(name) for name in ("ad", "category")]
        """Columns of an ad's codes that stand for it in the history: the ad, its category."""
        # The history reads the same rows as the ad side: what is learned of an ad is learned of a past engagement.
        item_rows = ads[:, self.item_fields]
        self._item_rows = np.concatenate([item_rows, np.zeros((1, 2), dtype=np.int64)]).T.copy()
        self.user_fields = users.shape[1] + len(catalog.context)
        self.ad_fields = ads.shape[1]
        self.pooled = 2 if catalog.history.items.shape[2] else 0
        """Embeddings of the pooled history: of its ads and of their categories; none where no history is known."""
        self.user_dense = catalog.users.dense.shape[1]
        self.ad_dense = catalog.ads.dense.shape[1]

    def user_side(self, events: Events, extra: Floats) -> SideInput:
        """Input of the user tower; ``extra`` float32 [B, w] joins the dense part (the counters; w may be 0)."""
        context = events.context.astype(np.int64) + self._context_offset
        codes = np.concatenate([self._users[events.user], context], axis=1)
        items = self._catalog.history.as_of(events.user, events.time)
        # The pad -1 picks the last row of the item rows, which is the pad's.
        bags = self._item_rows[:, items].transpose(1, 0, 2)
        dense = np.concatenate([self._catalog.users.dense[events.user], extra], axis=1)
        return SideInput(torch.from_numpy(codes), torch.from_numpy(bags), torch.from_numpy(dense))

    def ad_side(self, ads: npt.NDArray[np.integer], extra: Floats) -> SideInput:
        """Input of the ad tower."""
        dense = np.concatenate([self._catalog.ads.dense[ads], extra], axis=1)
        return SideInput(torch.from_numpy(self._ads[ads]), None, torch.from_numpy(dense))


def _stack(codes: Mapping[str, Keys], sizes: Mapping[str, int], offset: int) -> tuple[npt.NDArray[np.int64], int]:
    columns = []
    for name, values in codes.items():
        columns.append(values.astype(np.int64) + offset)
        offset += sizes[name]
    return np.stack(columns, axis=1), offset


class FieldEmbedding(nn.Module):
    """One table for all fields; the history is the mean of its items' rows.

    Args:
        rows: rows of the table; row 0 is the pad and stays zero.
        width: e.
        std: of the normal initialisation.
    """

    def __init__(self, rows: int, width: int, std: float = 0.05) -> None:
        super().__init__()
        self.width = width
        self.table = nn.Parameter(torch.randn(rows, width) * std)
        with torch.no_grad():
            self.table[0] = 0.0

    def forward(self, x: SideInput, rows: Tensor | None = None) -> Tensor:
        """Embeddings, pooled history, dense features.

        Args:
            x: one side's input.
            rows: [n, e], what the codes number instead of the table: the gathered rows of a training batch.

        Returns:
            [B, F * e + (2 e with a history) + D].
        """
        return torch.cat([self.learned(x, rows), x.dense], dim=1)

    def learned(self, x: SideInput, rows: Tensor | None = None) -> Tensor:
        """``forward`` without the dense features, which need no gradient -> [B, F * e + (2 e with a history)]."""
        table = self.table if rows is None else rows
        own = looked_up(table, x.codes).flatten(1)
        if x.bags is None or not x.bags.shape[2]:
            return own
        return torch.cat([own, pooled(table, x.bags).flatten(1)], dim=1)

    def by_field(self, x: SideInput, rows: Tensor | None = None) -> Tensor:
        """The embeddings alone, the pooled history's two last -> [B, F or F + 2, e]; arguments as of ``forward``."""
        table = self.table if rows is None else rows
        own = looked_up(table, x.codes)
        return torch.cat([own, pooled(table, x.bags)], dim=1) if x.bags is not None and x.bags.shape[2] else own


def looked_up(table: Tensor, codes: Tensor) -> Tensor:
    """Rows of ``table`` [n, e] by ``codes``, int64 of any shape -> [..., e]. Backward is one ``index_add``."""
    return table.index_select(0, codes.reshape(-1)).view(*codes.shape, table.shape[1])


def pooled(table: Tensor, bags: Tensor) -> Tensor:
    """Means of the rows of ``table`` [n, e] in bags int64 [B, 2, L] -> [B, 2, e]; zero for an empty one."""
    # The pad is a zero row: it adds nothing to the sum and does not count.
    length = (bags != 0).sum(dim=2, keepdim=True).clamp_(min=1)
    return looked_up(table, bags).sum(dim=2) / length


def mlp(widths: list[int], dropout: float = 0.0, seed: int = 0) -> Stack:
    """Linear-ReLU-(dropout)-...-Linear through ``widths``; neither after the last. ``seed`` is the masks'."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(n_in, n_out))
        if i < len(widths) - 2:
            layers.append(Rectifier())
            if dropout:
                layers.append(KeyedDropout(dropout, subseed(seed, f"dropout {i}")))
    return Stack(*layers)


def widened(linear: nn.Linear, extra: int) -> nn.Linear:
    """``linear`` with ``extra`` more inputs whose weights are zero: equal output until they learn."""
    if extra == 0:
        return linear
    wide = nn.Linear(linear.in_features + extra, linear.out_features)
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, : linear.in_features] = linear.weight
        wide.bias.copy_(linear.bias)
    return wide
