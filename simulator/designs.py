"""Designs: who is assigned to which arm, by keyed hash.

One rule for all of them:

    a (request, ad) pair is treated if its request is on the treatment's side and its ad is too.

| design         | the request's side    | the ad's side        | budgets                  |
|----------------|-----------------------|----------------------|--------------------------|
| `user_split`   | hash of the user      | all                  | shared                   |
| `budget_split` | hash of the user      | all                  | split pro rata           |
| `switchback`   | hash of a time block  | all                  | shared                   |
| `ad_side`      | all                   | hash of the campaign | shared (each in one arm) |
| `two_sided`    | hash of the user      | hash of the campaign | shared                   |

`budget_split` is arXiv 2012.08724, `two_sided` arXiv 2104.12222. Ads are hashed by the campaign that pays for them, so
that no budget is in two arms. In all designs but twins the arms live in one market (`shared_market`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.config import Section
from simulator.keyed_random import integers, uniforms
from simulator.records import Ints, Keys, Requests

Sides = npt.NDArray[np.int8]
CONTROL, TREATMENT = 0, 1
LIVE = ("user_split", "budget_split", "switchback", "ad_side", "two_sided")
"""Designs in which both arms live in one market."""
BY_USER, BY_AD = ("user_split", "budget_split", "two_sided"), ("ad_side", "two_sided")


class DesignConfig(Section):
    """How units are assigned to two arms."""

    name: Literal["user_split", "budget_split", "switchback", "ad_side", "two_sided"] = "user_split"
    share: float = Field(0.5, ge=0, le=1, description="of the units, to the treatment; of either side in two_sided")
    block: int = Field(3600, ge=1, description="seconds of a switchback's block")
    salt: int = Field(0, ge=0, description="another salt, another assignment")


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The sides of every request and every ad of one world, fixed before it runs.

    Attributes:
        seed: the world's seed.
        design: what is hashed.
        campaign: int32 [A], the campaign that pays for each ad.

    Raises:
        ValueError: a switchback whose share is not that of one block in m, or all blocks but one in m.
    """

    seed: int
    design: DesignConfig
    campaign: Keys

    def __post_init__(self) -> None:
        if self.design.name == "switchback":
            _cycle(self.design.share)

    def asked(self, user: Keys, time: Ints) -> Sides:
        """int8 [n]: the side of requests by users [n] at times [n]."""
        design = self.design
        if design.name in BY_USER:
            return (self._hash("design, user", user) < design.share).astype(np.int8)
        if design.name == "switchback":
            return self._block_side(time // design.block)
        return np.full(user.shape, TREATMENT if design.share else CONTROL, dtype=np.int8)

    @cached_property
    def ads(self) -> Sides:
        """int8 [A]: the side of every ad."""
        if self.design.name not in BY_AD:
            return np.full(self.campaign.shape, TREATMENT, dtype=np.int8)
        return (self._hash("design, campaign", self.campaign) < self.design.share).astype(np.int8)

    def pairs(self, user: Keys, time: Ints, ad: Keys) -> Sides:
        """int8 [n]: the arm that serves each pair, e.g. each row of a log."""
        return self.asked(user, time) & self.ads.take(ad)

    def _hash(self, purpose: str, unit: Any) -> npt.NDArray[np.float64]:
        return uniforms(self.seed, purpose, unit, np.int64(self.design.salt))

    def _block_side(self, block: Ints) -> Sides:
        """In every cycle of m blocks one, drawn by key, goes to the arm with the smaller share: days stay balanced."""
        m, rare = _cycle(self.design.share)
        if m == 1:
            return np.full(block.shape, rare, dtype=np.int8)
        chosen = integers(self.seed, "design, block", m, block // m, np.int64(self.design.salt))
        return np.where(block % m == chosen, rare, 1 - rare).astype(np.int8)


def _cycle(share: float) -> tuple[int, int]:
    """Blocks in a cycle, and the arm that gets one of them."""
    least = min(share, 1 - share)
    if not least:
        return 1, int(share)
    m = round(1 / least)
    if abs(m * least - 1) > 1e-6:
        raise ValueError(f"design.share == {share}, must be 1/m or 1 - 1/m in a switchback, m a whole number")
    return m, TREATMENT if share <= 0.5 else CONTROL


def stamped(requests: Requests, assignment: Assignment) -> Requests:
    """The requests with their sides written on them."""
    return replace(requests, arm=assignment.asked(requests.user, requests.time))
