"""The truth as the best informed model could know it: what no honest arm goes beyond, and a cheat does.

A model sees the catalogue, whose dense features are noisy, and a log, whose clicks are coins. Let it know all that
users and ads share (segments, categories, hours, drift) exactly; then what is left to guess is each one's own: interest
``theta_u`` beyond the segment's, price sensitivity, content ``phi_a`` beyond the category's, level ``q_a``. Each is
normal with a known variance v, so if what was seen holds the information i of it (the inverse variance of the best
measurement), its Bayes estimate is

    w x truth + noise of variance v w (1 - w),    w = v i / (1 + v i)

Information adds up: of a feature 1 / noise^2 along what it shows; of a shown row gamma^2 p (1 - p), a logistic model's
(p the log's click rate); of an item of organic history gamma^2 / temperature^2, a softmax's. All of this is generous to
the model: it need not learn what is shared, nothing that it saw is out of date, and every taste is measured as if all
others were known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.keyed_random import normals
from simulator.records import PAD, Impressions
from simulator.world import World, WorldConfig
from simulator.world.catalog import projection
from simulator.world.config import LATENT
from simulator.world.truth import (
    OWN_CONTENT,
    OWN_INTEREST,
    Truth,
    content_of_categories,
    interest_of_segments,
    sensitivity_sd,
)

Array = npt.NDArray[np.float64]
LEAST_NOISE = 1e-6
"""Features without noise hold much information, not infinite."""


def informed(c: WorldConfig, world: World, log: Impressions | None = None) -> Truth:
    """The truth with each user's and each ad's own share blurred.

    Args:
        c: of the world.
        world: whose truth.
        log: rows that a model could learn from; None for the catalogue alone.
    """
    truth, seed = world.truth, world.seed
    of_users, of_ads = seen(c, world, log)
    segment, category = (of[ids].astype(np.float32) for of, ids in _shared(c, seed, truth))
    theta = _vectors(c, seed, "user dense", truth.theta - segment, OWN_INTEREST, truth.gamma**2 * of_users)
    phi = _vectors(c, seed, "ad dense", truth.phi - category, OWN_CONTENT, truth.gamma**2 * of_ads)
    sd = sensitivity_sd(c)
    # Ages are a measurement whose noise has the sensitivity's own variance.
    sensitivity = _scalars(seed, "sensitivity", truth.sensitivity, sd**2, of_users + 1 / max(sd, LEAST_NOISE) ** 2)
    level = _scalars(seed, "level", truth.ad_level, c.quality_sd**2, of_ads)
    return replace(
        truth,
        theta=(segment + theta).astype(np.float32),
        phi=(category + phi).astype(np.float32),
        sensitivity=sensitivity.astype(np.float32),
        ad_level=level.astype(np.float32),
    )


def seen(c: WorldConfig, world: World, log: Impressions | None) -> tuple[Array, Array]:
    """Information, on the logit scale, that log and history hold of each user [U] and each ad [A]."""
    U, A = world.catalog.users.rows, world.catalog.ads.rows
    users, ads = (count / c.history_temperature**2 for count in _engagements(world.catalog.history.items, A))
    if log is not None and len(log):
        p = log.label.mean()
        users = users + p * (1 - p) * np.bincount(log.user, minlength=U)
        ads = ads + p * (1 - p) * np.bincount(log.ad[log.ad != PAD], minlength=A)
    return users, ads


def _engagements(items: npt.NDArray[np.int32], n_ads: int) -> tuple[Array, Array]:
    """Organic engagements of each user and with each ad: those before the run, and the newest of each later day."""
    fresh = (items[1:] != items[:-1]).any(axis=2)
    ads = np.concatenate([items[0].ravel(), items[1:, :, -1][fresh]])
    users = (items[0] != PAD).sum(axis=1) + fresh.sum(axis=0)
    return users.astype(np.float64), np.bincount(ads[ads != PAD], minlength=n_ads).astype(np.float64)


def _shared(c: WorldConfig, seed: int, truth: Truth) -> tuple[tuple[Array, Any], tuple[Array, Any]]:
    return (interest_of_segments(c, seed), truth.segment), (content_of_categories(c, seed), truth.category)


def _vectors(
    c: WorldConfig, seed: int, purpose: str, own: npt.NDArray[Any], variance: float, information: Array
) -> Array:
    """Estimates of latent vectors [..., n, k], of which features show some directions and the log shows all."""
    plane = projection(seed, purpose)
    shown, directions = np.linalg.eigh(plane @ plane.T)
    i = information[:, None] + shown.clip(0) / max(c.feature_noise, LEAST_NOISE) ** 2
    noise = normals(seed, f"informed, {purpose}", np.arange(information.size)[:, None], np.arange(LATENT))
    return np.asarray(_estimate(own @ directions, variance, i, noise) @ directions.T)


def _scalars(seed: int, purpose: str, own: npt.NDArray[Any], variance: float, information: Array) -> Array:
    return _estimate(own, variance, information, normals(seed, f"informed, {purpose}", np.arange(own.size)))


def _estimate(own: npt.NDArray[Any], variance: float, information: Array, noise: Array) -> Array:
    """Bayes estimates of normal quantities around 0."""
    w = variance * information / (1 + variance * information)
    return np.asarray(w * own + np.sqrt(variance * w * (1 - w)) * noise)
