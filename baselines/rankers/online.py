"""The trainer and server of any ranker: online steps by BCE, publication, serving of pctr at slot 0 and h_uv.

A ranker (one paper, one file) hands it a ``Network``; everything else, from the cross features to the snapshot, is
the same for all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from baselines.rankers.crosses import Crosses
from baselines.rankers.network import Asked, Cost, Network, RankerConfig, Rows, Shares
from baselines.training.counters import Counters
from baselines.training.features import Events, Fields, SideInput
from baselines.training.flat_adam import FlatAdam
from baselines.training.rowwise_adagrad import RowwiseAdagrad
from simulator.keyed_random import subseed
from simulator.records import Catalog, Impressions, Keys, Ranked, Requests


class OnlineRanker:
    """Trains online by BCE on impressions, publishes at sync, serves pctr at slot 0 and h_uv.

    Args:
        catalog: what may be known.
        seed: (world seed, role) of the initialisation and of dropout.
        config: hyper-parameters.
        network: ``network(catalog, fields, config, user_dense, ad_dense) -> Network``.
    """

    def __init__(self, catalog: Catalog, seed: int, config: RankerConfig, network: Callable[..., Network]) -> None:
        self.catalog = catalog
        self.config = config
        self.counters = Counters(catalog, config.horizon)
        self.fields = Fields(catalog)
        user_dense = self.fields.user_dense + self.counters.user_width
        ad_dense = self.fields.ad_dense + self.counters.ad_width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(subseed(seed, "ranker"))
            self.model = network(catalog, self.fields, config, user_dense, ad_dense)
        with torch.no_grad():
            self.model.top.head.bias.fill_(float(np.log(catalog.base_ctr / (1 - catalog.base_ctr))))
        dense = [p for name, p in self.model.named_parameters() if not name.endswith("table")]
        self._adam = FlatAdam(dense, lr=config.lr)
        self._fields_adagrad, self._crosses_adagrad = (
            RowwiseAdagrad(part.table, lr=config.table_lr, l2=config.l2)
            for part in (self.model.embedding, self.model.crosses)
        )
        self._dropout_seed = subseed(seed, "ranker dropout")
        self._steps = 0
        self._crosses = Crosses(catalog, self.counters)
        self.serving = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._shares: Shares = ()
        self.sync(0)

    @property
    def hidden(self) -> int:
        """dh, the width of h_uv."""
        return self.config.hidden[-1]

    def cost(self) -> Cost:
        """What serving costs."""
        return self.model.cost()

    @torch.no_grad()
    def rank(self, requests: Requests, ads: Keys) -> Ranked:
        """pctr at slot 0 and h_uv of ads [R, K]; pads get pctr 0."""
        R, K = ads.shape
        events = Events.of(requests)
        index = np.ascontiguousarray(np.maximum(ads, 0))
        codes, dense = self._crosses(events, np.repeat(np.arange(R), K), index.reshape(-1))
        asked = Asked(self._user_input(events), torch.from_numpy(index.astype(np.int64)), codes, dense)
        logit, h = self.serving.serve(asked, self._shares)
        p = torch.sigmoid(logit).numpy().reshape(R, K)
        return Ranked(pctr=np.where(ads >= 0, p, 0.0).astype(np.float32), hidden=h.numpy().reshape(R, K, -1))

    @torch.no_grad()
    def sync(self, now: int) -> None:
        """Publish counters and weights, and what the network keeps of each ad."""
        self.counters.publish(now)
        for published, learned in zip(self.serving.parameters(), self.model.parameters(), strict=True):
            published.copy_(learned)
        A = self.catalog.ads.rows
        self._shares = self.serving.publish(self._ad_input(np.arange(A, dtype=np.int32), np.full(A, now)))

    def update(self, impressions: Impressions) -> None:
        """Learn from matured rows, micro-batch by micro-batch in event order."""
        for first in range(0, len(impressions), self.config.batch):
            rows = impressions[first : first + self.config.batch]
            self._train(rows)
            self.counters.update(rows)

    def _train(self, rows: Impressions) -> None:
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
        logit, _ = self.model(
            Rows(
                user=user._replace(codes=user_codes, bags=bags),
                ad=ad._replace(codes=ad_codes),
                codes=crosses.places[0],
                dense=dense,
                request=torch.from_numpy(request),
                slot=torch.from_numpy(rows.slot.astype(np.int64)),
                table=fields.values,
                crosses=crosses.values,
                keep=self._keep(len(rows)),
            )
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
            for width in self.model.dropped
        ]

    def _user_input(self, events: Events) -> SideInput:
        return self.fields.user_side(events, self.counters.user_features(events.user, events.time))

    def _ad_input(self, ads: npt.NDArray[Any], time: npt.NDArray[np.int64]) -> SideInput:
        return self.fields.ad_side(ads, self.counters.ad_features(ads, time))

    def snapshot(self) -> dict[str, Any]:
        """All state, copied: weights, optimisers, counters, published state."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "serving": copy.deepcopy(self.serving.state_dict()),
            "shares": tuple(share.clone() for share in self._shares),
            "adam": self._adam.snapshot(),
            "adagrad": [self._fields_adagrad.snapshot(), self._crosses_adagrad.snapshot()],
            "counters": self.counters.snapshot(),
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`; what follows is bit-equal."""
        self.model.load_state_dict(state["model"])
        self.serving.load_state_dict(state["serving"])
        self._shares = tuple(share.clone() for share in state["shares"])
        self._adam.restore(state["adam"])
        self._fields_adagrad.restore(state["adagrad"][0])
        self._crosses_adagrad.restore(state["adagrad"][1])
        self.counters.restore(state["counters"])
        self._steps = state["steps"]
