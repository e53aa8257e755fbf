"""Requests + eligible ads -> Candidates: exact top K, exploration, legality, and the reference retrievers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from simulator.keyed_random import gumbels, integers
from simulator.records import PAD, Candidates, Catalog, Floats, Impressions, Keys, Offers, Requests


def top_k(score: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.intp]:
    """Columns of the ``k`` largest scores of each row of [R, A], best first -> [R, min(k, A)]."""
    k = min(k, score.shape[1])
    rows = np.arange(score.shape[0])[:, None]
    if k < score.shape[1]:
        columns = np.argpartition(-score, k - 1, axis=1)[:, :k]
    else:
        columns = np.broadcast_to(np.arange(k), score.shape)
    order = np.argsort(-score[rows, columns], axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def candidates_from(money: Floats, logit: Floats, k: int) -> Candidates:
    """Candidates by an expected-money score.

    Args:
        money: float32 [R, A], logit + log bid; -inf where the ad may not compete.
        logit: float32 [R, A], the estimate that is logged.
        k: how many.
    """
    top = top_k(money, k)
    rows = np.arange(money.shape[0])[:, None]
    legal = np.isfinite(money[rows, top])
    return Candidates(
        ad=np.where(legal, top, PAD).astype(np.int32),
        logit=np.where(legal, logit[rows, top], np.nan).astype(np.float32),
        explored=np.zeros(top.shape, dtype=bool),
    )


def explore(
    seed: int, requests: Requests, candidates: Candidates, offers: Offers, share: float, score: Callable[[Keys], Floats]
) -> Candidates:
    """Hand the last ``share`` of the candidate places to keyed, uniformly drawn eligible ads, the same for every arm.

    A draw that is already among the candidates leaves its place to no one (a pad).

    Args:
        seed: the world's seed.
        requests: R requests.
        candidates: [R, K], best first.
        offers: who may compete.
        share: share of the K places, 0 to 1.
        score: ads [R, n] -> the retriever's logit of each, so that explored ads are logged with one too.
    """
    K = candidates.ad.shape[1]
    n = round(share * K)
    eligible = np.flatnonzero(offers.eligible).astype(np.int32)
    if n == 0 or eligible.size == 0:
        return candidates
    drawn = eligible[integers(seed, "explore", eligible.size, requests.id[:, None], np.arange(n))]
    kept = candidates.ad[:, : K - n]
    # Clashes are few: to list them costs less than `any` over short rows.
    clash = np.zeros(drawn.shape, dtype=bool)
    earlier = np.tri(n, k=-1, dtype=bool)
    clash.reshape(-1)[np.flatnonzero((drawn[:, :, None] == drawn[:, None, :]) & earlier) // n] = True
    if n < K:
        clash.reshape(-1)[np.flatnonzero(drawn[:, :, None] == kept[:, None, :]) // (K - n)] = True
    ad = np.concatenate([kept, np.where(clash, PAD, drawn)], axis=1)
    logit = np.concatenate([candidates.logit[:, : K - n], np.where(clash, np.nan, score(drawn))], axis=1)
    explored = np.concatenate([np.zeros(kept.shape, dtype=bool), ~clash], axis=1)
    return Candidates(ad=ad, logit=logit.astype(np.float32), explored=explored)


def check_legal(candidates: Candidates, offers: Offers, requests: Requests, k: int) -> None:
    """Refuse candidates that break the contract.

    Raises:
        ValueError: wrong shape, an ad that may not compete, a repeated ad; names the first offending request.
    """
    ad, rows = candidates.ad, len(requests)
    if ad.ndim != 2 or ad.shape[0] != rows or ad.shape[1] > k or candidates.logit.shape != ad.shape:
        raise ValueError(f"candidates.ad.shape == {ad.shape}, must be ({rows}, <= {k}) with logit of the same shape")
    if ad.size == 0:
        return
    if ad.min() < PAD or ad.max() >= offers.eligible.size:
        raise ValueError(f"candidates.ad == {ad.min()}..{ad.max()}, must be -1..{offers.eligible.size - 1}")
    legal = offers.eligible.take(ad) | (ad == PAD)
    if not legal.all():
        r, c = np.argwhere(~legal)[0]
        raise ValueError(f"candidates.ad == {ad[r, c]} in request {requests.id[r]}, must be eligible")
    ordered = np.sort(ad, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PAD)
    if repeated.any():
        r, c = np.argwhere(repeated)[0]
        raise ValueError(f"candidates.ad == {ordered[r, c]} twice in request {requests.id[r]}, must be once")


class RandomRetriever:
    """Uniformly random eligible ads, by key."""

    def __init__(self, catalog: Catalog, seed: int) -> None:
        self._seed = seed
        # A keyed permutation of all ads; that of the eligible ones is what remains of it.
        self._order = np.argsort(integers(seed, "shuffle", 1 << 40, np.arange(catalog.ads.rows)), kind="stable")

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """K distinct eligible ads: a keyed start and stride through a keyed permutation of the eligible ones."""
        order = self._order[offers.eligible[self._order]].astype(np.int32)
        n = order.size
        # A keyed start and stride through a keyed permutation costs K per request, not A. A stride coprime to n never
        # returns before n steps; strides that are not are walked by 1.
        start = integers(self._seed, "random start", max(n, 1), requests.id)
        stride = integers(self._seed, "random stride", max(n - 1, 1), requests.id) + 1
        stride = np.where(np.gcd(stride, n) == 1, stride, 1)
        steps = np.arange(min(k, n))
        ad = np.full((len(requests), k), PAD, dtype=np.int32)
        if n:
            walk = stride[:, None] * steps
            walk += start[:, None]
            # walk % n; numpy divides by one number much faster than it takes a remainder.
            walk -= walk // n * n
            ad[:, : steps.size] = order.take(walk)
        nothing = np.full(ad.shape, np.nan, dtype=np.float32)
        return Candidates(ad=ad, logit=nothing, explored=np.zeros(ad.shape, dtype=bool))

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """It has no opinion: NaN."""
        return np.full(ads.shape, np.nan, dtype=np.float32)

    def update(self, impressions: Impressions) -> None:
        """Nothing to learn."""

    def sync(self, now: int) -> None:
        """Nothing to publish."""


class PopularityRetriever:
    """Smoothed click rate x bid, the same for everyone; with ``temperature`` > 0 a keyed softmax sample of it.

    Args:
        catalog: what may be known.
        seed: keys the exploration noise.
        prior: impressions at the base rate that every ad starts with.
        temperature: 0 is the plain order; t adds t x Gumbel noise to log(rate x bid), an exploring logging policy.
        pool: with noise, the number of keyed proposals per request that compete (all ads if None).

    Raises:
        ValueError: for a number out of its range.
    """

    def __init__(
        self, catalog: Catalog, seed: int, *, prior: float = 20.0, temperature: float = 0.0, pool: int | None = None
    ) -> None:
        if not prior > 0 or not temperature >= 0 or (pool is not None and pool < 1):
            got = f"prior, temperature, pool == {prior}, {temperature}, {pool}"
            raise ValueError(f"{got}, must be above 0, at least 0 and at least 1 (or None)")
        self._seed = seed
        self._temperature = temperature
        self._pool = pool
        self._clicks = np.full(catalog.ads.rows, prior * catalog.base_ctr)
        self._shown = np.full(catalog.ads.rows, prior)
        self._log_odds = self._rate()

    def _rate(self) -> Floats:
        rate = self._clicks / self._shown
        return np.asarray(np.log(rate / (1 - rate)), dtype=np.float32)

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` by smoothed log odds + log bid, with noise if asked for."""
        money = self._log_odds + offers.log_bid()
        rows = (len(requests), money.size)
        if not self._temperature:
            found = candidates_from(money[None, :], self._log_odds[None, :], k)
            shape = (rows[0], found.ad.shape[1])
            return Candidates(
                ad=np.broadcast_to(found.ad, shape),
                logit=np.broadcast_to(found.logit, shape),
                explored=np.zeros(shape, dtype=bool),
            )
        eligible = np.flatnonzero(offers.eligible)
        if self._pool is None or self._pool >= eligible.size:
            noise = gumbels(self._seed, "popularity", requests.id[:, None], np.arange(money.size))
            noisy = (money + self._temperature * noise).astype(np.float32)
            return candidates_from(noisy, np.broadcast_to(self._log_odds, rows), k)
        # A window of a keyed permutation: distinct proposals at the cost of the pool, not of the catalogue.
        shuffle = integers(self._seed, "pool order", 1 << 40, int(requests.time[0]), eligible)
        order = eligible[np.argsort(shuffle, kind="stable")]
        start = integers(self._seed, "pool start", eligible.size, requests.id)
        pool = order[(start[:, None] + np.arange(self._pool)) % eligible.size]
        noisy = money[pool] + self._temperature * gumbels(self._seed, "popularity", requests.id[:, None], pool)
        top = np.take_along_axis(pool, top_k(noisy, k), axis=1)
        return Candidates(ad=top.astype(np.int32), logit=self._log_odds[top], explored=np.zeros(top.shape, dtype=bool))

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """Published log odds of the ads, the same for every user."""
        return self._log_odds[ads]

    def update(self, impressions: Impressions) -> None:
        """Count matured impressions and clicks."""
        self._shown += np.bincount(impressions.ad, minlength=self._shown.size)
        self._clicks += np.bincount(impressions.ad, weights=impressions.label, minlength=self._shown.size)

    def sync(self, now: int) -> None:
        """Publish the rates."""
        self._log_odds = self._rate()


class OracleRetriever:
    """Orders by the true money. A study builds it with the world in hand; it is no plug-in.

    Args:
        true_logit: Requests -> float32 [R, A], true logit of P(click | examined), fatigue included.
    """

    def __init__(self, true_logit: Callable[[Requests], Floats]) -> None:
        self._true_logit = true_logit

    def retrieve(self, requests: Requests, offers: Offers, k: int) -> Candidates:
        """Top ``k`` by log true_ctr + log bid, exactly."""
        logit = self._true_logit(requests)
        log_ctr = -np.logaddexp(0.0, -logit)
        return candidates_from((log_ctr + offers.log_bid()).astype(np.float32), logit, k)

    def score(self, requests: Requests, ads: Keys) -> Floats:
        """The true logit of the given ads."""
        return np.take_along_axis(self._true_logit(requests), np.maximum(ads, 0).astype(np.int64), axis=1)

    def update(self, impressions: Impressions) -> None:
        """Nothing to learn: it knows."""

    def sync(self, now: int) -> None:
        """Nothing to publish."""


def random_retriever(catalog: Catalog, seed: int) -> RandomRetriever:
    """Entry point ``random``."""
    return RandomRetriever(catalog, seed)


def popularity_retriever(
    catalog: Catalog, seed: int, *, prior: float = 20.0, temperature: float = 0.0, pool: int | None = None
) -> PopularityRetriever:
    """Entry point ``popularity``."""
    return PopularityRetriever(catalog, seed, prior=prior, temperature=temperature, pool=pool)
