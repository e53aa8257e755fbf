"""The trainer and server of any two-tower retriever: losses, online steps, publication, exact search.

A backbone (one paper, one file) hands it a ``TwoTower``: two towers and the score of what they return; ``cs3`` or a
control fills the slot ``extras``. The order of one micro-batch is models.md 1.6:

    1 read extras   2 forward   3 the ranker's hidden vector comes with the row   4 losses, step   5, 6 extras observe

Letters: B rows, Q distinct requests, A ads. A tower returns [n, ...] for n inputs: one vector or facets each.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from baselines.search.finder import EXACT, Finder, MakesFinder, by_vectors, recall_against_exact
from baselines.training.auxiliary import Auxiliary, Trained
from baselines.training.counters import Counters
from baselines.training.dropout import KeyedDropout
from baselines.training.extras import Extras
from baselines.training.features import Events, FieldEmbedding, Fields, SideInput, widened
from baselines.training.flat_adam import FlatAdam
from baselines.training.ranges import MOST_ROWS, WIDEST, check_range, check_training
from baselines.training.rowwise_adagrad import RowwiseAdagrad
from baselines.training.score import Cosine, Score
from baselines.training.softmax import StreamingFrequency, against_uniform, in_batch
from simulator.keyed_random import subseed
from simulator.records import MOST_SLOTS, Candidates, Catalog, Floats, Impressions, Keys, Offers, Requests

FEW = 4
"""Fewer than a fourth of the ads are few."""


@dataclass(frozen=True, kw_only=True)
class TowerConfig:
    """Hyper-parameters of a two-tower retriever and its online training.

    The defaults were chosen on a world that no report uses (quickstart, seed 902) with the same grid for `dssm` and
    `dssm+cs3`: docs/tuning.md.

    Attributes:
        embedding: e, width of a field's embedding.
        hidden: widths of the hidden layers of both towers.
        width: d, width of the output.
        dropout: of the hidden layers while training.
        batch: rows of a micro-batch at most.
        lr: of Adam on dense weights.
        table_lr: of row-wise Adagrad on embeddings; l2: on the embedding rows of the batch.
        softmax: weight of the two softmax terms, per positive.
        negatives: uniform draws per batch; temperature: of the softmax.
        gain: start of the learned gain on the cosine.
        counters: feed the online counters.
        horizon: seconds for which the counters' versions are kept, at least label wait + tick + sync.
        search: how ads are found for a request: ``exact``, or by FAISS with ``hnsw`` or ``ivf`` (search/finder.py).
    """

    embedding: int = 16
    hidden: tuple[int, ...] = (256, 128)
    width: int = 64
    dropout: float = 0.0
    batch: int = 512
    lr: float = 1.2e-4
    table_lr: float = 0.3
    l2: float = 1e-5
    softmax: float = 1.0
    negatives: int = 256
    temperature: float = 0.1
    gain: float = 10.0
    counters: bool = True
    horizon: int = 14_400
    search: str = EXACT

    def __post_init__(self) -> None:
        check_training(self)
        check_range(self, "width", 1, WIDEST)
        check_range(self, "negatives", 0, MOST_ROWS)
        check_range(self, "softmax", 0, 1e6)
        check_range(self, "temperature", 0, 1e6, above=True)
        check_range(self, "gain", -1e6, 1e6)


class Tower(nn.Module, ABC):
    """One side of a two-tower model.

    Attributes:
        layers: called with the tower's concatenated input [B, w], which ends with the extras.
        left_out: layers that a mechanism which replaces linear layers has to leave as they are.
    """

    layers: nn.Module

    @property
    def left_out(self) -> tuple[nn.Module, ...]:
        """None, unless a tower says otherwise."""
        return ()

    @abstractmethod
    def widen(self, extra: int) -> None:
        """Make room for so many extra inputs, which start at zero weight; 0 changes nothing."""

    @abstractmethod
    def forward(self, x: SideInput, extras: Tensor | None, rows: Tensor | None = None) -> Tensor:
        """Unit vectors [B, d] or facets [B, H, p] of inputs [B]; ``rows`` as in :class:`FieldEmbedding`."""


class Forward(NamedTuple):
    """The forward of one micro-batch: what the towers read and what they returned.

    Attributes:
        rows: the batch, [B].
        label: float32 [B].
        user: inputs of the batch's requests [Q]; their codes number rows of ``table``.
        item: inputs of the batch's ads, the drawn ones among them.
        table: [n, e], the gathered rows of the embedding table, with gradient.
        user_row, item_row: int64 [B], places of the rows' request in ``user`` and of their ad in ``item``.
        u, v: [B, ...], what the towers returned for each row, with gradient.
    """

    rows: Impressions
    label: Tensor
    user: SideInput
    item: SideInput
    table: Tensor
    user_row: Tensor
    item_row: Tensor
    u: Tensor
    v: Tensor


class TwoTower(nn.Module):
    """A pair of towers and the head ``logit = softplus(rho) score(u, v) + bias (+ slot bias while training)``.

    Args:
        user, item: the towers.
        score: of what they return.
        gain, base_ctr: start of the head.
    """

    def __init__(self, user: Tower, item: Tower, score: Score, *, gain: float, base_ctr: float) -> None:
        super().__init__()
        self.user = user
        self.item = item
        self.score = score
        self.rho = nn.Parameter(torch.tensor(float(np.log(np.expm1(gain)))))
        self.bias = nn.Parameter(torch.tensor(float(np.log(base_ctr / (1 - base_ctr)))))
        # Position bias is the head's, not the towers': slot 0 is served.
        self.slot = nn.Parameter(torch.zeros(MOST_SLOTS))

    def gain(self) -> Tensor:
        """g > 0, scalar."""
        return nn.functional.softplus(self.rho)

    def own_loss(self, batch: Forward) -> Tensor | None:
        """A further loss of the backbone's paper, to be minimised as it is; None for none."""
        return None


class Cost(NamedTuple):
    """What serving costs: bytes per item in the index, FLOP per request of the user tower and of the flat scan."""

    item_bytes: int
    user_flops: int
    scan_flops: int


class TowerRetriever:
    """Trains online, publishes at sync, serves exact revenue-aware inner-product search (models.md 3.2).

    Args:
        catalog: what may be known.
        seed: of the negatives' generator.
        model: the towers, already with room for the extras' widths.
        embedding: the field table that both towers read.
        fields: layout of the embedding table that the towers read.
        config: hyper-parameters.
        extras: filler of the slot, or None.
        auxiliary: a further loss with its vectors, or None.

    Attributes:
        makes_finder: makes what serves in place of the exact scan from each publication's items; None for the scan.
        indexed: whether it serves from an index, which may miss ads.
    """

    def __init__(
        self,
        catalog: Catalog,
        seed: int,
        model: TwoTower,
        embedding: FieldEmbedding,
        fields: Fields,
        config: TowerConfig,
        extras: Extras | None,
        auxiliary: Auxiliary | None = None,
    ) -> None:
        self.catalog = catalog
        self.config = config
        self.model = model
        self.fields = fields
        self.extras = extras
        self.auxiliary = auxiliary
        if extras is not None:
            extras.wrap(model.user, model.item, leave_out=(model.user.left_out, model.item.left_out))
        self.counters = Counters(catalog, config.horizon) if config.counters else None
        dense = [p for name, p in model.named_parameters() if not name.endswith("table")]
        dense += [] if auxiliary is None else auxiliary.dense()
        self._adam = FlatAdam(dense, lr=config.lr)
        self._adagrad = RowwiseAdagrad(embedding.table, lr=config.table_lr, l2=config.l2)
        self._frequency = StreamingFrequency(catalog.ads.rows, start=catalog.ads.rows / config.batch)
        self._generator = torch.Generator().manual_seed(subseed(seed, "negatives"))
        self._all_ads = np.arange(catalog.ads.rows, dtype=np.int32)
        self._dropouts = [m for m in model.modules() if isinstance(m, KeyedDropout)]
        self._steps = 0
        self.serving = copy.deepcopy(model).eval().requires_grad_(False)
        self._index: Tensor | None = None
        self.makes_finder = by_vectors(config.search)
        if self.makes_finder is not None and not isinstance(model.score, Cosine):
            raise ValueError(f"search == {config.search!r}, must be 'exact' for towers that do not return one vector")
        self.indexed = self.makes_finder is not None
        self._found_in: tuple[Tensor, Finder] | None = None
        self._now = 0
        self._synced: list[int] = []
        self.sync(0)

    # --- serving: published state only -------------------------------------------------------------------------

    @torch.no_grad()
    def encode_users(self, requests: Requests) -> Tensor:
        """What the user tower returns [R, ...] by published weights, counters and extras."""
        users = torch.from_numpy(requests.user.astype(np.int64))
        parts = [] if self.extras is None else [self.extras.published_users(users)]
        parts += [] if self.auxiliary is None else [self.auxiliary.published_users(users)]
        extras = joined(parts)
        u: Tensor = self.serving.user(self._user_input(Events.of(requests)), extras)
        return u

    @torch.no_grad()
    def logits(self, requests: Requests) -> Tensor:
        """Published logits of all ads at slot 0 -> [R, A]."""
        score = self.serving.score.of_all(self.encode_users(requests), self.items())
        return score * self.serving.gain() + self.serving.bias

    @torch.no_grad()
    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` by logit + log bid over the eligible ads, by the search that was chosen."""
        if self.makes_finder is None:
            return self.exact(requests, offers, k)
        log_bid = torch.from_numpy(offers.log_bid())
        ads, score = self._finder(self.makes_finder).find(self.encode_users(requests), log_bid, k)
        logit = score * self.serving.gain() + self.serving.bias
        legal = (ads >= 0).numpy()
        return Candidates(
            ad=ads.numpy().astype(np.int32),
            logit=np.where(legal, logit.numpy(), np.nan).astype(np.float32),
            explored=np.zeros(legal.shape, dtype=bool),
        )

    def _finder(self, make: MakesFinder) -> Finder:
        """The finder over the published items: each publication makes new ones, and they a new finder."""
        items = self.items()
        if self._found_in is None or self._found_in[0] is not items:
            self._found_in = items, make(items, float(self.serving.gain()))
        return self._found_in[1]

    def exact(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Exact top ``k`` by logit + log bid over the eligible ads."""
        logits = self.logits(requests)
        money = logits + torch.from_numpy(offers.log_bid())
        best, ads = money.topk(min(k, money.shape[1]), dim=1)
        legal = torch.isfinite(best).numpy()
        found = logits.gather(1, ads).numpy()
        return Candidates(
            ad=np.where(legal, ads.numpy(), -1).astype(np.int32),
            logit=np.where(legal, found, np.nan).astype(np.float32),
            explored=np.zeros(legal.shape, dtype=bool),
        )

    def recall_against_exact(self, requests: Requests, offers: Offers, k: int) -> Floats | None:
        """Share of the exact best ``k`` that the index finds, [R]; None where every ad is scored."""
        return recall_against_exact(self, requests, offers, k) if self.indexed else None

    @torch.no_grad()
    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Published logits of ads [R, n]; pads get the last ad's."""
        u = self.encode_users(requests)
        A = self._all_ads.size
        some, place = np.unique(ads % A, return_inverse=True)
        # A replay asks for few ads between two publications: then there is no index worth building.
        few = self._index is None and FEW * some.size < A
        v = self._encoded(some) if few else self.items()[torch.from_numpy(some.astype(np.int64))]
        v = v[torch.from_numpy(place.reshape(ads.shape))]
        logit = self.serving.score.of_some(u, v) * self.serving.gain() + self.serving.bias
        return np.asarray(logit.numpy(), dtype=np.float32)

    @torch.no_grad()
    def sync(self, now: int) -> None:
        """Publish weights, counters, extras and with them the item vectors, all at once."""
        self._now = now
        self._synced.append(now)
        if self.counters is not None:
            self.counters.publish(now)
        if self.extras is not None:
            self.extras.publish(now)
        if self.auxiliary is not None:
            self.auxiliary.publish()
        for published, learned in zip(self.serving.parameters(), self.model.parameters(), strict=True):
            published.copy_(learned)
        self._index = None

    def items(self) -> Tensor:
        """The index: what the item tower returns for all ads [A, ...] as published; built when first wanted."""
        if self._index is None:
            self._index = self._encoded(self._all_ads)
        return self._index

    @contextmanager
    def disturbed(self, user: Callable[[Tensor], Tensor], item: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """In this block both served towers read what a function makes of their concatenated input [B, w].

        The input is [embeddings; dense; extras]. Training and publication have no place in the block.
        """
        handles = [
            tower.layers.register_forward_pre_hook(lambda _, given, to=change: (to(given[0]), *given[1:]))
            for tower, change in ((self.serving.user, user), (self.serving.item, item))
        ]
        self._index = None
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._index = None

    def extra_widths(self) -> tuple[int, int]:
        """Widths of the extras at the end of the user tower's and the item tower's input."""
        slots = [slot for slot in (self.extras, self.auxiliary) if slot is not None]
        return sum(slot.user_width for slot in slots), sum(slot.item_width for slot in slots)

    @torch.no_grad()
    def _encoded(self, ads: Keys) -> Tensor:
        """What the item tower returns for ads [n] -> [n, ...] by what was published at the last sync."""
        items = torch.from_numpy(ads.astype(np.int64))
        parts = [] if self.extras is None else [self.extras.published_items(items)]
        parts += [] if self.auxiliary is None else [self.auxiliary.published_items(items)]
        extras = joined(parts)
        v: Tensor = self.serving.item(self._item_input(ads, np.full(ads.size, self._now)), extras)
        return v

    # --- training ------------------------------------------------------------------------------------------------

    def update(self, impressions: Impressions) -> None:
        """Learn from matured rows, micro-batch by micro-batch in event order."""
        for first in range(0, len(impressions), self.config.batch):
            rows = impressions[first : first + self.config.batch]
            self._train(rows)
            if self.counters is not None:
                self.counters.update(rows)

    def _train(self, rows: Impressions) -> None:
        """One micro-batch in the order of models.md 1.6."""
        config, model = self.config, self.model
        # Rows of one request share the user side: encode it once.
        first = np.concatenate([[True], rows.request[1:] != rows.request[:-1]])
        row_request = torch.from_numpy(np.cumsum(first) - 1)
        heads = Events(rows.user[first], rows.time[first], rows.context[first])
        users, ads = torch.from_numpy(rows.user.astype(np.int64)), torch.from_numpy(rows.ad.astype(np.int64))
        label = torch.from_numpy(rows.label)
        draws = config.negatives if config.softmax else 0
        drawn = torch.randint(self.catalog.ads.rows, (draws,), generator=self._generator)
        # Drawn ads are read as of the batch's last row. An ad's input depends on the ad and the version: encode each
        # pair of them once.
        ad_time = np.concatenate([rows.time, np.full(draws, rows.time[-1])])
        version = np.searchsorted(self._synced, ad_time, side="right")
        key = version * self._all_ads.size + np.concatenate([rows.ad, drawn.numpy()])
        _, one, back = np.unique(key, return_index=True, return_inverse=True)
        place = torch.from_numpy(back)
        all_ads, ad_time = torch.cat([ads, drawn])[torch.from_numpy(one)], ad_time[one]

        # 1: read
        head_users = torch.from_numpy(heads.user.astype(np.int64))
        user_parts, item_parts = [], []
        if self.extras is not None:
            user_parts.append(self.extras.read_users(head_users, torch.from_numpy(heads.time)))
            item_parts.append(self.extras.read_items(all_ads, torch.from_numpy(ad_time)))
        if self.auxiliary is not None:
            user_read, item_read = self.auxiliary.read(head_users, all_ads)
            user_parts.append(user_read)
            item_parts.append(item_read)
        user_extra, item_extra = joined(user_parts), joined(item_parts)
        # 2: forward
        self._steps += 1
        for layer in self._dropouts:
            layer.step = self._steps
        user_side, item_side = self._user_input(heads), self._item_input(all_ads.numpy(), ad_time)
        assert user_side.bags is not None
        batch = self._adagrad.gather(user_side.codes, user_side.bags, item_side.codes)
        codes, bags, item_codes = batch.places
        user_side, item_side = user_side._replace(codes=codes, bags=bags), item_side._replace(codes=item_codes)
        u = model.user(user_side, user_extra, batch.values)
        if len(u) < len(rows):
            u = u.index_select(0, row_request)
        v_all = model.item(item_side, item_extra, batch.values).index_select(0, place)
        v, v_drawn = v_all[: len(rows)], v_all[len(rows) :]
        slot = torch.from_numpy(rows.slot.astype(np.int64))
        # slot 0 is the reference: its bias is the head's
        slot_bias = model.slot[slot] * (slot > 0)
        similarity = model.score.of_rows(u, v)
        logit = model.gain() * similarity + model.bias + slot_bias
        # 4: losses and step (3 happened when the ranker scored the row)
        # Sums over a full batch's size: a row weighs the same in the small batches of the night as in the day's.
        loss = nn.functional.binary_cross_entropy_with_logits(logit, label.float(), reduction="sum") / config.batch
        won = label.nonzero()[:, 0]
        if config.softmax and len(won):
            share = config.softmax * len(won) / config.batch
            loss = loss + share * self._softmax(u[won], v[won], v_drawn, users[won], ads[won], drawn)
        item_row = place[: len(rows)]
        own = model.own_loss(
            Forward(rows, label.float(), user_side, item_side, batch.values, row_request, item_row, u, v)
        )
        if own is not None:
            # One number a batch: as a share of a full batch it weighs by rows like the others.
            loss = loss + own * (len(rows) / config.batch)
        user_vector, item_vector = model.score.user_vector(u), model.score.item_vector(v)
        if self.auxiliary is not None:
            of_users, of_items = user_read.index_select(0, row_request), item_read.index_select(0, item_row)
            vectors = (user_vector, item_vector)
            batch_rows = Trained(rows, label.float(), *vectors, similarity, logit, of_users, of_items)
            loss = loss + self.auxiliary.loss(batch_rows) / config.batch
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._adagrad.step(batch)
        if self.auxiliary is not None:
            self.auxiliary.step()
        if config.softmax and len(won):
            self._frequency.update(ads[won])
        # 5, 6: write what was computed before the step
        if self.extras is not None:
            hidden = torch.from_numpy(rows.hidden).float()
            u, v = user_vector.detach(), item_vector.detach()
            self.extras.observe(users, ads, label, u, v, hidden, int(rows.ready_at[-1]))

    def _softmax(self, u: Tensor, v: Tensor, v_drawn: Tensor, users: Tensor, ads: Tensor, drawn: Tensor) -> Tensor:
        score, tau = self.model.score, self.config.temperature
        scores = score.of_all(u, v) / tau
        batch = in_batch(scores, users, ads, self._frequency.log_q(ads))
        return batch + against_uniform(scores.diagonal(), score.of_all(u, v_drawn) / tau, ads, drawn)

    # --- inputs --------------------------------------------------------------------------------------------------

    def _user_input(self, events: Events) -> SideInput:
        if self.counters is None:
            return self.fields.user_side(events, np.zeros((events.user.size, 0), dtype=np.float32))
        return self.fields.user_side(events, self.counters.user_features(events.user, events.time))

    def _item_input(self, ads: npt.NDArray[Any], time: npt.NDArray[np.int64]) -> SideInput:
        if self.counters is None:
            return self.fields.ad_side(ads, np.zeros((ads.size, 0), dtype=np.float32))
        return self.fields.ad_side(ads, self.counters.ad_features(ads, time))

    # --- state ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All state, copied; `restore` continues bit-equal."""
        return {
            "model": copy.deepcopy(self.model.state_dict()),
            "serving": copy.deepcopy(self.serving.state_dict()),
            "now": self._now,
            "synced": list(self._synced),
            "adam": self._adam.snapshot(),
            "adagrad": self._adagrad.snapshot(),
            "frequency": self._frequency.snapshot(),
            "generator": self._generator.get_state(),
            "counters": None if self.counters is None else self.counters.snapshot(),
            "extras": None if self.extras is None else self.extras.snapshot(),
            "auxiliary": None if self.auxiliary is None else self.auxiliary.snapshot(),
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`snapshot`."""
        self.model.load_state_dict(state["model"])
        self.serving.load_state_dict(state["serving"])
        self._index, self._now = None, state["now"]
        self._synced = list(state["synced"])
        self._adam.restore(state["adam"])
        self._adagrad.restore(state["adagrad"])
        self._frequency.restore(state["frequency"])
        self._generator.set_state(state["generator"])
        if self.counters is not None:
            self.counters.restore(state["counters"])
        if self.extras is not None:
            self.extras.restore(state["extras"])
        if self.auxiliary is not None:
            self.auxiliary.restore(state["auxiliary"])
        self._steps = state["steps"]

    def cost(self) -> Cost:
        """Bytes per ad, FLOP of one user encoding and of one exact scan (2 x multiply-adds)."""
        score, A = self.serving.score, self.catalog.ads.rows
        return Cost(4 * score.item_numbers, linear_flops(self.serving.user), score.pair_flops * A)


def joined(parts: list[Tensor]) -> Tensor | None:
    """Extra inputs [B, w] side by side; None for none."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return torch.cat(parts, dim=1)


def with_extras(inputs: Tensor, extras: Tensor | None) -> Tensor:
    """A tower's input [B, w] with the extra vectors [B, x], if any, at its end."""
    return inputs if extras is None or not extras.shape[1] else torch.cat([inputs, extras], dim=1)


def widen_first(layers: nn.Sequential, extra: int) -> None:
    """Widen the first layer, which is linear, in place."""
    first = layers[0]
    assert isinstance(first, nn.Linear)
    layers[0] = widened(first, extra)


def linear_flops(module: nn.Module) -> int:
    """FLOP of the linear layers of one forward pass at batch 1; a layer that declares ``flops`` speaks for itself."""
    own = getattr(module, "flops", None)
    if own is not None:
        return int(own() if callable(own) else own)
    if isinstance(module, nn.Linear):
        return 2 * module.in_features * module.out_features
    return sum(linear_flops(child) for child in module.children())
