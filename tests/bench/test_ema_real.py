"""Speed of the moving average on a real log's keys in event order: batches of 4,096 rows, duplicates as they come."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest
import torch

from cs3.store import ema_
from reports.studies.offline.study import OfflineConfig, read
from tests.bench.conftest import WIDTH, per_second

LOG = Path(__file__).parents[3] / "shared" / "data" / "kuairand-pure"
BATCH, BATCHES, VALUES = 4096, 40, 8


@pytest.fixture(scope="module")
def impressions():
    if not LOG.is_dir():
        pytest.skip(f"the real log is not at {LOG}")
    return read(OfflineConfig(path=str(LOG))).impressions[: BATCH * BATCHES]


@pytest.mark.parametrize("side", ["ad", "user"])
def test_moving_average_on_real_keys(described, impressions, side):
    keys = torch.from_numpy(getattr(impressions, side).astype("int64"))
    rows = int(keys.max()) + 1
    batches = list(keys.split(BATCH))
    values = list(torch.randn(VALUES, BATCH, WIDTH, generator=torch.Generator().manual_seed(1)))
    unique = round(sum(batch.unique().numel() for batch in batches) / len(batches))
    benchmark = described("ema", batch=BATCH, width=WIDTH, rows=rows, unique_keys_a_batch=unique)
    table, counts = torch.zeros(rows, WIDTH), torch.zeros(rows, dtype=torch.int32)
    at = cycle(range(len(batches)))
    written = [0] * len(batches)

    def write() -> None:
        i = next(at)
        ema_(table, counts, batches[i], values[i % VALUES], 0.8)
        written[i] += 1

    benchmark.pedantic(write, rounds=10 * len(batches), warmup_rounds=len(batches))
    expected = sum(n * torch.bincount(batch, minlength=rows) for n, batch in zip(written, batches, strict=True))
    assert torch.equal(counts.long(), expected)
    assert bool(table[counts > 0].any(dim=1).all())
    per_second(benchmark, "rows", BATCH)
    if benchmark.enabled:
        print(f"\n{side}: {benchmark.extra_info['rows_per_second'] / 1e6:.2f} M rows/s median, {unique} keys a batch")  # noqa: T201
