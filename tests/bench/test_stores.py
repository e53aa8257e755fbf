"""Speed of fetching published vectors, wherever they are, and of the moving average; each also checks what it got."""

from __future__ import annotations

import uuid

import pytest
import torch

from cs3.embedded import EmbeddedStore
from cs3.mapped import MappedStore
from cs3.server import ServerStores
from cs3.store import ema_
from tests.bench.conftest import WIDTH, per_second
from tests.cs3.conftest import server_url  # noqa: F401

ROWS, KEYS, BATCH = 100_000, 1024, 4096
PLACES = ["embedded", "mapped", "server"]


@pytest.fixture(scope="module")
def vectors():
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=PLACES)
def store(request, tmp_path, vectors):
    """A store with a vector for every key but each tenth."""
    if request.param == "embedded":
        made = EmbeddedStore(ROWS, WIDTH)
    elif request.param == "mapped":
        made = MappedStore(tmp_path / "x", ROWS, WIDTH)
    else:
        stores = ServerStores(request.getfixturevalue("server_url"), uuid.uuid4().hex, timeout=10.0)
        made = stores.open("cross-users", rows=ROWS, width=WIDTH)
    keys = (torch.arange(ROWS) % 10 > 0).nonzero().squeeze(1)
    made.put(keys, vectors[keys], 1)
    yield made
    made.clear()


def milliseconds(benchmark):
    """Adds p50 and p99 of a call; nothing when benchmarks run untimed."""
    if benchmark.enabled:
        seconds = torch.tensor(benchmark.stats.stats.data)
        p50, p99 = (1e3 * float(seconds.quantile(share)) for share in (0.5, 0.99))
        benchmark.extra_info.update(p50_ms=round(p50, 3), p99_ms=round(p99, 3))
        print(f"\n{benchmark.name}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")  # noqa: T201


@pytest.mark.parametrize("n", [1, KEYS])
def test_fetch(described, store, vectors, n):
    benchmark = described(f"store fetch of {n}", keys=n, width=WIDTH, rows=ROWS)
    batches = torch.randint(ROWS, (64, n), generator=torch.Generator().manual_seed(2))
    calls = iter(range(10**9))
    fetched = benchmark.pedantic(lambda: store.fetch(batches[next(calls) % 64]), rounds=500, warmup_rounds=20)
    keys = batches[(next(calls) - 1) % 64]
    assert torch.equal(fetched, vectors[keys] * (keys % 10 > 0).unsqueeze(1))
    milliseconds(benchmark)


def test_publication_of_a_batch(described, store, vectors):
    benchmark = described(f"store publication of {BATCH}", keys=BATCH, width=WIDTH, rows=ROWS)
    keys = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))[:BATCH]
    versions = iter(range(2, 10**9))
    benchmark.pedantic(lambda: store.put(keys, vectors[keys], next(versions)), rounds=20, warmup_rounds=1)
    assert torch.equal(store.fetch(keys), vectors[keys])
    assert store.version() == next(versions) - 1


@pytest.mark.parametrize("repeated", [0, 500])
def test_moving_average(described, vectors, repeated):
    """A batch of 4,096 rows, of which so many are one key's."""
    benchmark = described("moving average", rows=BATCH, width=WIDTH, table=ROWS, repeated=repeated)
    generator = torch.Generator().manual_seed(4)
    keys = torch.randint(ROWS, (BATCH,), generator=generator)
    keys[torch.randperm(BATCH, generator=generator)[:repeated]] = 7
    values = vectors[:BATCH]
    table, counts, written = torch.zeros(ROWS, WIDTH), torch.zeros(ROWS, dtype=torch.int32), []

    def write():
        ema_(table, counts, keys, values, 0.8)
        written.append(None)

    benchmark.pedantic(write, rounds=200, warmup_rounds=20)
    assert torch.equal(counts, len(written) * torch.bincount(keys, minlength=ROWS).to(torch.int32))
    once = torch.zeros(ROWS, WIDTH, dtype=torch.float64)
    for key, value in zip(keys.tolist(), values.double(), strict=True):
        once[key] = 0.8 * once[key] + 0.2 * value
    # The same batch again and again: c_n = kept c_(n-1) + once, a geometric series.
    kept = (0.8 ** torch.bincount(keys, minlength=ROWS).double()).unsqueeze(1)
    expected = torch.where(kept < 1, once * (1 - kept ** len(written)) / (1 - kept), 0.0)
    torch.testing.assert_close(table.double(), expected, rtol=1e-4, atol=1e-5)
    per_second(benchmark, "rows", BATCH)
