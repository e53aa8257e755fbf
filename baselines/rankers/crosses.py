"""User x ad cross features, what towers cannot have and rankers do: hashed crosses, counts, matches with the history.

The history is ``History.as_of``: behaviours of the day of the request, and with them all that a label wait could still
hide, are not in it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.training.counters import Counters
from baselines.training.features import Events
from simulator.records import Catalog, Keys

HASHED = 2
"""Hashed crosses of a pair: segment x category and hour x category."""
DENSE = 6
"""Dense crosses of a pair."""


class Crosses:
    """Cross features of rows, each a request's place in some events and an ad.

    Args:
        catalog: segments, categories, prices, history.
        counters: the online counters, read as of the last publication before the row.
    """

    def __init__(self, catalog: Catalog, counters: Counters) -> None:
        self._catalog = catalog
        self._counters = counters
        self._hour_column = list(catalog.context).index("hour") if "hour" in catalog.context else None

    @staticmethod
    def rows(catalog: Catalog) -> int:
        """Rows of the table of hashed crosses; row 0 is the pad."""
        return 1 + (catalog.segments + catalog.context.get("hour", 1)) * catalog.categories

    def __call__(self, events: Events, request: npt.NDArray[np.integer], ads: Keys) -> tuple[Tensor, Tensor]:
        """Codes int64 [B, 2] of the hashed crosses and the dense crosses float32 [B, 6].

        Args:
            events: Q requests.
            request: [B], places in ``events``.
            ads: [B].
        """
        c = self._catalog
        category, price = c.category[ads], c.price[ads]
        segment = c.segment[events.user][request] * c.categories + category
        hour = events.context[request, self._hour_column] if self._hour_column is not None else 0
        codes = np.stack([1 + segment, 1 + c.segments * c.categories + hour * c.categories + category], axis=1)
        counts = self._counters.user_category(events.user[request], category, events.time[request])
        # What the history says is counted once per request and looked up by row.
        items = c.history.as_of(events.user, events.time)
        known = items >= 0
        length = np.maximum(known.sum(axis=1), 1)
        place = np.arange(len(items))[:, None] * c.categories + c.category[items]
        per_category = np.bincount(place[known], minlength=len(items) * c.categories).reshape(-1, c.categories)
        same = per_category[request, category] / length[request]
        seen = (items[request] == ads[:, None]).any(axis=1)
        liked = (np.where(known, c.price[items], 0.0).sum(axis=1) / length)[request]
        dense = np.stack([counts[:, 0], counts[:, 1], same * 4, seen, np.abs(price - liked), price * liked], axis=1)
        return torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(dense.astype(np.float32))
