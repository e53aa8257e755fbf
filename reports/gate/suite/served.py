"""The serving path over a hundred thousand ads: the exact scan of one user and of many, a whole request."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .benchmark import Benchmark, Case
from .moved import imported
from .world import WIDTH, requests, trained

ADS, BEST = 100_000, 200


def _unit(n: int, seed: int) -> Any:
    rows = np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _scan_of(items: Any) -> Any:
    return imported("baselines.search.scan:Scan", formerly="baselines.serving.scan:Scan")(items)


def scan(users: int) -> Case:
    """The best 200 of 100,000 ads for some users."""
    items, queries = _unit(ADS, 1), _unit(users, 2)
    index = _scan_of(items)

    def check(found: Any) -> None:
        score, ad = found
        plain = np.sort(queries @ items.T, axis=1)[:, ::-1][:, :BEST]
        np.testing.assert_allclose(score, plain, atol=1e-5)
        np.testing.assert_allclose(np.einsum("qd,qkd->qk", queries, items[ad]), plain, atol=1e-5)

    return Case(lambda _: index.search(queries, BEST), check)


def request(spelling: str) -> Case:
    """One request: features, state, user tower, exact scan, top K."""
    from baselines.serving import freeze
    from simulator.records import take

    towers = trained(spelling)
    items = _unit(ADS, 1)
    server = freeze(towers).over(_scan_of(items))
    one = take(requests(8), slice(5, 6))

    def check(found: Any) -> None:
        user = towers.encode_users(one).numpy()[0]
        gain, bias = float(towers.serving.gain()), float(towers.serving.bias)
        np.testing.assert_allclose(found.logit[0], gain * (items[found.ad[0]] @ user) + bias, atol=1e-4)
        assert np.isclose(found.logit[0, 0], gain * (items @ user).max() + bias, atol=1e-4)
        assert (np.diff(found.logit[0]) <= 0).all()

    return Case(lambda _: server.serve(one.user, one.time, one.context, BEST), check)


BENCHMARKS = [
    *(
        Benchmark(
            name=name,
            setup=partial(scan, users),
            sizes={"requests": users, "ads": ADS, "candidates": BEST},
            work=("requests", users),
        )
        for name, users in (("serving/scan-one", 1), ("serving/scan", 16))
    ),
    *(
        Benchmark(
            name=f"serving/{spelling}",
            setup=partial(request, spelling),
            sizes={"requests": 1, "ads": ADS, "candidates": BEST},
            work=("requests", 1),
        )
        for spelling in ("dssm", "dssm+cs3")
    ),
]
