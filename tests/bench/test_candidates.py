"""Speed of a tick's candidates: the one exact scan beside a product with all ads and torch's ``topk``, turn by turn."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from baselines.search.finder import ScanFinder
from reports.studies.serving.load import interleaved

WIDTH, GAIN, K = 64, 10.0, 200
UNTIMED_ADS = 20_000


def unit(n, seed):
    return torch.nn.functional.normalize(torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("ads", [1_000, 20_000, 100_000])
@pytest.mark.parametrize("requests", [1, 200])
def test_candidates_of_a_tick(described, requests, ads):
    benchmark = described("candidates", requests=requests, ads=ads, width=WIDTH, candidates=K)
    if not benchmark.enabled and ads > UNTIMED_ADS:
        pytest.skip("untimed: the small sizes say whether it is right")
    users, items = unit(requests, 2), unit(ads, 1)
    log_bid = torch.randn(ads, generator=torch.Generator().manual_seed(3))
    log_bid[::10] = -torch.inf
    finder = ScanFinder(items, GAIN)

    def plain():
        every = users @ items.T
        money, found = (GAIN * every + log_bid).topk(K, dim=1)
        return money, every.gather(1, found)

    ad, score = benchmark.pedantic(finder.find, (users, log_bid, K), rounds=5, warmup_rounds=1)
    money, _ = plain()
    torch.testing.assert_close(GAIN * score + log_bid[ad], money, rtol=0, atol=1e-5)
    if benchmark.enabled:
        ways = {"plain": plain, "scan": lambda: finder.find(users, log_bid, K)}
        seconds = interleaved(list(ways), 15, lambda way, _: ways[way](), time.thread_time)
        ratio = float(np.median(seconds["plain"]) / np.median(seconds["scan"]))
        benchmark.extra_info["plain over scan"] = round(ratio, 2)
        print(f"\n{benchmark.name}: {ratio:.2f} times the plain way")  # noqa: T201
