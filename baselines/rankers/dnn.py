"""The ``dnn`` ranker: embeddings + cross features -> 256-128-64 -> 1, with h_uv by the rule of docs/formulas.md 10.

h = ReLU(last hidden Linear), the input of the last Linear, dropout off. Cross features are what towers cannot have:
hashed segment x category and hour x category, the user's counts on the candidate's category as of the last sync,
matches in the history, price match, and the product of the user's and the ad's embedding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.rankers.crosses import DENSE, HASHED
from baselines.rankers.network import Asked, Cost, Network, RankerConfig, Rows, Shares, Top
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Fields, SideInput, looked_up
from simulator.plugins import takes
from simulator.records import Catalog


class Dnn(Network):
    """The network. Inputs of a pair are split by side, so that each side's share of layer one is computed once.

    Args:
        catalog, fields, config, user_dense, ad_dense: as in :class:`Network`.
        attended: width of what a subclass adds to the pair's inputs.
    """

    def __init__(
        self,
        catalog: Catalog,
        fields: Fields,
        config: RankerConfig,
        user_dense: int,
        ad_dense: int,
        attended: int = 0,
    ) -> None:
        super().__init__(catalog, fields, config, user_dense, ad_dense)
        self.pair_in = (HASHED + 1) * config.embedding + DENSE + attended
        self.first = nn.Linear(self.user_in + self.ad_in + self.pair_in, config.hidden[0])
        self.top = Top(config.hidden)
        self._dropped = config.hidden[:-1]

    @property
    def dropped(self) -> tuple[int, ...]:
        """The hidden layers but the last."""
        return self._dropped

    def split(self) -> tuple[Tensor, Tensor, Tensor]:
        """Layer one's weight by side: user [h, user_in], ad [h, ad_in], pair [h, pair_in]."""
        u, a = self.user_in, self.user_in + self.ad_in
        w = self.first.weight
        return w[:, :u], w[:, u:a], w[:, a:]

    def pair_of_rows(self, rows: Rows) -> Tensor:
        """The pair's inputs [B, pair_in] while training."""
        users = looked_up(rows.table, rows.user.codes[:, self.user_id]).index_select(0, rows.request)
        product = users * looked_up(rows.table, rows.ad.codes[:, self.ad_id])
        return pair_inputs(product, looked_up(rows.crosses, rows.codes), rows.dense)

    def pair_of_asked(self, asked: Asked, shares: Shares) -> Tensor:
        """The pair's inputs [R * K, pair_in] while serving."""
        return pair_inputs(id_product(self, asked, shares), self.crosses.table[asked.codes], asked.dense)

    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Logit [B] and h [B, dh] of a training batch."""
        # The order of the lookups is the order in which their gradients are summed: other bits if it changes.
        of_pair = self.pair_of_rows(rows)
        user, ad = self.embedding(rows.user, rows.table), self.embedding(rows.ad, rows.table)
        w_user, w_row = torch.split(self.first.weight, [self.user_in, self.first.in_features - self.user_in], dim=1)
        of_user = nn.functional.linear(user, w_user, self.first.bias).index_select(0, rows.request)
        inputs = torch.cat([ad, of_pair], dim=1)
        z = torch.addmm(of_user, inputs, w_row.T) + self.top.at_slot(rows.slot)
        return self.top(z, rows.keep)  # type: ignore[no-any-return]

    def publish(self, ad: SideInput) -> Shares:
        """The ads' share of layer one [A, h], and their rows of the table [A]."""
        return self.embedding(ad) @ self.split()[1].T, ad.codes[:, self.ad_id]

    def score(self, asked: Asked, shares: Shares) -> tuple[Tensor, Tensor]:
        """Layer one side by side: the user's share once per request, the ad's once per sync, the pair's here."""
        R, K = asked.ads.shape
        w_user, _, w_pair = self.split()
        of_user = nn.functional.linear(self.embedding(asked.user), w_user, self.first.bias)
        of_ad = shares[0].index_select(0, asked.ads.view(-1))
        z = torch.addmm(of_ad, self.pair_of_asked(asked, shares), w_pair.T)
        z.view(R, K, -1).add_(of_user[:, None, :])
        return self.top(z)  # type: ignore[no-any-return]

    def cost(self) -> Cost:
        """The user's share, then the pair's and the layers above."""
        h = self.first.out_features
        return Cost(2 * self.user_in * h, 2 * self.pair_in * h + self.top.flops())


def pair_inputs(product: Tensor, hashed: Tensor, dense: Tensor) -> Tensor:
    """Cross inputs [B, 3 e + 6]: product of ids' embeddings [B, e], hashed crosses [B, 2, e], dense ones [B, 6]."""
    return torch.cat([hashed.flatten(1), product * 10.0, dense], dim=1)


def id_product(network: Network, asked: Asked, shares: Shares) -> Tensor:
    """Product of the user's and the ad's embedding [R * K, e], by the ads' table rows, the last of the shares."""
    table = network.embedding.table
    users, ads = table[asked.user.codes[:, network.user_id]], table[shares[-1][asked.ads]]
    return (users[:, None, :] * ads).flatten(0, 1)


@takes(RankerConfig)
def dnn(catalog: Catalog, seed: int, **params: Any) -> OnlineRanker:
    """Entry point ``dnn``. ``params`` are RankerConfig's."""
    return OnlineRanker(catalog, seed, replace(RankerConfig(), **params), Dnn)
