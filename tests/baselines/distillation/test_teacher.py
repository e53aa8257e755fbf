"""The teacher's figures are the log's, from before it learned of the row; the gate follows the better model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.distillation.teacher import Gate, teacher_logits
from simulator.marketplace import Marketplace
from simulator.retrieval import PopularityRetriever
from simulator.traffic import TrafficConfig
from tests.baselines.conftest import make_ranker


def test_logits_are_those_of_the_logged_predictions(log):
    rows = replace(log[:5], pctr=np.array([0.5, 0.2, np.nan, 0.0, 1.0], dtype=np.float32))
    z = teacher_logits(rows)
    assert z.dtype == torch.float32
    np.testing.assert_allclose(z[:2], [0.0, np.log(0.25)], atol=1e-6)
    assert z[2].isnan()
    np.testing.assert_allclose(z[3:], [np.log(1e-6), -np.log(1e-6)], rtol=1e-4)


class Watched:
    """A ranker that notes, for each request, what it said and how much it had learned by then."""

    def __init__(self, inner):
        self.inner, self.learned, self.said = inner, set(), {}

    def rank(self, requests, ads):
        ranked = self.inner.rank(requests, ads)
        for r, request in enumerate(requests.id.tolist()):
            assert request not in self.learned, "ranked before it is learned"
            self.said[request] = dict(zip(ads[r].tolist(), ranked.pctr[r], strict=True))
        return ranked

    def update(self, rows):
        self.learned |= set(rows.request.tolist())
        self.inner.update(rows)

    def sync(self, now):
        self.inner.sync(now)


def test_teacher_logits_are_from_before_the_teacher_learned_of_the_row(world, market_config):
    """docs/testing.md 15."""
    ranker = Watched(make_ranker(world))
    quiet = market_config.model_copy(update={"traffic": TrafficConfig(requests_per_day=60)})
    log = Marketplace(world, quiet, PopularityRetriever(world.catalog, 3, temperature=1.0), ranker).run_day(0).log
    assert len(ranker.learned) > 40
    said = [ranker.said[request][ad] for request, ad in zip(log.request.tolist(), log.ad.tolist(), strict=True)]
    np.testing.assert_array_equal(log.pctr, np.array(said, dtype=np.float32))


def logits(*p):
    return torch.logit(torch.tensor(p))


def test_the_gate_compares_running_log_losses_by_hand():
    gate, label, slot = Gate(memory=10.0), torch.tensor([1.0, 0.0]), torch.zeros(2, dtype=torch.int64)
    assert not gate.is_open, "nothing is known of the teacher yet"
    gate.observe(logits(0.8, 0.4), logits(0.5, 0.5), label, slot)
    first = -np.log(0.8) - np.log(0.6), -2 * np.log(0.5)
    np.testing.assert_allclose(gate.snapshot(), first, rtol=1e-6)
    assert gate.is_open
    gate.observe(logits(0.5, 0.5), logits(0.9, 0.2), label, slot)
    second = -2 * np.log(0.5), -np.log(0.9) - np.log(0.8)
    wanted = [np.exp(-0.2) * old + new for old, new in zip(first, second, strict=True)]
    np.testing.assert_allclose(gate.snapshot(), wanted, rtol=1e-6)
    assert gate.is_open == (wanted[0] < wanted[1])


def test_the_gate_closes_when_the_student_overtakes_and_forgets_the_past():
    gate, label, slot = Gate(memory=50.0), torch.ones(10), torch.zeros(10, dtype=torch.int64)
    good, bad = torch.full((10,), 2.0), torch.full((10,), -2.0)
    for _ in range(20):
        gate.observe(good, bad, label, slot)
    assert gate.is_open
    for _ in range(20):
        gate.observe(bad, good, label, slot)
    assert not gate.is_open


def test_rows_of_other_slots_and_of_no_teacher_do_not_count():
    gate = Gate(memory=10.0)
    teacher, student = torch.tensor([3.0, 3.0, torch.nan, -1.0]), torch.tensor([-3.0, -3.0, -3.0, 1.0])
    label, slot = torch.ones(4), torch.tensor([1, 2, 0, 0])
    gate.observe(teacher, student, label, slot)
    assert not gate.is_open
    np.testing.assert_allclose(gate.snapshot(), [np.log1p(np.e), np.log1p(np.exp(-1))], rtol=1e-6)


def test_no_row_changes_nothing():
    gate = Gate(memory=10.0)
    gate.observe(logits(0.9), logits(0.1), torch.ones(1), torch.zeros(1, dtype=torch.int64))
    before = gate.snapshot()
    gate.observe(torch.tensor([torch.nan]), logits(0.1), torch.ones(1), torch.zeros(1, dtype=torch.int64))
    assert gate.snapshot() == before


@pytest.mark.parametrize("memory", [0.0, -1.0, float("inf"), float("nan")])
def test_memory_is_positive_and_finite(memory):
    with pytest.raises(ValueError, match=r"memory == .*, must be positive and finite"):
        Gate(memory)
