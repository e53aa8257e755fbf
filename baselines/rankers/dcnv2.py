"""The ``dcnv2`` ranker: DCN V2, Wang et al., WWW 2021 (arXiv 2008.13535).

    x_{l+1} = x_l + x_0 * (W_l x_l + b_l)      beside an MLP      h = ReLU(Linear([x_n; mlp]))      logit = w h + b

Departures: the Linear-ReLU to h after the concatenation is the rule for h_uv, the paper's is linear from there; the
cross features of ``dnn`` are among the inputs x_0. Full W_l; the low-rank mixture of the paper is not offered, since
x_0 is a few hundred wide. W_0 and the MLP's layer one read x_0 and are linear in it: each side's share is computed
once.

Letters as in ``network``, and D width of x_0, m width of the MLP's layer one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from baselines.rankers.crosses import DENSE, HASHED
from baselines.rankers.dnn import id_product, pair_inputs
from baselines.rankers.network import Asked, Cost, Network, RankerConfig, Rows, Shares, Top, linear_flops
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Fields, SideInput, looked_up
from simulator.plugins import takes
from simulator.records import Catalog


@dataclass(frozen=True, kw_only=True)
class DcnConfig(RankerConfig):
    """Hyper-parameters of ``dcnv2``; ``hidden`` holds the widths of the MLP and, last, dh.

    Attributes:
        layers: cross layers.
    """

    layers: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers == {self.layers}, must be at least 1")
        if len(self.hidden) < 2:
            raise ValueError(f"hidden == {self.hidden}, must hold a width of the MLP and the width of h")


class Dcn(Network):
    """Cross network and MLP side by side on the same inputs."""

    pairs_at_once = 1024

    def __init__(self, catalog: Catalog, fields: Fields, config: DcnConfig, user_dense: int, ad_dense: int) -> None:
        super().__init__(catalog, fields, config, user_dense, ad_dense)
        *widths, dh = config.hidden
        self.pair_in = (HASHED + 1) * config.embedding + DENSE
        self.width = self.user_in + self.ad_in + self.pair_in
        # one matrix for what reads x_0: the MLP's layer one, and W_0
        self.entry = nn.Linear(self.width, widths[0] + self.width)
        self.cross = nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(config.layers - 1))
        self.deep = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.join = nn.Linear(self.width + widths[-1], dh)
        self.top = Top([dh])
        self._dropped = tuple(widths)

    @property
    def dropped(self) -> tuple[int, ...]:
        """The layers of the MLP."""
        return self._dropped

    def joined(self, x_0: Tensor, z: Tensor, keep: tuple[Tensor, ...] = ()) -> Tensor:
        """Both branches and the layer that joins them [B, dh].

        Args:
            x_0: [B, D].
            z: [B, m + D], ``entry`` of ``x_0``.
            keep: dropout masks of the MLP.
        """
        deep, crossed = torch.split(z, [self._dropped[0], self.width], dim=1)
        x = torch.addcmul(x_0, x_0, crossed)
        for linear in self.cross:
            x = torch.addcmul(x, x_0, linear(x))
        deep = torch.relu(deep)
        for i, linear in enumerate(self.deep):
            deep = torch.relu(linear(deep * keep[i] if keep else deep))
        joined: Tensor = self.join(torch.cat([x, deep * keep[-1] if keep else deep], dim=1))
        return joined

    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Logit [B] and h [B, dh] of a training batch."""
        users = looked_up(rows.table, rows.user.codes[:, self.user_id]).index_select(0, rows.request)
        product = users * looked_up(rows.table, rows.ad.codes[:, self.ad_id])
        pair = pair_inputs(product, looked_up(rows.crosses, rows.codes), rows.dense)
        user = self.embedding(rows.user, rows.table)
        x_rows = torch.cat([self.embedding(rows.ad, rows.table), pair], dim=1)
        w_user, w_rows = torch.split(self.entry.weight, [self.user_in, self.width - self.user_in], dim=1)
        of_user = nn.functional.linear(user, w_user, self.entry.bias).index_select(0, rows.request)
        x_0 = torch.cat([user.index_select(0, rows.request), x_rows], dim=1)
        z = torch.addmm(of_user, x_rows, w_rows.T)
        return self.top(self.joined(x_0, z, tuple(rows.keep)) + self.top.at_slot(rows.slot))  # type: ignore[no-any-return]

    def publish(self, ad: SideInput) -> Shares:
        """The ads' part of x_0 [A, ad_in], its share of ``entry`` [A, m + D], their rows of the table [A]."""
        x = self.embedding(ad)
        return x, x @ self.entry.weight[:, self.user_in : self.user_in + self.ad_in].T, ad.codes[:, self.ad_id]

    def score(self, asked: Asked, shares: Shares) -> tuple[Tensor, Tensor]:
        """The shares of ``entry`` side by side, the rest per candidate."""
        R, K = asked.ads.shape
        flat = asked.ads.view(-1)
        user = self.embedding(asked.user)
        of_user = nn.functional.linear(user, self.entry.weight[:, : self.user_in], self.entry.bias)
        pair = pair_inputs(id_product(self, asked, shares), self.crosses.table[asked.codes], asked.dense)
        z = torch.addmm(shares[1].index_select(0, flat), pair, self.entry.weight[:, -self.pair_in :].T)
        z.view(R, K, -1).add_(of_user[:, None, :])
        every = user[:, None, :].expand(R, K, -1).reshape(R * K, -1)
        x_0 = torch.cat([every, shares[0].index_select(0, flat), pair], dim=1)
        return self.top(self.joined(x_0, z))  # type: ignore[no-any-return]

    def cost(self) -> Cost:
        """The user's share of ``entry``, then the pair's and all layers after."""
        width = self.entry.out_features
        layers = sum(linear_flops(x) for x in (*self.cross, *self.deep, self.join))
        return Cost(2 * self.user_in * width, 2 * self.pair_in * width + layers + self.top.flops())


@takes(DcnConfig)
def dcnv2(catalog: Catalog, seed: int, **params: Any) -> OnlineRanker:
    """Entry point ``dcnv2``. ``params`` are DcnConfig's."""
    return OnlineRanker(catalog, seed, replace(DcnConfig(), **params), Dcn)
