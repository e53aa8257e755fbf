"""One micro-batch, laid out so that nothing is encoded twice: each request once, each ad once per version of its input.

Letters: B rows, Q distinct requests, M drawn ads, n distinct pairs of an ad and a version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.training.features import Events
from simulator.records import Impressions


class Batch(NamedTuple):
    """Rows of the log and the ads drawn beside them.

    Attributes:
        rows: [B], in event order.
        label: bool [B].
        users, ads: int64 [B].
        heads: the requests [Q]; head_users: int64 [Q].
        user_row: int64 [B], each row's place among the requests.
        drawn: int64 [M], ads drawn uniformly.
        items: int64 [n], ads to encode; item_time: int64 [n], as of when.
        place: int64 [B + M], of the rows' ads and of the drawn ones among ``items``.
    """

    rows: Impressions
    label: Tensor
    users: Tensor
    ads: Tensor
    heads: Events
    head_users: Tensor
    user_row: Tensor
    drawn: Tensor
    items: Tensor
    item_time: npt.NDArray[np.int64]
    place: Tensor

    @property
    def item_row(self) -> Tensor:
        """int64 [B], place of the rows' ads among ``items``."""
        return self.place[: len(self.rows)]


def batch_of(rows: Impressions, drawn: Tensor, synced: Sequence[int], n_ads: int) -> Batch:
    """Lays a batch out.

    Args:
        rows: [B], at least one.
        drawn: int64 [M].
        synced: times of the publications so far: between two of them an ad's input does not change.
        n_ads: A.
    """
    # Rows of one request share the user side: encode it once.
    first = np.concatenate([[True], rows.request[1:] != rows.request[:-1]])
    heads = Events(rows.user[first], rows.time[first], rows.context[first])
    # Drawn ads are read as of the batch's last row. An ad's input depends on the ad and the version: encode each pair
    # of them once.
    ad_time = np.concatenate([rows.time, np.full(len(drawn), rows.time[-1])])
    version = np.searchsorted(synced, ad_time, side="right")
    key = version * n_ads + np.concatenate([rows.ad, drawn.numpy()])
    _, one, back = np.unique(key, return_index=True, return_inverse=True)
    ads = torch.from_numpy(rows.ad.astype(np.int64))
    return Batch(
        rows=rows,
        label=torch.from_numpy(rows.label),
        users=torch.from_numpy(rows.user.astype(np.int64)),
        ads=ads,
        heads=heads,
        head_users=torch.from_numpy(heads.user.astype(np.int64)),
        user_row=torch.from_numpy(np.cumsum(first) - 1),
        drawn=drawn,
        items=torch.cat([ads, drawn])[torch.from_numpy(one)],
        item_time=ad_time[one],
        place=torch.from_numpy(back),
    )
