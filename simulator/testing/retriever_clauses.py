"""Clauses of the contract that are a retriever's own."""

from __future__ import annotations

import numpy as np

from simulator.records import PAD, Floats, take
from simulator.testing.bench import Bench
from simulator.testing.stage import K


def shapes(bench: Bench) -> str:
    """Forms for narrow, wide and single requests."""
    plugin = bench.trained()
    A = bench.stage.world.catalog.ads.rows
    for k in (1, K, A, A + 5):
        plugin.retrieve(plugin.probe(), bench.stage.offers, k)
    one = take(plugin.probe(), slice(0, 1))
    plugin.retrieve(one, bench.stage.offers, K)
    plugin.score(one, np.zeros((1, 1), dtype=np.int32))
    return ""


def legality(bench: Bench) -> str:
    """Eligible ads only, none twice, before and after learning, however many may compete."""
    A = bench.stage.world.catalog.ads.rows
    for plugin in (bench.make(), bench.trained()):
        for step in (1, 2, 3):
            plugin.legal(bench.stage.only(range(0, A, step)))
    return ""


def pads(bench: Bench) -> str:
    """Pads come last, and a pad may be scored (exploration leaves some) without changing the others' scores."""
    plugin = bench.trained()
    ad = plugin.legal(bench.stage.only(range(5))).ad
    early = (ad[:, :-1] == PAD) & (ad[:, 1:] != PAD)
    if early.any():
        plugin.broken(f"candidates.ad == {ad[early.any(axis=1)][0].tolist()}, must have its pads last")
    ads = plugin.everything()
    padded = np.where(np.arange(ads.shape[1]) % 3 == 0, np.int32(PAD), ads)
    full, some = plugin.score(plugin.probe(), ads), plugin.score(plugin.probe(), padded)
    if not np.allclose(full[padded != PAD], some[padded != PAD], rtol=1e-4, atol=1e-5, equal_nan=True):
        plugin.broken("pads among the ads change the scores of the others")
    return ""


def full(bench: Bench) -> str:
    """As many candidates as are asked for, wherever as many ads may compete."""
    plugin = bench.trained()
    A = bench.stage.world.catalog.ads.rows
    for step, k in ((1, 1), (1, K), (2, K), (3, K), (1, A)):
        eligible = len(range(0, A, step))
        n = (plugin.legal(bench.stage.only(range(0, A, step)), k).ad != PAD).sum(axis=1)
        few = n < min(k, eligible)
        if few.any():
            plugin.broken(
                f"candidates.ad has {n.min()} ads in the worst of {few.sum()} requests, must have {min(k, eligible)} "
                f"when K == {k} and {eligible} may compete"
            )
    return ""


def few_eligible(bench: Bench) -> str:
    """With K above the number of eligible ads each request gets all of them."""
    plugin = bench.trained()
    for few in ([17], [3, 17, 41]):
        ad = plugin.legal(bench.stage.only(few)).ad
        short = (ad != PAD).sum(axis=1) < len(few)
        if short.any():
            plugin.broken(f"candidates.ad == {ad[short][0].tolist()}, must hold all eligible ads {few} when K == {K}")
    return ""


def none_eligible(bench: Bench) -> str:
    """A tick in which no ad may compete is served all the same."""
    plugin = bench.trained()
    plugin.legal(bench.stage.only([]))
    return ""


def scores(bench: Bench) -> str:
    """Finite logits, or none at all; those of ``retrieve`` are those of ``score``."""
    seen: list[tuple[str, Floats]] = []
    for plugin in (bench.make(), bench.trained()):
        score = plugin.score(plugin.probe(), plugin.everything())
        found = plugin.legal(bench.stage.only(range(0, score.shape[1], 2)))
        real = found.ad != PAD
        seen += [("score", score), ("candidates.logit", found.logit[real])]
        if all(np.isnan(logit).all() for _, logit in seen):
            continue
        for what, logit in seen:
            bad = int((~np.isfinite(logit)).sum())
            if bad:
                plugin.broken(f"{what} has {bad} of {logit.size} values not finite, must be all finite or always NaN")
        again = plugin.score(plugin.probe(), found.ad)[real]
        if not np.allclose(found.logit[real], again, rtol=1e-3, atol=1e-3, equal_nan=True):
            worst = float(np.abs(found.logit[real] - again).max())
            plugin.broken(f"candidates.logit and score differ by up to {worst:.3g} for the same ads, must agree")
    return "no opinion: all scores are NaN" if np.isnan(seen[0][1]).all() else ""


OWN = {
    "shapes": shapes,
    "legality": legality,
    "pads": pads,
    "full": full,
    "few eligible": few_eligible,
    "none eligible": none_eligible,
    "scores": scores,
}
