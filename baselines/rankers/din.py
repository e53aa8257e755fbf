"""The ``din`` ranker: Deep Interest Network, Zhou et al., KDD 2018 (arXiv 1706.06978).

Each behaviour k_i of the history is weighed by how it activates for the candidate q:

    w_i = Linear(PReLU(Linear([q; k_i; q - k_i; q * k_i])))        attended = sum_i w_i k_i      (no softmax)

Departures: PReLU instead of Dice, whose batch statistics leak across time in a stream; the mean of the history and the
cross features of ``dnn`` stay beside the attended history; no mini-batch aware regulariser (the L2 of the tables
touches the rows of the batch only, which is its point); the MLP, dropout and h_uv are those of ``dnn``.

Letters as in ``network``, and L history length, E = 2 e width of a behaviour (ad and category), W width of the unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.rankers.dnn import Dnn
from baselines.rankers.network import Asked, Cost, RankerConfig, Rows, Shares, linear_flops
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Fields, SideInput, looked_up
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class DinConfig(RankerConfig):
    """Hyper-parameters of ``din``.

    Attributes:
        unit: W, hidden width of the activation unit.
    """

    unit: int = 64


class Din(Dnn):
    """``dnn``'s network with the attended history [B, E] among the pair's inputs."""

    pairs_at_once = 256

    def __init__(self, catalog: Catalog, fields: Fields, config: DinConfig, user_dense: int, ad_dense: int) -> None:
        self.behaviour = 2 * config.embedding
        super().__init__(catalog, fields, config, user_dense, ad_dense, attended=self.behaviour)
        self.length = catalog.history.items.shape[2]
        self.item_fields = fields.item_fields
        self.unit = nn.Linear(4 * self.behaviour, config.unit)
        self.activation = nn.PReLU()
        self.weigh = nn.Linear(config.unit, 1)

    def blocks(self) -> tuple[Tensor, Tensor, Tensor]:
        """The unit's weight by what it acts on, [W, E] each: the candidate, the behaviour, their product.

        ``A q + B k + C (q - k) + D (q * k) = (A + C) q + (B - C) k + D (q * k)``.
        """
        a, b, c, d = torch.split(self.unit.weight, self.behaviour, dim=1)
        return a + c, b - c, d

    def attend(self, of_q: Tensor, q: Tensor, of_keys: Tensor, keys: Tensor, known: Tensor) -> Tensor:
        """The attended history of K candidates of each of N requests.

        Args:
            of_q: the candidates' share of the unit [N, K, W].
            q: [N, K, E].
            of_keys: the behaviours' share of the unit, made once per request [N, L, W].
            keys: [N, L, E].
            known: bool [N, L], what is no pad.

        Returns:
            [N, K, E].
        """
        products = q[:, :, None, :] * keys[:, None, :, :]
        z = products @ self.blocks()[2].T
        z += of_q[:, :, None, :]
        z += of_keys[:, None, :, :]
        w = self.weigh(self.activation(z))[..., 0] * known[:, None, :]
        return torch.bmm(w, keys)

    def of_candidates(self, q: Tensor) -> Tensor:
        """The candidates' share of the unit [n, W] by their embeddings [n, E]."""
        return q @ self.blocks()[0].T

    def of_behaviours(self, keys: Tensor) -> Tensor:
        """The behaviours' share of the unit [Q, L, W] by their embeddings [Q, L, E]."""
        return keys @ self.blocks()[1].T + self.unit.bias

    def pair_of_rows(self, rows: Rows) -> Tensor:
        """``dnn``'s pair and the attended history."""
        q = looked_up(rows.table, rows.ad.codes[:, self.item_fields]).flatten(1)
        keys, known = history(rows.table, rows.user)
        past = (x.index_select(0, rows.request) for x in (self.of_behaviours(keys), keys, known))
        attended = self.attend(self.of_candidates(q)[:, None, :], q[:, None, :], *past)
        return torch.cat([super().pair_of_rows(rows), attended[:, 0]], dim=1)

    def pair_of_asked(self, asked: Asked, shares: Shares) -> Tensor:
        """``dnn``'s pair and the attended history."""
        keys, known = history(self.embedding.table, asked.user)
        _, of_q, q, _ = shares
        attended = self.attend(of_q[asked.ads], q[asked.ads], self.of_behaviours(keys), keys, known)
        return torch.cat([super().pair_of_asked(asked, shares), attended.flatten(0, 1)], dim=1)

    def publish(self, ad: SideInput) -> Shares:
        """The ads' share of layer one, of the unit [A, W], their embeddings as candidates [A, E], their table rows."""
        of_ad, codes = super().publish(ad)
        q = looked_up(self.embedding.table, ad.codes[:, self.item_fields]).flatten(1)
        return of_ad, self.of_candidates(q), q, codes

    def cost(self) -> Cost:
        """``dnn``'s, the behaviours' share of the unit, and the unit and the sum over L behaviours per candidate."""
        base = super().cost()
        product = 2 * self.behaviour * self.unit.out_features
        weighted = linear_flops(self.weigh) + 2 * self.behaviour
        return Cost(
            base.request_flops + self.length * product,
            base.candidate_flops + self.length * (product + weighted),
        )


def history(table: Tensor, user: SideInput) -> tuple[Tensor, Tensor]:
    """Embeddings [Q, L, 2 e] of the behaviours of requests (ad and category), and bool [Q, L], what is no pad."""
    assert user.bags is not None
    keys = looked_up(table, user.bags).transpose(1, 2).flatten(2)
    return keys, user.bags[:, 0] != 0


@takes(DinConfig)
def din(catalog: Catalog, seed: int, **params: Any) -> OnlineRanker:
    """Entry point ``din``. ``params`` are DinConfig's."""
    return OnlineRanker(catalog, seed, replace(DinConfig(), **params), Din)
