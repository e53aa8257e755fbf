"""What models may see of users and ads: codes, noisy projections, the organic history."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from simulator.keyed_random import gumbels, integers, normals, uniforms
from simulator.records import DAY, PAD, Catalog, History, Keys, Table
from simulator.world.config import (
    AGES,
    DENSE,
    DEVICES,
    HISTORY_POOL,
    HOURS,
    LATENT,
    PLACEMENTS,
    REGIONS,
    WorldConfig,
)
from simulator.world.demand import Demand, campaigns_of, eligible_at
from simulator.world.truth import Truth


def projection(seed: int, purpose: str) -> npt.NDArray[np.float64]:
    """float64 [k, DENSE], what the dense features of ``purpose`` show of a latent vector."""
    plane = normals(seed, f"{purpose} projection", np.arange(LATENT)[:, None], np.arange(DENSE))
    return np.asarray(plane / np.sqrt(LATENT))


def _projected(c: WorldConfig, seed: int, purpose: str, latent: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Unit-variance random projections of a latent matrix [n, k] plus noise -> [n, DENSE]."""
    n = np.arange(latent.shape[0])[:, None]
    return np.asarray(
        latent @ projection(seed, purpose) + c.feature_noise * normals(seed, f"{purpose} noise", n, np.arange(DENSE))
    )


def _with_missing(c: WorldConfig, seed: int, purpose: str, codes: npt.NDArray[Any], size: int) -> Keys:
    """Codes with the share ``missing`` replaced by the extra code ``size`` (unknown)."""
    gone = uniforms(seed, f"missing {purpose}", np.arange(codes.size)) < c.missing
    return np.where(gone, size, codes).astype(np.int32)


def catalog_of(c: WorldConfig, seed: int, days: int, truth: Truth, demand: Demand) -> Catalog:
    """The public side of a seed."""
    U, A = np.arange(c.users), np.arange(c.ads)
    honest = uniforms(seed, "segment is honest", U) < c.segment_accuracy
    reported = np.where(honest, truth.segment, integers(seed, "segment reported", c.segments, U))
    segment = _with_missing(c, seed, "segment", reported, c.segments)
    # Age tells a little about the price sensitivity, region and device tell nothing: real profiles have both kinds.
    noisy = 0.5 * normals(seed, "age signal", U) + 0.5 * normals(seed, "sensitivity", U)
    age = np.clip(np.floor((noisy + 1.5) / 3 * AGES), 0, AGES - 1)
    price = truth.price + 0.3 * normals(seed, "price noise", A)
    band = np.clip(np.floor((price + 2) / 4 * 10), 0, 9)
    users = Table(
        codes={
            "user": U.astype(np.int32),
            "segment": segment,
            "age": _with_missing(c, seed, "age", age, AGES),
            "region": _with_missing(c, seed, "region", integers(seed, "region", REGIONS, U), REGIONS),
            "device": integers(seed, "device", DEVICES, U).astype(np.int32),
        },
        sizes={"user": c.users, "segment": c.segments + 1, "age": AGES + 1, "region": REGIONS + 1, "device": DEVICES},
        dense=_projected(c, seed, "user dense", truth.theta[0]).astype(np.float32),
    )
    ads = Table(
        codes={
            "ad": A.astype(np.int32),
            "advertiser": demand.advertiser,
            "campaign": demand.campaign,
            "category": truth.category,
            "price_band": band.astype(np.int32),
        },
        sizes={
            "ad": c.ads,
            "advertiser": c.advertisers,
            "campaign": campaigns_of(c),
            "category": c.categories,
            "price_band": 10,
        },
        dense=_projected(c, seed, "ad dense", truth.phi).astype(np.float32),
    )
    return Catalog(
        users=users,
        ads=ads,
        context={"hour": HOURS, "placement": PLACEMENTS},
        category=truth.category,
        categories=c.categories,
        segment=segment,
        segments=c.segments + 1,
        price=price.astype(np.float32),
        history=_history(c, seed, days, truth, demand),
        base_ctr=float(expit(c.base_logit)),
    )


def _history(c: WorldConfig, seed: int, days: int, truth: Truth, demand: Demand) -> History:
    """Organic engagements: at most one a day, the truly most attractive (softmax) of a keyed pool of live items."""
    length = c.history_length
    items = np.full((days, c.users, length), PAD, dtype=np.int32)
    now = np.full((c.users, length), PAD, dtype=np.int32)
    U = np.arange(c.users)
    before = round(c.history_days)
    for day in range(-before, days):
        if day >= 0:
            items[day] = now
        engaged = uniforms(seed, "organic engages", day + before, U) < c.history_per_day
        # Before the run those are here who do not arrive during it.
        engaged &= truth.arrival < max((day + 1) * DAY, 1)
        who = np.flatnonzero(engaged).astype(np.int32)
        pool = integers(seed, "organic pool", c.ads, day + before, who[:, None], np.arange(HISTORY_POOL))
        noon = np.full(who.size, max(day, 0) * DAY + DAY // 2, dtype=np.int64)
        taste = truth.pairs(who, pool.astype(np.int32), noon) / c.history_temperature
        live = eligible_at(demand, max(day * DAY + DAY // 2, 0))
        taste = np.where(live[pool], taste, -np.inf)
        taste = taste + gumbels(seed, "organic choice", day + before, who[:, None], np.arange(HISTORY_POOL))
        chosen = pool[np.arange(who.size), taste.argmax(axis=1)]
        now[who, :-1] = now[who, 1:]
        now[who, -1] = chosen
    return History(items=items)
