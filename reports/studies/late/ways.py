"""The ways to candidates that the study ``late`` compares, and how one size of catalogue is measured.

A way is one index; its settings ask that index for more or less. All settings of a size are built first and then asked
in turn, request by request, in alternating order, so that the machine's moods hit all of them alike.

The clock is the processor's time of this process, which has one thread: on a machine that does nothing else it is the
time that a request takes, and on one that does it leaves out the waiting. The wall clock is kept beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.late.facet_mips import FacetMips
from baselines.late.muvera import FdeConfig, Muvera
from baselines.late.scan import ExactScan, Query
from baselines.search.finder import VectorFinder
from baselines.search.top import top_by_id
from reports.numbers.quantiles import quantile_ci
from reports.studies.late.items import Side
from reports.studies.market.learning import curve

WARM_UP = 3
MOST = 1 << 62
LEAST_PQ = 256
Answer = tuple[npt.NDArray[np.int64], bool, int]
"""Ads [k] (-1 pads), whether they are proven to be the exact ones, and how many ads were scored exactly."""
Ask = Callable[[int, int], Answer]
"""``ask(request, k)``."""
Seconds = npt.NDArray[np.float64]
"""Of the processor and of the wall clock, [..., 2]."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One index and the settings that it is asked with.

    Attributes:
        name: as tables spell it.
        make: builds it: from a side, the log bids [N] of ads that may compete, and a seed.
        settings: label -> what is asked, made from the built index.
        least, most: ads from which and up to which it is measured.
        reason: why it is not measured outside.
    """

    name: str
    make: Callable[[Side, Tensor, int], Any]
    settings: Mapping[str, Callable[[Any], Any]]
    least: int = 1
    most: int = MOST
    reason: str = ""


def as_is(index: Any) -> Any:
    """The index as it was built."""
    return index


def _facets(kind: str) -> Callable[[Side, Tensor, int], FacetMips]:
    return lambda side, _, __: FacetMips(torch.from_numpy(side.items), None, kind)


def _fde(hashes: int, store: str) -> Callable[[Side, Tensor, int], Muvera]:
    return lambda side, _, seed: Muvera(
        torch.from_numpy(side.items), None, FdeConfig(repetitions=20, hashes=hashes, width=8), seed, store
    )


def _over(over: int) -> Callable[[Any], Any]:
    return lambda index: index.reaching(over=over)


def _cells(probed: int) -> Callable[[Any], Any]:
    return lambda index: index.reaching(probed=probed)


FACET_WAYS = (
    Way(
        name="exact scan",
        make=lambda side, _, __: ExactScan(torch.from_numpy(side.items)),
        settings={"": as_is},
    ),
    Way(
        name="facet lists, exact",
        make=_facets("flat"),
        settings={"certificate": as_is},
        most=100_000,
        reason="products with all 4 million facets for each of the 8 lists are the scan's own work, and what is not "
        "certain is scanned besides",
    ),
    Way(
        name="facet lists, HNSW",
        make=_facets("hnsw"),
        settings={"4 K long": as_is, "16 K long": _over(16)},
        most=100_000,
        reason="a graph of 4 million nodes, built one facet after the other on one thread: ten times the build at "
        "100,000 ads and more",
    ),
    Way(
        name="facet lists, IVF",
        make=_facets("ivf"),
        settings={"1/4 of the cells": as_is, "1/16 of the cells": _cells(16), "1/64 of the cells": _cells(64)},
    ),
    Way(
        name="FDE 1,280",
        make=_fde(3, "flat"),
        settings={"4 K": as_is, "16 K": _over(16)},
        most=100_000,
        reason="5,120 bytes an ad: 5.1 GB at this size, ten times the facets themselves",
    ),
    Way(
        name="FDE 5,120",
        make=_fde(5, "flat"),
        settings={"4 K": as_is},
        most=10_000,
        reason="20,480 bytes an ad, forty times the facets themselves",
    ),
    Way(
        name="FDE 1,280, PQ",
        make=_fde(3, "pq"),
        settings={"4 K": as_is, "16 K": _over(16), "64 K": _over(64)},
        least=LEAST_PQ,
        reason="codes are made from at least 256 ads",
    ),
)


class ExactVectors:
    """Every ad by one product, the truth for single vectors.

    Args:
        items: [N, d].
        gain: of the product in the logit.
    """

    def __init__(self, items: Tensor, gain: float) -> None:
        self._items, self._gain = items, gain

    def held(self) -> int:
        """Bytes of the vectors."""
        return self._items.nbytes

    def find(self, users: Tensor, log_bid: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Ads [R, k], -1 pads, and cosines."""
        score = users @ self._items.T
        money, ad = top_by_id(self._gain * score + log_bid, k)
        return ad.masked_fill(~money.isfinite(), -1), score.gather(1, ad)


def _vectors(kind: str) -> Callable[[Side, Tensor, int], VectorFinder]:
    return lambda side, _, __: VectorFinder(kind, torch.from_numpy(side.items), side.gain)


VECTOR_WAYS = (
    Way(
        name="exact",
        make=lambda side, _, __: ExactVectors(torch.from_numpy(side.items), side.gain),
        settings={"": as_is},
    ),
    Way(name="HNSW", make=_vectors("hnsw"), settings={"": as_is}),
    Way(name="IVF", make=_vectors("ivf"), settings={"": as_is}),
)


def asks(index: Any, side: Side, log_bid: Tensor) -> Ask:
    """How an index over a side is asked: facets by ``search``, single vectors by ``find``."""
    users = torch.from_numpy(side.users)

    def by_facets(request: int, k: int) -> Answer:
        one = users[request : request + 1]
        found = index.search(Query(one, torch.full(one.shape[:2], 1.0 / one.shape[1]), side.gain, log_bid), k)
        return found.item[0].numpy(), bool(found.certain[0]), int(found.scored[0])

    def by_vector(request: int, k: int) -> Answer:
        ad, _ = index.find(users[request : request + 1], log_bid, k)
        return ad[0].numpy(), isinstance(index, ExactVectors), 0

    return by_facets if users.ndim == 3 else by_vector


def measured(
    ways: tuple[Way, ...], side: Side, log_bid: Tensor, k: int, seed: int, tick: Callable[[], Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Recall, certainty and bytes of every way, and beside them what a clock says. The first way is the truth.

    Args:
        ways: to compare.
        side: the users who ask, the ads that are searched.
        log_bid: [N], -inf where an ad may not compete.
        k: ads wanted.
        seed: of what a way draws.
        tick: called after each index that was built and after each request.

    Returns:
        A row per setting, and a row of times per setting that was measured.
    """
    ads, n = len(side.items), len(side.users)
    rows: list[dict[str, Any]] = []
    asked: dict[tuple[str, str], Ask] = {}
    indexes: dict[tuple[str, str], Any] = {}
    built: dict[str, Seconds] = {}
    for way in ways:
        if not way.least <= ads <= way.most:
            rows.append({"way": way.name, "setting": "", "reason": way.reason})
            continue
        began = now()
        index = way.make(side, log_bid, seed)
        # An index that holds money is built when it is first asked.
        asks(index, side, log_bid)(0, k)
        built[way.name] = now() - began
        tick()
        for setting, reach in way.settings.items():
            indexes[way.name, setting] = reach(index)
            asked[way.name, setting] = asks(indexes[way.name, setting], side, log_bid)
            rows.append({"way": way.name, "setting": setting})
    answers, seconds = _in_turn(asked, n, k, tick)
    truth = np.stack([ad for ad, _, _ in answers[next(iter(asked))]])
    clock = []
    for row in rows:
        key = row["way"], row["setting"]
        if key not in asked:
            continue
        found = np.stack([ad for ad, _, _ in answers[key]])
        recall = curve(recall_of(found, truth)[:, None])
        row["recall"] = {part: float(recall[part][0]) for part in ("mean", "lo", "hi")} | {"n": n}
        # What it holds in the end: some parts are made when they are first needed.
        row["bytes_per_ad"] = indexes[key].held() / ads
        row["certain"] = float(np.mean([certain for _, certain, _ in answers[key]]))
        row["scored"] = float(np.mean([scored for _, _, scored in answers[key]]) / ads)
        times = {"n": n, "build_s": built[key[0]][0]} | quantiles(seconds[key][:, 0])
        wall = {"build_s": built[key[0]][1]} | quantiles(seconds[key][:, 1])
        clock.append({"way": key[0], "setting": key[1]} | times | {"wall": wall})
    return rows, clock


def now() -> Seconds:
    """Both clocks."""
    return np.array([time.process_time(), time.perf_counter()])


def _in_turn(
    asked: Mapping[tuple[str, str], Ask], n: int, k: int, tick: Callable[[], Any]
) -> tuple[dict[tuple[str, str], list[Answer]], dict[tuple[str, str], Seconds]]:
    """Answers and seconds [n, 2] of every setting, request by request."""
    answers: dict[tuple[str, str], list[Answer]] = {key: [] for key in asked}
    seconds = {key: np.empty((n, 2)) for key in asked}
    order = list(asked)
    for i in range(-min(WARM_UP, n), n):
        for key in order if i % 2 else reversed(order):
            began = now()
            answer = asked[key](max(i, 0), k)
            if i >= 0:
                seconds[key][i] = now() - began
                answers[key].append(answer)
        if i >= 0:
            tick()
    return answers, seconds


def recall_of(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of the true ads [R, k] among those found [R, m], -1 pads in both -> [R]; 1 where there is none to find."""
    hit = (truth[:, :, None] == found[:, None, :]).any(axis=2) & (truth >= 0)
    there = (truth >= 0).sum(axis=1)
    return np.asarray(np.where(there > 0, hit.sum(axis=1) / np.maximum(there, 1), 1.0))


def quantiles(seconds: Seconds) -> dict[str, Any]:
    """p50 and p99 in ms with order-statistic intervals; p99 has an upper end from 299 requests on."""
    out = {}
    for label, q in (("p50_ms", 0.5), ("p99_ms", 0.99)):
        ci = quantile_ci(seconds * 1e3, q)
        out[label] = {"value": ci.value, "lo": ci.lo, "hi": ci.hi}
    return out
