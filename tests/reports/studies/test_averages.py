"""Smoothed averages against a loop that does exactly what the words say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.numbers.discrimination import auc
from reports.studies.offline.averages import prequential_rate, smoothed_averages
from simulator.datasets.kuairand import KuaiRand, read_kuairand
from simulator.records import Impressions
from tests.data.make_kuairand_tiny import FOLDER
from tests.simulator.datasets.test_kuairand import REAL


@pytest.fixture(scope="module")
def data() -> KuaiRand:
    return read_kuairand(FOLDER)


def slowly(rows: Impressions, key: np.ndarray, base: float, prior: float) -> list[float]:
    rates = []
    for i in range(len(rows)):
        seen = (key == key[i]) & (rows.ready_at <= rows.time[i])
        rates.append((rows.label[seen].sum() + prior * base) / (seen.sum() + prior))
    return rates


@pytest.mark.parametrize("wait", [0, 1800, 200_000])
def test_rates_are_those_of_the_labels_ready_in_time(data: KuaiRand, wait: int) -> None:
    rows = replace(data.impressions[:400], ready_at=data.impressions.time[:400] + max(wait, 1))
    for key in (rows.user, rows.ad, rows.context[:, 1]):
        np.testing.assert_allclose(prequential_rate(rows, key, 0.3, 5.0), slowly(rows, key, 0.3, 5.0), rtol=1e-12)


def test_a_label_changes_no_score_before_it_is_ready(data: KuaiRand) -> None:
    rows = data.impressions
    flipped = rows.label.copy()
    flipped[500] ^= True
    changed = smoothed_averages(rows, 0.4) != smoothed_averages(replace(rows, label=flipped), 0.4)
    assert changed.any()
    assert (rows.time[changed] >= rows.ready_at[500]).all()


def test_without_a_past_the_base_rate_is_all_there_is(data: KuaiRand) -> None:
    rows = replace(data.impressions, ready_at=data.impressions.time + 10**8)
    np.testing.assert_allclose(smoothed_averages(rows, 0.4, context=1), np.log(0.4 / 0.6))


def test_settings_out_of_range_are_errors(data: KuaiRand) -> None:
    with pytest.raises(ValueError, match="prior == 0, must be"):
        smoothed_averages(data.impressions, 0.4, prior=0)
    with pytest.raises(ValueError, match="base_ctr == 1, must be"):
        smoothed_averages(data.impressions, 1)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real KuaiRand-Pure log is not at hand (set CS3BENCH_DATA)")
def test_on_the_real_log_the_floor_is_where_others_found_it() -> None:
    real = read_kuairand(REAL)
    label = real.impressions.label[real.test]
    base = real.catalog.base_ctr
    assert auc(smoothed_averages(real.impressions, base)[real.test], label) == pytest.approx(0.715, abs=2e-3)
    assert auc(smoothed_averages(real.impressions, base, context=1)[real.test], label) == pytest.approx(0.735, abs=2e-3)
