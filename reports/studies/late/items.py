"""Facets and vectors to search among: those of trained towers, and as many more as a study wants that are like them.

More than a world has are drawn by a smoothed bootstrap (Silverman & Young, Biometrika 1987): an ad of the trained ones,
all its facets and its log bid together, plus Gaussian noise of their covariance times ``h^2``, both shrunk towards the
mean by ``sqrt(1 + h^2)``, so that mean and covariance stay; then each facet is brought to unit length. ``h`` is
Silverman's for the covariance's effective number of dimensions. So clusters, the likeness of an ad's facets and the tie
between bids and facets are those of training; users are the trained ones.

Letters: N ads, R requests, H user facets, J ad facets, p width of a facet, w numbers of an ad.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from reports.studies.arms import make_retriever, parse
from reports.studies.machine.states import load_arrays
from reports.studies.market.evaluation import sample
from reports.studies.tuning.settings import burn_in_log
from simulator.keyed_random import subseed
from simulator.marketplace import learn_from_log
from simulator.records import Floats
from simulator.scenario import Scenario
from simulator.world import build

LATE, SINGLE = "maxsim", "dssm"
"""Whose facets, and whose single vectors."""
DRAWN = 1 << 16
"""Ads that are drawn at once."""
PAIRS = 20_000
"""Pairs of ads that likeness is a mean over."""


class Side(NamedTuple):
    """Published towers: what is asked, and what is searched.

    Attributes:
        users: float32 [R, H, p], or [R, d] of single vectors.
        items: float32 [N, J, p] or [N, d].
        log_bid: float32 [N].
        gain: of the score in the logit.
    """

    users: Floats
    items: Floats
    log_bid: Floats
    gain: float

    def save(self, path: Path) -> None:
        """As ``.npz``."""
        np.savez(path, users=self.users, items=self.items, log_bid=self.log_bid, gain=np.float64(self.gain))

    @classmethod
    def load(cls, path: Path) -> Side:
        """From ``.npz``."""
        kept = load_arrays(path, path.parent)
        return cls(kept["users"], kept["items"], kept["log_bid"], float(kept["gain"]))


def trained(scenario: Scenario, seed: int, requests: int) -> dict[str, Side]:
    """The towers of both arms after a world's burn-in, asked by ``requests`` requests of the day that follows."""
    world = build(scenario.world, seed, scenario.all_days)
    log = burn_in_log(scenario, world)
    asked = sample(world, scenario.run.burn_in - 1, requests, "late").requests
    sides = {}
    for name in (LATE, SINGLE):
        retriever = make_retriever(parse(name), world.catalog, seed, {}, {})
        for day in range(scenario.run.burn_in):
            learn_from_log(log, retriever, scenario.cascade, day)
        towers: Any = retriever
        sides[name] = Side(
            users=towers.encode_users(asked).numpy(),
            items=towers.items().numpy(),
            log_bid=np.log(world.demand.bid).astype(np.float32),
            gain=float(towers.serving.gain()),
        )
    return sides


def of_size(side: Side, ads: int, seed: int) -> Side:
    """The side with so many ads: the first of the trained ones if there are enough, else ads drawn like them."""
    n = len(side.items)
    if ads <= n:
        return side._replace(items=side.items[:ads], log_bid=side.log_bid[:ads])
    rows = np.concatenate([side.items.reshape(n, -1), side.log_bid[:, None]], axis=1).astype(np.float64)
    mean, covariance = rows.mean(axis=0), np.cov(rows, rowvar=False)
    h = bandwidth(n, effective_dims(covariance))
    values, vectors = np.linalg.eigh(covariance)
    spread = (vectors * np.sqrt(np.maximum(values, 0.0))).T.astype(np.float32)
    draws = np.random.default_rng(subseed(seed, f"late ads {ads}"))
    items, log_bid = np.empty((ads, *side.items.shape[1:]), dtype=np.float32), np.empty(ads, dtype=np.float32)
    for first in range(0, ads, DRAWN):
        some = slice(first, min(first + DRAWN, ads))
        size = some.stop - first
        noise = draws.standard_normal((size, len(mean)), dtype=np.float32) @ spread
        near = (rows[draws.integers(n, size=size)] - mean + h * noise) / np.sqrt(1 + h * h) + mean
        items[some] = near[:, :-1].reshape(size, *side.items.shape[1:])
        log_bid[some] = near[:, -1]
        items[some] /= np.maximum(np.linalg.norm(items[some], axis=-1, keepdims=True), 1e-8)
    return side._replace(items=items, log_bid=log_bid)


def effective_dims(covariance: npt.NDArray[np.float64]) -> float:
    """The participation ratio ``(sum of variances)^2 / sum of squared variances`` over the principal axes."""
    return float(np.trace(covariance) ** 2 / np.square(covariance).sum())


def bandwidth(n: int, dims: float) -> float:
    """Silverman's rule for ``n`` points of ``dims`` dimensions, in units of their spread."""
    return float((4.0 / ((dims + 2.0) * n)) ** (1.0 / (dims + 4.0)))


def structure(items: Floats, log_bid: Floats) -> dict[str, float]:
    """What a search feels of items [N, J, p] or [N, d]: how many directions, how alike they are, how bids spread."""
    n = len(items)
    flat = items[: min(n, PAIRS)].reshape(min(n, PAIRS), -1).astype(np.float64)
    draws = np.random.default_rng(0)
    one, other = draws.integers(n, size=(2, PAIRS))
    facets = items[:, None] if items.ndim == 2 else items
    found = {
        "effective_dims": effective_dims(np.cov(flat, rowvar=False)),
        "cosine_of_two_ads": float((facets[one] * facets[other]).sum(axis=2).mean()),
        "sd_of_log_bid": float(log_bid.std()),
    }
    if facets.shape[1] > 1:
        j, k = 0, np.arange(1, facets.shape[1])
        own = np.einsum("np,nkp->nk", facets[one, j], facets[one][:, k])
        found["cosine_of_an_ad_s_facets"] = float(own.mean())
    return found


def eligible_bids(log_bid: Floats, share: float, seed: int) -> torch.Tensor:
    """Log bids of which only a share may compete, drawn once: float32 [N], -inf elsewhere."""
    draws = np.random.default_rng(subseed(seed, f"late eligible {log_bid.size}"))
    return torch.from_numpy(np.where(draws.random(log_bid.size) < share, log_bid, -np.inf).astype(np.float32))
