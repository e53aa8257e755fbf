"""The best K of many: rows of scores, and the exact scan of late interaction."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .benchmark import Benchmark, Case
from .moved import imported
from .world import K

ROWS, ADS = 100, 10_000
FEW, MANY = 16, 100_000
USER_FACETS, ITEM_FACETS, FACET = 8, 4, 32


def rows() -> Case:
    """The K best columns of rows of numpy scores."""
    from simulator.keyed_random import normals
    from simulator.retrieval import top_k

    score = normals(1, "score", np.arange(ROWS)[:, None], np.arange(ADS)).astype(np.float32)

    def check(top: Any) -> None:
        assert np.array_equal(top, np.argsort(-score, axis=1, kind="stable")[:, :K])

    return Case(lambda _: top_k(score, K), check)


def by_id() -> Case:
    """The K best columns of rows of torch scores, ties by the column."""
    import torch

    top_by_id = imported("baselines.search.top:top_by_id", formerly="baselines.top:top_by_id")

    score = torch.randn(FEW, MANY, generator=torch.Generator().manual_seed(1))

    def check(found: Any) -> None:
        best, columns = found
        assert torch.equal(columns, score.sort(dim=1, descending=True, stable=True).indices[:, :K])
        assert torch.equal(best, score.gather(1, columns))

    return Case(lambda _: top_by_id(score, K), check)


def maxsim(n_users: int, n_ads: int) -> Case:
    """MaxSim of users with ads, 8 x 4 facets of 32."""
    import torch

    facet_major = imported("baselines.late.scan:FacetMajor", formerly="baselines.late_scan:FacetMajor")
    scan = imported("baselines.late.scan:scan", formerly="baselines.late_scan:scan")

    draws = torch.Generator().manual_seed(1)

    def facets(n: int, h: int) -> Any:
        return torch.nn.functional.normalize(torch.randn(n, h, FACET, generator=draws), dim=2)

    users, items = facets(n_users, USER_FACETS), facets(n_ads, ITEM_FACETS)
    laid_out = facet_major.of(items)

    def check(found: Any) -> None:
        plain = torch.einsum("rip,njp->rinj", users, items).amax(dim=3).sum(dim=1)
        torch.testing.assert_close(found, plain, rtol=0, atol=1e-4)

    return Case(lambda _: scan(users, laid_out), check)


BENCHMARKS = [
    Benchmark(
        name="top-k/numpy",
        setup=rows,
        sizes={"requests": ROWS, "ads": ADS, "candidates": K},
        work=("requests", ROWS),
        pure=True,
    ),
    Benchmark(
        name="top-k/torch", setup=by_id, sizes={"requests": FEW, "ads": MANY, "candidates": K}, work=("requests", FEW)
    ),
    *(
        Benchmark(
            name=name,
            setup=partial(maxsim, users, ads),
            sizes={"requests": users, "ads": ads},
            work=("pairs", users * ads),
        )
        for name, users, ads in (("maxsim/scan", FEW, ADS), ("maxsim/scan-one", 1, MANY))
    ),
]
