"""A training step of `dssm+cs3` beside one of the plain `dssm`: the same log, turn by turn, in CPU time."""

from __future__ import annotations

from statistics import median
from time import process_time

import numpy as np
import pytest

from reports.gate.suite.world import SEED, log, world
from reports.studies.arms import make_retriever, parse

ROUNDS = 15


@pytest.mark.parametrize("batch", [512, 2048])
def test_training_with_cs3_beside_plain(described, batch):
    benchmark = described("training with CS3 beside plain", rows=batch)
    plain, cs3 = (
        make_retriever(parse(arm), world().catalog, SEED, {"batch": batch}, {}) for arm in ("dssm", "dssm+cs3")
    )
    rows = log()[:batch]
    assert len(rows) == batch
    times = []

    def turn():
        began = process_time()
        plain.update(rows)
        between = process_time()
        cs3.update(rows)
        times.append((between - began, process_time() - between))

    benchmark.pedantic(turn, rounds=ROUNDS if benchmark.enabled else 1, warmup_rounds=2 if benchmark.enabled else 0)
    for arm in (plain, cs3):
        assert all(bool(p.isfinite().all()) for p in arm.model.parameters())
    written = cs3.trainer.slots[0].filler.cascade.users.counts
    assert int(written.sum()) == batch * len(times)  # every row was written once a step
    if benchmark.enabled:
        ratios = [b / a for a, b in times[2:]]
        benchmark.extra_info.update(
            times_of_the_plain_step=round(median(ratios), 2),
            quartiles=[round(float(q), 2) for q in np.quantile(ratios, [0.25, 0.75])],
            plain_ms=round(1e3 * median(a for a, _ in times[2:]), 2),
        )
