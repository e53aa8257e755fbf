"""The moving average and the store of published vectors."""

from __future__ import annotations

from functools import partial
from typing import Any

from .benchmark import Benchmark, Case
from .world import WIDTH

ROWS, KEYS, BATCH, REPEATED = 100_000, 1024, 4096, 500


def moving_average(repeated: int) -> Case:
    """A batch of 4,096 rows, of which so many are one key's."""
    import torch

    from cs3.store import ema_

    draws = torch.Generator().manual_seed(1)
    keys, values = torch.randint(ROWS, (BATCH,), generator=draws), torch.randn(BATCH, WIDTH, generator=draws)
    keys[:repeated] = int(keys[-1])
    table, counts = torch.zeros(ROWS, WIDTH), torch.zeros(ROWS, dtype=torch.int32)

    def check(_: Any) -> None:
        each = torch.bincount(keys, minlength=ROWS)
        written = int(counts[keys[0]]) // int(each[keys[0]])
        assert torch.equal(counts, (written * each).to(torch.int32))
        touched, place = torch.unique(keys, return_inverse=True)
        once = torch.zeros(len(touched), WIDTH, dtype=torch.float64)
        for row, value in zip(place.tolist(), values.double(), strict=True):
            once[row] = 0.8 * once[row] + 0.2 * value
        # The same batch again and again: c_n = kept c_(n-1) + once, a geometric series.
        kept = (0.8 ** each[touched].double()).unsqueeze(1)
        expected = once * (1 - kept**written) / (1 - kept)
        torch.testing.assert_close(table[touched].double(), expected, rtol=1e-4, atol=1e-5)

    return Case(lambda _: ema_(table, counts, keys, values, 0.8), check)


def _filled() -> Any:
    """An embedded store with a vector for every key but each tenth, and all vectors."""
    import torch

    from cs3.embedded import EmbeddedStore

    store = EmbeddedStore(ROWS, WIDTH)
    vectors = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1))
    keys = (torch.arange(ROWS) % 10 > 0).nonzero().squeeze(1)
    store.put(keys, vectors[keys], 1)
    return store, vectors


def fetch() -> Case:
    """1,024 vectors by key."""
    import torch

    store, vectors = _filled()
    keys = torch.randint(ROWS, (KEYS,), generator=torch.Generator().manual_seed(2))

    def check(fetched: Any) -> None:
        assert torch.equal(fetched, vectors[keys] * (keys % 10 > 0).unsqueeze(1))

    return Case(lambda _: store.fetch(keys), check)


def publish() -> Case:
    """4,096 vectors put."""
    import torch

    store, vectors = _filled()
    keys = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))[:BATCH]
    ours = vectors[keys]

    def put(_: Any) -> None:
        store.put(keys, ours, store.version() + 1)

    def check(_: Any) -> None:
        assert torch.equal(store.fetch(keys), ours)
        assert store.version() > 1

    return Case(put, check)


EMA = {"rows": BATCH, "width": WIDTH, "table": ROWS}
BENCHMARKS = [
    Benchmark(name="ema/write", setup=partial(moving_average, 0), sizes=EMA, work=("rows", BATCH)),
    Benchmark(
        name="ema/write-repeated",
        setup=partial(moving_average, REPEATED),
        sizes={**EMA, "repeated": REPEATED},
        work=("rows", BATCH),
    ),
    Benchmark(name="store/fetch", setup=fetch, sizes={"keys": KEYS, "width": WIDTH, "rows": ROWS}, work=("keys", KEYS)),
    Benchmark(
        name="store/publish", setup=publish, sizes={"keys": BATCH, "width": WIDTH, "rows": ROWS}, work=("keys", BATCH)
    ),
]
