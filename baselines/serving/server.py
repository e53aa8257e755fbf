"""The path of a request: features -> state fetch -> user tower -> search -> top k, over what one sync published.

``freeze`` copies all of it: a later sync does not reach the server, whoever serves swaps servers. Only bids come and go
in between. Nothing here knows what the extras are: the published rows that the user tower reads are copied too, or
fetched from wherever ``fetch`` finds them, a vector store for instance.

Letters: R requests, w width of the user tower's input, d of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from baselines.search.scan import Scan
from baselines.serving.layers import layers_of
from baselines.serving.runtimes import RUNTIMES, Encode
from baselines.training.features import Events, FieldEmbedding
from baselines.training.publication import Publication
from baselines.training.retriever import TowerRetriever
from baselines.training.score import Cosine
from baselines.training.slots import joined
from simulator.records import PAD, Catalog, Floats, Ints, Keys, Offers, Requests

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
    published = retriever.published
    model = published.model
    if not isinstance(model.score, Cosine):
        raise ValueError(f"score == {type(model.score).__name__}, must be of single vectors to be served by this path")
    if runtime not in (*RUNTIMES, TORCH):
        raise ValueError(f"runtime == {runtime!r}, must be one of {', '.join((*RUNTIMES, TORCH))}")
    rows = _all_rows(published, retriever.catalog) if fetch is None else fetch
    tower = _as_layers(published, rows, runtime) if runtime != TORCH else _as_it_is(published, rows)
    _agrees(tower, published, retriever.catalog)
    scan = Scan(published.items.numpy())
    scan.offer(np.full(scan.size, -np.inf, dtype=np.float32))
    return Server(tower, scan, float(model.gain()), float(model.bias))


def _agrees(tower: UserTower, published: Publication, catalog: Catalog) -> None:
    """A tower that computes more than its table and layers say would be served wrong in silence."""
    n = min(PROBES, catalog.users.rows)
    probe = Requests(
        id=np.arange(n),
        user=np.arange(n, dtype=np.int32),
        time=np.full(n, published.at),
        context=np.zeros((n, len(catalog.context)), dtype=np.int32),
        arm=np.zeros(n, dtype=np.int8),
    )
    ours, theirs = tower.encode(tower.inputs(Events.of(probe))), published.encode_users(probe).numpy()
    off = float(np.abs(ours - theirs).max())
    if not off <= TOLERANCE:
        name = type(published.model.user).__name__
        raise ValueError(f"|u - {name}'s| == {off:.2g}, must be at most {TOLERANCE:g}: serve it by runtime '{TORCH}'")


def _all_rows(published: Publication, catalog: Catalog) -> Fetch | None:
    """The slots' published rows of all users, copied; None where the tower reads none."""
    everyone = torch.arange(catalog.users.rows)
    extras = joined([slot.published_users(everyone) for slot in published.slots if slot.user_width])
    if extras is None:
        return None
    table = extras.numpy().copy()
    return lambda users: table.take(users, axis=0)


def _as_layers(published: Publication, rows: Fetch | None, runtime: str) -> UserTower:
    """A tower that is a table and a stack of layers."""
    tower, features = published.model.user, published.inputs.frozen()
    pooled_fields = features.fields.pooled
    embedding = getattr(tower, "embedding", None)
    if not isinstance(embedding, FieldEmbedding) or not isinstance(tower.layers, torch.nn.Sequential):
        raise ValueError(f"runtime == {runtime!r}, must be '{TORCH}' for a {type(tower).__name__}")
    table = embedding.table.detach().numpy().copy()

    def inputs(events: Events) -> Floats:
        x = features.users(events)
        assert x.bags is not None
        R, bags = len(x.codes), x.bags.numpy()
        known = np.maximum(np.count_nonzero(bags, axis=2), 1).astype(np.float32)
        pooled = table.take(bags, axis=0).sum(axis=2)[:, :pooled_fields] / known[:, :pooled_fields, None]
        history = pooled.reshape(R, pooled_fields * table.shape[1])
        parts = [table.take(x.codes.numpy(), axis=0).reshape(R, -1), history, x.dense.numpy()]
        if rows is not None:
            parts.append(rows(events.user))
        return np.concatenate(parts, axis=1)

    return UserTower(inputs, RUNTIMES[runtime](layers_of(tower.layers)))


def _as_it_is(published: Publication, rows: Fetch | None) -> UserTower:
    """Any tower, by its own forward: the input goes through unseen."""
    tower, features = published.model.user, published.inputs.frozen()

    def forward(events: Events) -> Floats:
        extras = None if rows is None else torch.from_numpy(rows(events.user))
        with torch.inference_mode():
            u: Floats = tower(features.users(events), extras).numpy()
        return u

    return UserTower(forward, lambda u: u)
