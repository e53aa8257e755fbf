"""The ``dnn`` ranker: embeddings + cross features -> 256-128-64 -> 1, with h_uv by the one rule of models.md 4.1.

h = ReLU(last hidden Linear), the input of the last Linear, dropout off. Cross features are what towers cannot have:
hashed segment x category and hour x category, the user's counts on the candidate's category as of the last sync,
matches in the history, price match, and the product of the user's and the ad's embedding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from baselines.counters import Counters
from baselines.features import Events, FieldEmbedding, Fields, SideInput, looked_up
from baselines.flat_adam import FlatAdam
from baselines.rowwise_adagrad import RowwiseAdagrad
from simulator.keyed_random import subseed
from simulator.records import Catalog, Impressions, Keys, Ranked, Requests

SLOTS = 64
CROSS_DENSE = 6


@dataclass(frozen=True, kw_only=True)
class RankerConfig:
    """Hyper-parameters of a ranker.

    Attributes:
        embedding: e; hidden: widths, the last one is dh, the width of h_uv.
        batch: rows of a micro-batch at most; dropout: while training.
        lr, table_lr, l2: as for the towers.
        horizon: seconds for which the counters' versions are kept, at least label wait + tick + sync.
    """

    embedding: int = 16
    hidden: tuple[int, ...] = (256, 128, 64)
    batch: int = 512
    dropout: float = 0.1
    lr: float = 1e-3
    table_lr: float = 3e-2
    l2: float = 1e-5
    horizon: int = 14_400


class Dnn(nn.Module):
    """The network. Inputs of a pair are split by side, so that each side's share of layer one is computed once."""

    def __init__(self, catalog: Catalog, fields: Fields, config: RankerConfig, user_dense: int, ad_dense: int) -> None:
        super().__init__()
        e = config.embedding
        self.embedding = FieldEmbedding(fields.rows, e)
        self.crosses = FieldEmbedding(1 + (catalog.segments + _hours(catalog)) * catalog.categories, e)
        self.user_in = e * (fields.user_fields + 2) + user_dense
        self.ad_in = e * fields.ad_fields + ad_dense
        pair_in = 2 * e + e + CROSS_DENSE
        self.slot = nn.Parameter(torch.zeros(SLOTS, config.hidden[0]))
        self.first = nn.Linear(self.user_in + self.ad_in + pair_in, config.hidden[0])
        self.body = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(config.hidden))
        self.head = nn.Linear(config.hidden[-1], 1)

    def split(self) -> tuple[Tensor, Tensor, Tensor]:
        """Layer one's weight by side: user [h, user_in], ad [h, ad_in], pair [h, pair_in]."""
        u, a = self.user_in, self.user_in + self.ad_in
        w = self.first.weight
        return w[:, :u], w[:, u:a], w[:, a:]

    def pair(self, product: Tensor, hashed: Tensor, dense: Tensor) -> Tensor:
        """Cross inputs [B, pair_in]: product of ids' embeddings [B, e], hashed crosses [B, 2, e], dense ones [B, 6]."""
        return torch.cat([hashed.flatten(1), product * 10.0, dense], dim=1)

    def hidden(self, z: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        """h [B, dh] from layer one's output [B, h].

        Args:
            z: before the activation; may be overwritten.
            keep: dropout masks of the layers before the last, scaled; none while serving.
        """
        for i, linear in enumerate(self.body):
            x = torch.relu_(z)
            z = linear(x * keep[i] if keep else x)
        return torch.relu_(z)

    def forward(
        self, user: Tensor, ad: Tensor, pair: Tensor, request: Tensor, slot: Tensor, keep: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor]:
        """Logit [B] and h [B, dh] of rows.

        Args:
            user: [Q, user_in], once per request.
            ad: [B, ad_in].
            pair: [B, pair_in].
            request: int64 [B], each row's place in ``user``.
            slot: int64 [B].
            keep: as in :meth:`hidden`.
        """
        w_user, w_row = torch.split(self.first.weight, [self.user_in, self.first.in_features - self.user_in], dim=1)
        of_user = nn.functional.linear(user, w_user, self.first.bias).index_select(0, request)
        z = torch.addmm(of_user, torch.cat([ad, pair], dim=1), w_row.T) + self.at_slot(slot)
        h = self.hidden(z, keep)
        return self.head(h)[:, 0], h

    def at_slot(self, slot: Tensor) -> Tensor:
        """The slots' [B] share of layer one [B, h]; slot 0, the one that is served, is the reference: it stays zero."""
        return nn.functional.embedding(slot, self.slot, padding_idx=0)


def _hours(catalog: Catalog) -> int:
    return catalog.context.get("hour", 1)


class DnnRanker:
    """Trains online by BCE on impressions, publishes at sync, serves pctr at slot 0 and h_uv.

    Args:
        catalog: what may be known.
        seed: (world seed, role) of the initialisation and of dropout.
        config: hyper-parameters.
    """

    def __init__(self, catalog: Catalog, seed: int, config: RankerConfig) -> None:
        self.catalog = catalog
        self.config = config
        self.counters = Counters(catalog, config.horizon)
        self.fields = Fields(catalog)
        user_dense = self.fields.user_dense + self.counters.user_width
        ad_dense = self.fields.ad_dense + self.counters.ad_width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(subseed(seed, "ranker"))
            self.model = Dnn(catalog, self.fields, config, user_dense, ad_dense)
        with torch.no_grad():
            self.model.head.bias.fill_(float(np.log(catalog.base_ctr / (1 - catalog.base_ctr))))
        dense = [p for name, p in self.model.named_parameters() if not name.endswith("table")]
        self._adam = FlatAdam(dense, lr=config.lr)
        self._fields_adagrad, self._crosses_adagrad = (
            RowwiseAdagrad(part.table, lr=config.table_lr, l2=config.l2)
            for part in (self.model.embedding, self.model.crosses)
        )
        self._dropout_seed = subseed(seed, "ranker dropout")
        self._steps = 0
        self._hour_column = list(catalog.context).index("hour") if "hour" in catalog.context else None
        self._ad_id = list(catalog.ads.codes).index("ad")
        self._user_id = list(catalog.users.codes).index("user")
        self.serving = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._ad_side = torch.zeros(0)
        self._ad_codes = torch.zeros(0, dtype=torch.int64)
        self.sync(0)

    @property
    def hidden(self) -> int:
        """dh, the width of h_uv."""
        return self.config.hidden[-1]

    @torch.no_grad()
    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """pctr at slot 0 and h_uv of ads [R, K]; pads get pctr 0."""
        R, K = ads.shape
        model = self.serving
        events = Events.of(requests)
        side = self._user_input(events)
        w_user, _, w_pair = model.split()
        # Layer one, side by side: the user's share once per request, the ad's once per sync, the pair's here.
        of_user = nn.functional.linear(model.embedding(side), w_user, model.first.bias)
        flat = np.maximum(ads, 0).reshape(-1)
        codes, dense = self._crosses(events, np.repeat(np.arange(R), K), flat)
        index = torch.from_numpy(flat.astype(np.int64))
        table = model.embedding.table
        product = table[side.codes[:, self._user_id]][:, None, :] * table[self._ad_codes[index]].view(R, K, -1)
        pair = model.pair(product.view(R * K, -1), model.crosses.table[codes], dense)
        z = torch.addmm(self._ad_side.index_select(0, index), pair, w_pair.T)
        z.view(R, K, -1).add_(of_user[:, None, :])
        h = model.hidden(z)
        p = torch.sigmoid(model.head(h)[:, 0]).numpy().reshape(R, K)
        return Ranked(pctr=np.where(ads >= 0, p, 0.0).astype(np.float32), hidden=h.numpy().reshape(R, K, -1))

    @torch.no_grad()
    def sync(self, now: int) -> None:
        """Publish counters and weights, and the ads' share of layer one."""
        self.counters.publish(now)
        for published, learned in zip(self.serving.parameters(), self.model.parameters(), strict=True):
            published.copy_(learned)
        A = self.catalog.ads.rows
        side = self._ad_input(np.arange(A, dtype=np.int32), np.full(A, now))
        self._ad_codes = side.codes[:, self._ad_id]
        self._ad_side = self.serving.embedding(side) @ self.serving.split()[1].T

    def update(self, impressions: Impressions) -> None:
        """Learn from matured rows, micro-batch by micro-batch in event order."""
        for first in range(0, len(impressions), self.config.batch):
            rows = impressions[first : first + self.config.batch]
            self._train(rows)
            self.counters.update(rows)

    def _train(self, rows: Impressions) -> None:
        model = self.model
        # Rows of one request share the user side: compute it once.
        first = np.concatenate([[True], rows.request[1:] != rows.request[:-1]])
        request = np.cumsum(first) - 1
        events = Events(rows.user[first], rows.time[first], rows.context[first])
        user, ad = self._user_input(events), self._ad_input(rows.ad, rows.time)
        codes, dense = self._crosses(events, request, rows.ad)
        assert user.bags is not None
        fields = self._fields_adagrad.gather(user.codes, user.bags, ad.codes)
        crosses = self._crosses_adagrad.gather(codes)
        user_codes, bags, ad_codes = fields.places
        row_request = torch.from_numpy(request)
        users = looked_up(fields.values, user_codes[:, self._user_id]).index_select(0, row_request)
        product = users * looked_up(fields.values, ad_codes[:, self._ad_id])
        logit, _ = model(
            model.embedding(user._replace(codes=user_codes, bags=bags), fields.values),
            model.embedding(ad._replace(codes=ad_codes), fields.values),
            model.pair(product, looked_up(crosses.values, crosses.places[0]), dense),
            row_request,
            torch.from_numpy(rows.slot.astype(np.int64)),
            self._keep(len(rows)),
        )
        # A sum over a full batch's size: a row weighs the same in the small batches of the night as in the day's.
        label = torch.from_numpy(rows.label).float()
        loss = nn.functional.binary_cross_entropy_with_logits(logit, label, reduction="sum") / self.config.batch
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._fields_adagrad.step(fields)
        self._crosses_adagrad.step(crosses)
        self._steps += 1

    def _keep(self, rows: int) -> list[Tensor]:
        """Dropout masks of this step [rows, width], 0 or 1 / P(kept); 16 random bits decide on each unit."""
        if not self.config.dropout:
            return []
        dropped = round(self.config.dropout * (1 << 16))
        scale = np.float32((1 << 16) / ((1 << 16) - dropped))
        bits = np.random.default_rng([self._dropout_seed, self._steps])
        return [
            torch.from_numpy((bits.integers(0, 1 << 16, (rows, width), dtype=np.uint16) >= dropped) * scale)
            for width in self.config.hidden[:-1]
        ]

    def _user_input(self, events: Events) -> SideInput:
        return self.fields.user_side(events, self.counters.user_features(events.user, events.time))

    def _ad_input(self, ads: npt.NDArray[Any], time: npt.NDArray[np.int64]) -> SideInput:
        return self.fields.ad_side(ads, self.counters.ad_features(ads, time))

    def _crosses(self, events: Events, request: npt.NDArray[Any], ads: Keys) -> tuple[Tensor, Tensor]:
        """Codes [B, 2] of the hashed crosses and the dense crosses [B, 6] of rows (request's place in events, ad)."""
        c = self.catalog
        category, price = c.category[ads], c.price[ads]
        segment = c.segment[events.user][request] * c.categories + category
        hour = events.context[request, self._hour_column] if self._hour_column is not None else 0
        codes = np.stack([1 + segment, 1 + c.segments * c.categories + hour * c.categories + category], axis=1)
        counts = self.counters.user_category(events.user[request], category, events.time[request])
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

    def snapshot(self) -> dict[str, Any]:
        """All state, copied: weights, optimisers, counters, published state."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "serving": copy.deepcopy(self.serving.state_dict()),
            "ad_side": self._ad_side.clone(),
            "adam": self._adam.snapshot(),
            "adagrad": [self._fields_adagrad.snapshot(), self._crosses_adagrad.snapshot()],
            "counters": self.counters.snapshot(),
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`; what follows is bit-equal."""
        self.model.load_state_dict(state["model"])
        self.serving.load_state_dict(state["serving"])
        self._ad_side = state["ad_side"].clone()
        self._adam.restore(state["adam"])
        self._fields_adagrad.restore(state["adagrad"][0])
        self._crosses_adagrad.restore(state["adagrad"][1])
        self.counters.restore(state["counters"])
        self._steps = state["steps"]


def dnn(catalog: Catalog, seed: int, **params: Any) -> DnnRanker:
    """Entry point ``dnn``. ``params`` are RankerConfig's."""
    return DnnRanker(catalog, seed, replace(RankerConfig(), **params))
