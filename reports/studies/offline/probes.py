"""What is read off a model whose state is frozen before the test days: scores, robustness, order of candidates.

Every look leaves the model as it was, so the replay goes on as if nobody had looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reports.numbers.agreement import kendall_tau_b
from reports.numbers.discrimination import auc
from reports.studies.offline.replay import requests_of
from simulator.keyed_random import subseed
from simulator.plugins import Ranker, Retriever
from simulator.records import Flags, Floats, Impressions, Keys

BLOCK = 4096
"""Rows that are scored at a time."""
PAIRS = 65_536
"""Pairs that a ranker scores at a time."""
RANDOM, BEST = 50, 50
"""Candidates of a request of the panel: drawn at random, and the ranker's best."""
SCALES = ("absolute", "absolute, inputs only", "relative")
"""Noise of std x, on everything or all but the extra vectors; noise of x times each input's own std."""


class Panel(NamedTuple):
    """Requests with one fixed set of candidates each, and what the ranker thinks of them.

    Attributes:
        row: int64 [R], rows of the log.
        ads: int32 [R, C], distinct in a row; -1 pads.
        logit: float32 [R, C], the ranker's; NaN at pads.
    """

    row: npt.NDArray[np.int64]
    ads: Keys
    logit: Floats


def frozen_scores(retriever: Retriever, rows: Impressions) -> Floats:
    """Logits of rows [n] by the state that is published now -> float32 [n]."""
    return np.concatenate(
        [retriever.score(requests_of(part), part.ad[:, None])[:, 0] for part in _blocks(rows)], dtype=np.float32
    )


def frozen_logits(ranker: Ranker, rows: Impressions) -> Floats:
    """A ranker's logits of rows [n] by the state that is published now -> float32 [n]."""
    return np.concatenate(
        [logit_of(ranker.rank(requests_of(part), part.ad[:, None]).pctr[:, 0]) for part in _blocks(rows)]
    )


def logit_of(p: npt.NDArray[Any]) -> Floats:
    """Log-odds of probabilities, clipped at 1e-7 -> float32."""
    clipped = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float32)


def draw_panel(ranker: Ranker, log: Impressions, test: Flags, ads: int, size: int, seed: int) -> Panel:
    """Candidates of ``size`` requests of the test days: the ranker's best of all ads, and random ones.

    Args:
        ranker: scores every ad for every request of the panel.
        log: [n].
        test: bool [n].
        ads: number of ads.
        size: requests; fewer if the test has fewer.
        seed: of requests and random candidates, not of the models.
    """
    draws = np.random.default_rng(subseed(seed, "panel"))
    where = np.flatnonzero(test)
    row = np.sort(draws.choice(where, min(size, where.size), replace=False))
    random = np.stack([draws.choice(ads, min(RANDOM, ads), replace=False) for _ in row])
    every = np.arange(ads, dtype=np.int32)
    step = max(1, PAIRS // ads)
    scores = np.concatenate(
        [
            ranker.rank(requests_of(log[part]), np.broadcast_to(every, (part.size, ads))).pctr
            for part in np.split(row, range(step, row.size, step))
        ]
    )
    best = np.argsort(-scores, axis=1, kind="stable")[:, : min(BEST, ads)]
    both = np.sort(np.concatenate([best, random], axis=1), axis=1)
    repeated = np.concatenate([np.zeros((row.size, 1), dtype=bool), both[:, 1:] == both[:, :-1]], axis=1)
    chosen = np.where(repeated, -1, both).astype(np.int32)
    logit = np.where(repeated, np.nan, logit_of(np.take_along_axis(scores, both, axis=1))).astype(np.float32)
    return Panel(row, chosen, logit)


def tau(retriever: Retriever, log: Impressions, panel: Panel) -> float:
    """Mean Kendall's tau-b between the retriever's and the ranker's order of the panel's candidates."""
    mine = retriever.score(requests_of(log[panel.row]), np.maximum(panel.ads, 0))
    found = kendall_tau_b(np.where(panel.ads >= 0, mine, np.nan), panel.logit)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def noise_curve(
    retriever: Any, rows: Impressions, levels: tuple[float, ...], scales: tuple[str, ...], seed: int
) -> dict[str, list[float]]:
    """AUC of rows under Gaussian noise on the towers' concatenated input, by scale and level (docs/formulas.md 13).

    Args:
        retriever: with ``disturbed`` and ``extra_widths``, as the two-tower trainer has them.
        rows: [n].
        levels: standard deviations.
        scales: of :data:`SCALES`.
        seed: of the noise; a level gets the same draws at every scale and in every arm of equal widths.

    Returns:
        scale -> AUC per level.
    """
    found: dict[str, list[float]] = {scale: [] for scale in scales}
    for scale in scales:
        for level in levels:
            with noisy(retriever, level, scale, seed):
                found[scale].append(float(auc(frozen_scores(retriever, rows), rows.label)))
    return found


@contextmanager
def noisy(retriever: Any, level: float, scale: str, seed: int) -> Iterator[None]:
    """In this block the towers' inputs carry noise.

    Raises:
        ValueError: for a scale that is none.
    """
    if scale not in SCALES:
        raise ValueError(f"scale == '{scale}', must be one of {', '.join(SCALES)}")
    import torch

    def change(side: str, extras: int) -> Any:
        generator = torch.Generator().manual_seed(subseed(seed, f"noise {side}"))

        def add(x: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(x.shape, generator=generator)
            if scale == "relative":
                noise *= x.std(dim=0, correction=0)
            if scale == "absolute, inputs only" and extras:
                noise[:, x.shape[1] - extras :] = 0.0
            return x + level * noise

        return add

    user, item = retriever.extra_widths()
    with retriever.disturbed(change("user", user), change("item", item)):
        yield


def _blocks(rows: Impressions) -> Iterator[Impressions]:
    for first in range(0, len(rows), BLOCK):
        yield rows[first : first + BLOCK]
