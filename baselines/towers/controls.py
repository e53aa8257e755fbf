"""Controls: arms that have what a mechanism has, except what it claims to work by (docs/formulas.md 7).

- ``shuffled``: every key reads another key's vectors. Their number, scale, drift and timing stay; what they know of the
  key goes. A mechanism that still gains gained by something else: width, noise, regularisation.
- ``dssm_wide``: the floating-point operations that CS3 adds to the user tower, spent on wider layers instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.towers.dssm import dssm
from baselines.training.assembly import hands_over, side_widths, single_vector
from baselines.training.auxiliary import Auxiliary
from baselines.training.config import TowerConfig
from baselines.training.extras import Extras
from baselines.training.retriever import TowerRetriever
from simulator.keyed_random import subseed
from simulator.plugins import takes
from simulator.records import Catalog

CAS_PASSES = 3
"""A layer that CAS wraps runs twice and has a gate of its own size."""
EXTRA_WIDTH = 128
"""c and s of 64 each, which the input layer reads."""


class Shuffled:
    """Extras whose reads are of a fixed permutation of the keys, never of the key itself; writes are not moved.

    Args:
        extras: what is wrapped.
        catalog: numbers of users and ads, at least 2 each.
        seed: of the permutation.
    """

    def __init__(self, extras: Extras, catalog: Catalog, seed: int) -> None:
        self._extras = extras
        self.user_width, self.item_width = extras.user_width, extras.item_width
        draws = np.random.default_rng(subseed(seed, "shuffled keys"))
        self._users, self._items = (derangement(n, draws) for n in (catalog.users.rows, catalog.ads.rows))

    def wrap(
        self,
        user_tower: nn.Module,
        item_tower: nn.Module,
        *,
        leave_out: tuple[Collection[nn.Module], Collection[nn.Module]] = ((), ()),
    ) -> None:
        """As the wrapped ones do."""
        self._extras.wrap(user_tower, item_tower, leave_out=leave_out)

    def read_users(self, users: Tensor, as_of: Tensor) -> Tensor:
        """The rows of other users."""
        return self._extras.read_users(self._users[users], as_of)

    def read_items(self, items: Tensor, as_of: Tensor) -> Tensor:
        """The rows of other items."""
        return self._extras.read_items(self._items[items], as_of)

    def published_users(self, users: Tensor) -> Tensor:
        """The published rows of other users."""
        return self._extras.published_users(self._users[users])

    def published_items(self, items: Tensor | None = None) -> Tensor:
        """The published rows of other items."""
        return self._extras.published_items(self._items if items is None else self._items[items])

    def observe(
        self, users: Tensor, items: Tensor, labels: Tensor, u: Tensor, v: Tensor, hidden: Tensor, now: int
    ) -> None:
        """As the wrapped ones do."""
        self._extras.observe(users, items, labels, u, v, hidden, now)

    def publish(self, now: int) -> None:
        """As the wrapped ones do."""
        self._extras.publish(now)

    def snapshot(self) -> dict[str, object]:
        """Of the wrapped ones; the permutation is the seed's."""
        return self._extras.snapshot()

    def restore(self, state: dict[str, object]) -> None:
        """Take over a snapshot."""
        self._extras.restore(state)


def derangement(n: int, draws: np.random.Generator) -> Tensor:
    """A random cycle through all n keys, int64 [n]: no key is its own image."""
    if n < 2:
        raise ValueError(f"keys == {n}, must be at least 2 to be shuffled")
    order = draws.permutation(n)
    image = np.empty(n, dtype=np.int64)
    image[order] = np.roll(order, 1)
    return torch.from_numpy(image)


@takes()
def shuffled(**_: Any) -> Callable[[Extras, Catalog, int], Extras]:
    """Entry point ``shuffled``, a modifier of whatever extras the arm has: ``dssm+cs3+shuffled``."""
    return Shuffled


def mlp_flops(widths: tuple[int, ...]) -> int:
    """FLOP of a plain MLP through ``widths``, 2 x multiply-adds."""
    return sum(2 * n_in * n_out for n_in, n_out in pairwise(widths))


def equal_flop_hidden(width_in: int, hidden: tuple[int, ...], width: int) -> tuple[int, ...]:
    """Hidden widths, in the proportions of ``hidden``, at which a plain tower costs what the tower with CS3 does.

    Args:
        width_in: of the input without extras.
        hidden: widths of the tower that CS3 sits on.
        width: of the output.
    """
    first, *rest = pairwise((width_in, *hidden, width))
    target = mlp_flops((first[0] + EXTRA_WIDTH, first[1])) + CAS_PASSES * sum(map(mlp_flops, rest))

    def scaled(by: float) -> tuple[int, ...]:
        return tuple(max(round(by * h), 1) for h in hidden)

    scales = np.linspace(1.0, 4.0, 3001)
    flops = np.array([mlp_flops((width_in, *scaled(s), width)) for s in scales])
    return scaled(float(scales[np.abs(flops - target).argmin()]))


@hands_over(single_vector)
@takes(TowerConfig)
def dssm_wide(
    catalog: Catalog,
    seed: int,
    *,
    extras: Extras | None = None,
    auxiliary: Auxiliary | None = None,
    hidden: tuple[int, ...] = TowerConfig.hidden,
    **params: Any,
) -> TowerRetriever:
    """Entry point ``dssm-wide``: ``dssm`` with a user tower as dear as that of ``dssm+cs3`` at the same ``hidden``.

    The item towers of the two differ by the input layer's share of c and s only, which is not made up for.
    """
    config = TowerConfig(hidden=tuple(hidden), **params)
    wide = equal_flop_hidden(side_widths(catalog, config)[0], config.hidden, config.width)
    params |= {"hidden": config.hidden, "hidden_user": wide}
    return dssm(catalog, seed, extras=extras, auxiliary=auxiliary, **params)
