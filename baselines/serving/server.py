"""The path of a request: features -> state fetch -> user tower -> search -> top k, over what one sync published.

``freeze`` copies all of it: a later sync does not reach the server, whoever serves swaps servers. Only bids come and go
in between. Nothing here knows what the extras are: the published rows that the user tower reads are copied too, or
fetched from wherever ``fetch`` finds them, a vector store for instance.

Letters: R requests, w width of the user tower's input, d of a vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from baselines.search.scan import Scan
from baselines.serving.layers import layers_of
from baselines.serving.runtimes import RUNTIMES, Encode
from baselines.training.counters import Counters
from baselines.training.features import Events, FieldEmbedding, Fields, SideInput
from baselines.training.score import Cosine
from baselines.training.tower import TowerRetriever
from simulator.records import PAD, Floats, Ints, Keys, Offers, Requests

TORCH = "torch"
"""The runtime of towers that are no plain stack: their own forward."""
PROBES, TOLERANCE = 8, 1e-4
"""A server is checked by so many users, whose vectors may differ by so much."""
Fetch = Callable[[Keys], Floats]
"""Users int32 [R] -> what the user tower reads besides features, float32 [R, x]."""


class Served(NamedTuple):
    """Answers of some requests.

    Attributes:
        ad: int32 [R, k], best expected money first, -1 pads.
        logit: float32 [R, k], of the click at slot 0; NaN at pads.
    """

    ad: Keys
    logit: Floats


class UserTower(NamedTuple):
    """The frozen way from a request to its vector, in the two halves that a caller may want to time.

    Attributes:
        inputs: requests -> input [R, w].
        encode: input -> unit vectors [R, d].
    """

    inputs: Callable[[Events], Floats]
    encode: Encode


class Server:
    """Serves one publication of one retriever; from several threads if the caller likes.

    Args:
        tower: the frozen user tower.
        scan: over the items.
        gain, bias: of the head.
    """

    def __init__(self, tower: UserTower, scan: Scan, gain: float, bias: float) -> None:
        self.tower, self.scan = tower, scan
        self._gain, self._bias = np.float32(gain), np.float32(bias)

    def over(self, scan: Scan) -> Server:
        """The same tower and head over other items, which keep their own bids."""
        return Server(self.tower, scan, float(self._gain), float(self._bias))

    def offer(self, offers: Offers) -> None:
        """These ads may compete at these bids from now on."""
        self.scan.offer(offers.log_bid())

    def encode(self, users: Keys, time: Ints, context: Keys) -> Floats:
        """Unit vectors [R, d]; arguments as of :meth:`serve`."""
        return self.tower.encode(self.tower.inputs(Events(users, time, context)))

    def serve(self, users: Keys, time: Ints, context: Keys, k: int) -> Served:
        """The best ``k`` ads by logit + log bid of the last offer, exactly; ties by the lower ad.

        Args:
            users: int32 [R].
            time: int64 [R], seconds, not before the publication.
            context: int32 [R, C], codes of the context's fields.
            k: how many.
        """
        money, ad = self.scan.search(self.encode(users, time, context) * self._gain, k)
        logit = money - self.scan.log_bid[ad] + self._bias
        logit[ad == PAD] = np.nan
        return Served(ad.astype(np.int32), logit)


def freeze(retriever: TowerRetriever, *, runtime: str = "onnx", fetch: Fetch | None = None) -> Server:
    """A server of what a retriever last published; no ad may compete before an offer says so.

    Args:
        retriever: whose towers return one vector each.
        runtime: ``onnx``, ``numpy``, or ``torch`` for a user tower that is no plain stack of layers.
        fetch: where to read the extras' published rows; a copy of all of them if None.

    Raises:
        ValueError: for towers that return facets, an unknown runtime, or one that cannot run the user tower.
    """
    model = retriever.serving
    if not isinstance(model.score, Cosine):
        raise ValueError(f"score == {type(model.score).__name__}, must be of single vectors to be served by this path")
    if runtime not in (*RUNTIMES, TORCH):
        raise ValueError(f"runtime == {runtime!r}, must be one of {', '.join((*RUNTIMES, TORCH))}")
    rows = _published(retriever) if fetch is None else fetch
    counters = None if retriever.counters is None else retriever.counters.frozen()
    plain = runtime != TORCH
    tower = _as_layers(retriever, counters, rows, runtime) if plain else _as_it_is(retriever, counters, rows)
    _agrees(tower, retriever)
    scan = Scan(retriever.items().numpy())
    scan.offer(np.full(scan.size, -np.inf, dtype=np.float32))
    return Server(tower, scan, float(model.gain()), float(model.bias))


def _agrees(tower: UserTower, retriever: TowerRetriever) -> None:
    """A tower that computes more than its table and layers say would be served wrong in silence."""
    n = min(PROBES, retriever.catalog.users.rows)
    now = 0 if retriever.counters is None else retriever.counters.published_at
    probe = Requests(
        id=np.arange(n),
        user=np.arange(n, dtype=np.int32),
        time=np.full(n, now),
        context=np.zeros((n, len(retriever.catalog.context)), dtype=np.int32),
        arm=np.zeros(n, dtype=np.int8),
    )
    ours, theirs = tower.encode(tower.inputs(Events.of(probe))), retriever.encode_users(probe).numpy()
    off = float(np.abs(ours - theirs).max())
    if not off <= TOLERANCE:
        name = type(retriever.serving.user).__name__
        raise ValueError(f"|u - {name}'s| == {off:.2g}, must be at most {TOLERANCE:g}: serve it by runtime '{TORCH}'")


def _published(retriever: TowerRetriever) -> Fetch | None:
    """The extras' published rows of all users, copied; None where the tower reads none."""
    everyone = torch.arange(retriever.catalog.users.rows)
    slots = [slot for slot in (retriever.extras, retriever.auxiliary) if slot is not None and slot.user_width]
    if not slots:
        return None
    table = torch.cat([slot.published_users(everyone) for slot in slots], dim=1).numpy().copy()
    return lambda users: table.take(users, axis=0)


def _features(fields: Fields, counters: Counters | None, events: Events) -> SideInput:
    if counters is None:
        return fields.user_side(events, np.zeros((events.user.size, 0), dtype=np.float32))
    return fields.user_side(events, counters.user_features(events.user, events.time))


def _as_layers(retriever: TowerRetriever, counters: Counters | None, rows: Fetch | None, runtime: str) -> UserTower:
    """A tower that is a table and a stack of layers."""
    tower, fields = retriever.serving.user, retriever.fields
    embedding = getattr(tower, "embedding", None)
    if not isinstance(embedding, FieldEmbedding) or not isinstance(tower.layers, torch.nn.Sequential):
        raise ValueError(f"runtime == {runtime!r}, must be '{TORCH}' for a {type(tower).__name__}")
    table = embedding.table.detach().numpy().copy()

    def inputs(events: Events) -> Floats:
        x = _features(fields, counters, events)
        assert x.bags is not None
        R, bags = len(x.codes), x.bags.numpy()
        known = np.maximum(np.count_nonzero(bags, axis=2), 1).astype(np.float32)
        pooled = table.take(bags, axis=0).sum(axis=2)[:, : fields.pooled] / known[:, : fields.pooled, None]
        history = pooled.reshape(R, fields.pooled * table.shape[1])
        parts = [table.take(x.codes.numpy(), axis=0).reshape(R, -1), history, x.dense.numpy()]
        if rows is not None:
            parts.append(rows(events.user))
        return np.concatenate(parts, axis=1)

    return UserTower(inputs, RUNTIMES[runtime](layers_of(tower.layers)))


def _as_it_is(retriever: TowerRetriever, counters: Counters | None, rows: Fetch | None) -> UserTower:
    """Any tower, by its own forward: the input goes through unseen."""
    tower, fields = copy.deepcopy(retriever.serving.user), retriever.fields

    def forward(events: Events) -> Floats:
        extras = None if rows is None else torch.from_numpy(rows(events.user))
        with torch.inference_mode():
            u: Floats = tower(_features(fields, counters, events), extras).numpy()
        return u

    return UserTower(forward, lambda u: u)
