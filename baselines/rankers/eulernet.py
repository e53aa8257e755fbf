"""The ``eulernet`` ranker: EulerNet, Tian et al., SIGIR 2023 (arXiv 2304.10711); RUCAIBox/EulerNet.

Field f is the complex vector mu_f exp(i Th_f). A layer makes n new fields from m, of orders A [m, n] that are learned:

    lam  = |z|                                  th  = arg z                        z = r + i q
    lam' = exp(A^T log lam + b1)                th' = A^T th + b2                  that is prod_f z_f^A
    r~   = ReLU(W r)                            q~  = ReLU(W q)                    the same W for both
    out  = LN(r~ + lam' cos th') + i LN(q~ + lam' sin th')

Departures: Linear-ReLU to h and Linear to the logit (the rule for h_uv) instead of w.r + w.q, so there is one fully
connected layer that the paper has not; A^T log lam is clamped to [-10, 10]; dropout acts on what leaves the layers;
dense values are categories here (``buckets``), the user's counts on other categories than the candidate's are left out;
the history is the mean of its items' Th, and the product of the ids' embeddings, which ``dnn`` has too, is a Th.

In the first layer log lam, th, r and q are linear in the fields up to the activations, so each side's share is computed
once: the user's per request, the ad's per sync.

Letters as in ``network``, and m fields in, n fields out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.rankers.buckets import Buckets
from baselines.rankers.crosses import DENSE, HASHED
from baselines.rankers.dnn import id_product
from baselines.rankers.network import Asked, Cost, Network, RankerConfig, Rows, Shares, Top, linear_flops
from baselines.rankers.online import OnlineRanker
from baselines.training.features import Fields, SideInput, looked_up
from simulator.plugins import takes
from simulator.records import Catalog

CLAMP = 10.0
"""Bound of A^T log lam: exp of it stays finite whatever orders are learned."""


@dataclass(frozen=True, kw_only=True)
class EulerConfig(RankerConfig):
    """Hyper-parameters of ``eulernet``; ``hidden`` holds the widths from the layers' output to h, the paper has none.

    Attributes:
        orders: n of each Euler layer.
    """

    hidden: tuple[int, ...] = (64,)
    orders: tuple[int, ...] = (24,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.orders or min(self.orders) < 1:
            raise ValueError(f"orders == {self.orders}, must hold at least one positive width")


class EulerLayer(nn.Module):
    """One Euler interaction layer, m fields in, n out, of width e.

    What is linear in the fields is split by blocks of fields, so that a block's share can be kept.

    Args:
        fields: m.
        out: n.
        width: e.
    """

    def __init__(self, fields: int, out: int, width: int) -> None:
        super().__init__()
        # Nearly one-hot columns: each new field starts as a copy of an old one (the public code's start).
        start = torch.eye(fields) if fields == out else torch.softmax(torch.randn(fields, out) / 0.01, dim=0)
        self.orders = nn.Parameter(start)
        self.linear = nn.Parameter(nn.init.xavier_normal_(torch.empty(out * width, fields * width)))
        self.bias_modulus = nn.Parameter(0.01 * torch.randn(out, width))
        self.bias_phase = nn.Parameter(0.01 * torch.randn(out, width))
        self.norm_real = nn.LayerNorm(width)
        self.norm_imaginary = nn.LayerNorm(width)

    def share(self, real: Tensor, imaginary: Tensor, first: int = 0) -> Tensor:
        """What fields ``first ..`` add to the layer's four linear maps.

        Args:
            real: r of some consecutive fields [B, k, e].
            imaginary: their q [B, k, e].
            first: place of the first of them.

        Returns:
            [B, 4, n, e]: A^T log lam, A^T th, W r, W q.
        """
        B, k, e = real.shape
        both = torch.stack([real, imaginary], dim=1).view(B, 2, k * e)
        linear = both @ self.linear[:, first * e : (first + k) * e].T
        polar = torch.stack(polar_form(real, imaginary), dim=1)
        orders = self.orders[first : first + k].T @ polar
        return torch.cat([orders, linear.view(B, 2, -1, e)], dim=1)

    def combine(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """r and q of the new fields [B, n, e] from the sum of all fields' shares [B, 4, n, e]."""
        log_modulus, phase, real, imaginary = shares.unbind(dim=1)
        modulus = torch.exp(log_modulus.clamp(-CLAMP, CLAMP) + self.bias_modulus)
        phase = phase + self.bias_phase
        real = torch.relu(real) + modulus * torch.cos(phase)
        imaginary = torch.relu(imaginary) + modulus * torch.sin(phase)
        return self.norm_real(real), self.norm_imaginary(imaginary)

    def flops_of_field(self) -> int:
        """FLOP of one field's share: W on r and on q, A on log lam and on th."""
        n, e = self.bias_phase.shape
        return 2 * (2 * n * e * e + 2 * n * e)

    def forward(self, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """r and q of the new fields [B, n, e] from those of all old ones [B, m, e]."""
        return self.combine(self.share(real, imaginary))


def polar_form(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """log sqrt(r^2 + q^2 + 1e-8) and atan2(q, r); at the origin the phase is 0 and its gradient finite."""
    squared = real.square() + imaginary.square()
    # atan2's gradient divides by r^2 + q^2
    origin = squared == 0
    phase = torch.atan2(imaginary, torch.where(origin, torch.ones_like(real), real))
    return 0.5 * torch.log(squared + 1e-8), phase


class Euler(Network):
    """Fields of the user, the ad and the pair, in this order, through Euler layers to the top."""

    pairs_at_once = 256

    def __init__(self, catalog: Catalog, fields: Fields, config: EulerConfig, user_dense: int, ad_dense: int) -> None:
        super().__init__(catalog, fields, config, user_dense, ad_dense)
        e = config.embedding
        static_user, static_ad = fields.user_dense, fields.ad_dense
        # the user's own counts and age: the columns between are her counts per category
        self.user_columns = [*range(static_user + 2), user_dense - 1]
        self.user_buckets = Buckets(catalog.users.dense, len(self.user_columns) - static_user)
        self.ad_buckets = Buckets(catalog.ads.dense, ad_dense - static_ad)
        self.pair_buckets = Buckets(np.zeros((1, 0), dtype=np.float32), DENSE)
        rows = [b.rows for b in (self.user_buckets, self.ad_buckets, self.pair_buckets)]
        self.offsets = [0, rows[0], rows[0] + rows[1]]
        self.buckets = nn.Parameter(torch.randn(sum(rows), e) * 0.05)
        # the user's fields and the two of the history
        users = fields.user_fields + fields.pooled + self.user_buckets.columns
        ads = fields.ad_fields + self.ad_buckets.columns
        self.firsts = [0, users, users + ads]
        m = users + ads + HASHED + 1 + DENSE
        self.mu = nn.Parameter(torch.ones(m, 1))
        self.layers = nn.ModuleList(EulerLayer(k, n, e) for k, n in pairwise([m, *config.orders]))
        self.entry = nn.Linear(2 * config.orders[-1] * e, config.hidden[0])
        self.top = Top(config.hidden)
        self._dropped = (*config.hidden[:-1], self.entry.in_features)

    @property
    def dropped(self) -> tuple[int, ...]:
        """The layers below h, then what leaves the Euler layers."""
        return self._dropped

    def share(self, phases: Sequence[Tensor], part: int) -> Tensor:
        """Share of the first layer [B, 4, n, e] of one part's fields (0 user, 1 ad, 2 pair) by Th, [B, ., e] each."""
        theta, first = torch.cat(list(phases), dim=1), self.firsts[part]
        mu = self.mu[first : first + theta.shape[1]]
        return self.stack()[0].share(mu * torch.cos(theta), mu * torch.sin(theta), first)

    def stack(self) -> list[EulerLayer]:
        """The Euler layers."""
        return [layer for layer in self.layers if isinstance(layer, EulerLayer)]

    def _bucketed(self, values: Tensor, buckets: Buckets, part: int) -> Tensor:
        return looked_up(self.buckets, buckets(values) + self.offsets[part])

    def of_user(self, user: SideInput, table: Tensor) -> Tensor:
        """The users' share [Q, 4, n, e]."""
        named = self._named(user, table)
        return self.share([named, self._bucketed(user.dense[:, self.user_columns], self.user_buckets, 0)], 0)

    def of_ad(self, ad: SideInput, table: Tensor) -> Tensor:
        """The ads' share [B, 4, n, e]."""
        return self.share([self._named(ad, table), self._bucketed(ad.dense, self.ad_buckets, 1)], 1)

    def of_pair(self, hashed: Tensor, product: Tensor, dense: Tensor) -> Tensor:
        """The pairs' share [B, 4, n, e].

        Args:
            hashed: Th of the hashed crosses [B, 2, e].
            product: of the user's and the ad's embedding [B, e].
            dense: dense crosses [B, 6].
        """
        theta = 10.0 * product[:, None, :]
        return self.share([hashed, theta, self._bucketed(dense, self.pair_buckets, 2)], 2)

    def _named(self, side: SideInput, table: Tensor) -> Tensor:
        """Th of the categorical fields [B, F, e], the history's mean among them."""
        embedded: Tensor = self.embedding(side._replace(dense=side.dense[:, :0]), table)
        return embedded.view(len(side.codes), -1, table.shape[1])

    def scored(self, shares: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        """Layer one's output of the top [B, h] from the first layer's summed shares [B, 4, n, e]."""
        first, *later = self.stack()
        real, imaginary = first.combine(shares)
        for layer in later:
            real, imaginary = layer(real, imaginary)
        x = torch.cat([real.flatten(1), imaginary.flatten(1)], dim=1)
        z: Tensor = self.entry(x * keep[-1] if keep else x)
        return z

    def forward(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Logit [B] and h [B, dh] of a training batch."""
        shares = self.of_user(rows.user, rows.table).index_select(0, rows.request)
        shares = shares + self.of_ad(rows.ad, rows.table)
        users = looked_up(rows.table, rows.user.codes[:, self.user_id]).index_select(0, rows.request)
        product = users * looked_up(rows.table, rows.ad.codes[:, self.ad_id])
        shares = shares + self.of_pair(looked_up(rows.crosses, rows.codes), product, rows.dense)
        z = self.scored(shares, rows.keep) + self.top.at_slot(rows.slot)
        return self.top(z, rows.keep)  # type: ignore[no-any-return]

    def publish(self, ad: SideInput) -> Shares:
        """The ads' share [A, 4, n, e], and their rows of the table [A]."""
        return self.of_ad(ad, self.embedding.table), ad.codes[:, self.ad_id]

    def score(self, asked: Asked, shares: Shares) -> tuple[Tensor, Tensor]:
        """The shares of the first layer side by side, the rest per candidate."""
        R, K = asked.ads.shape
        total = self.of_pair(self.crosses.table[asked.codes], id_product(self, asked, shares), asked.dense)
        total += shares[0].index_select(0, asked.ads.view(-1))
        total.view(R, K, -1).add_(self.of_user(asked.user, self.embedding.table).view(R, 1, -1))
        return self.top(self.scored(total))  # type: ignore[no-any-return]

    def cost(self) -> Cost:
        """The user's share, then the pair's, the other Euler layers and the top."""
        of_field = self.stack()[0].flops_of_field()
        later = sum(layer.flops_of_field() * len(layer.orders) for layer in self.stack()[1:])
        pair = of_field * (len(self.mu) - self.firsts[2])
        return Cost(of_field * self.firsts[1], pair + later + linear_flops(self.entry) + self.top.flops())


@takes(EulerConfig)
def eulernet(catalog: Catalog, seed: int, **params: Any) -> OnlineRanker:
    """Entry point ``eulernet``. ``params`` are EulerConfig's."""
    return OnlineRanker(catalog, seed, replace(EulerConfig(), **params), Euler)
