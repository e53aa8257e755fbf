"""Every benchmark of the registry, the one that the gate runs too: timed by ``tox -e bench``, checked by every run."""

from __future__ import annotations

import pytest

from reports.gate.suite import BENCHMARKS
from tests.bench.conftest import per_second

ROUNDS = 30


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark(benchmark, name):
    one = BENCHMARKS[name]
    assert not one.disabled
    benchmark.group = one.group
    benchmark.extra_info.update(one.extra_info())
    case = one.setup()
    made = case.fresh or (lambda: None)
    result = benchmark.pedantic(case.run, setup=lambda: ((made(),), {}), rounds=ROUNDS, warmup_rounds=2)
    case.check(result)
    if one.work is not None:
        per_second(benchmark, *one.work)
