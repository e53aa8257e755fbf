"""From published facets to candidates: any way of late interaction as a finder (``search.finder``)."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.late.scan import LateIndex, Query


class FacetFinder:
    """A way to candidates of late interaction, as a finder.

    Args:
        index: over the items' facets.
        gain: of the score in the logit.
    """

    def __init__(self, index: LateIndex, gain: float) -> None:
        self.index, self._gain = index, gain

    def find(self, users: Tensor, log_bid: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Ads and their MaxSim, the mean over the user's facets [R, H, p]."""
        R, H, _ = users.shape
        found = self.index.search(Query(users, torch.full((R, H), 1.0 / H), self._gain, log_bid), k)
        return found.item, found.similarity
