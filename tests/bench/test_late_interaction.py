"""Speed of late interaction: the blocked scan beside the plain einsum of one run, and the other ways to candidates."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import numpy as np
import pytest
import torch

from baselines.late.facet_mips import FacetMips
from baselines.late.muvera import FdeConfig, Muvera
from baselines.late.scan import ExactScan, FacetMajor, Query, scan
from tests.bench.conftest import per_second

USER_FACETS, ITEM_FACETS, FACET, K = 8, 4, 32, 50
PLAIN_ROUNDS = 15


def facets(n, h, seed):
    """Unit facets around 200 directions."""
    draws = torch.Generator().manual_seed(seed)
    centres = torch.randn(200, FACET, generator=torch.Generator().manual_seed(0))
    drawn = centres[torch.randint(200, (n, h), generator=draws)] + torch.randn(n, h, FACET, generator=draws)
    return torch.nn.functional.normalize(drawn, dim=2)


def query(requests, ads):
    log_bid = 0.5 * torch.randn(ads, generator=torch.Generator().manual_seed(3))
    weights = torch.full((requests, USER_FACETS), 1.0 / USER_FACETS)
    return Query(facets(requests, USER_FACETS, 2), weights, 10.0, log_bid)


@pytest.mark.parametrize(("requests", "ads"), [(1, 100_000), (16, 10_000)])
def test_exact_scan(described, requests, ads):
    benchmark = described("late interaction: exact scan", requests=requests, ads=ads)
    users, items = query(requests, ads).users, facets(ads, ITEM_FACETS, 1)
    laid_out = FacetMajor.of(items)

    def plain():
        return torch.einsum("rip,njp->rinj", users, items).amax(dim=3).sum(dim=1)

    found = benchmark(scan, users, laid_out)
    torch.testing.assert_close(found, plain(), rtol=0, atol=1e-4)
    per_second(benchmark, "pairs", requests * ads)
    if benchmark.enabled:
        times = []
        for _ in range(PLAIN_ROUNDS):
            began = perf_counter()
            plain()
            times.append(perf_counter() - began)
        benchmark.extra_info["times_faster_than_einsum"] = round(median(times) / benchmark.stats.stats.median, 2)


@pytest.mark.parametrize("way", ["scan", "facets flat", "facets hnsw", "facets ivf", "muvera flat", "muvera pq"])
def test_ways_to_candidates(described, way):
    ads = 10_000 if way.startswith(("scan", "facets flat", "facets ivf", "muvera flat")) else 2_000
    benchmark = described("late interaction: candidates of a request", requests=1, ads=ads, candidates=K)
    items, asked = facets(ads, ITEM_FACETS, 1), query(4, ads)
    kind, _, how = way.partition(" ")
    exact = ExactScan(items)
    if kind == "scan":
        index = exact
    elif kind == "facets":
        index = FacetMips(items, kind=how)
    else:
        index = Muvera(items, None, FdeConfig(repetitions=20 if how == "flat" else 5), 1, how)
    one = asked._replace(users=asked.users[:1], weights=asked.weights[:1])
    index.search(one, K)  # indexes that hold money are built at the first search
    benchmark(index.search, one, K)
    found, truth = index.search(asked, K).item, exact.search(asked, K).item
    recall = float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))
    benchmark.extra_info["recall_against_exact"] = round(recall, 4)
    assert recall > 0.1
    assert recall == 1.0 or way not in ("scan", "facets flat")
