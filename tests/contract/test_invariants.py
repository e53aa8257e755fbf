"""What holds for every registered model on a stream: no label leaks, no row sees the future (docs/testing.md 3, 4)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.numbers.discrimination import auc
from reports.studies.arms import make_ranker, make_retriever, parse
from reports.studies.offline.replay import replay_ranker, replay_retriever
from simulator.plugins import RANKERS, RETRIEVERS, registered
from simulator.testing.stage import MARKET, stage_of

SEED = 0
MODELS = [*sorted({*registered(RETRIEVERS)} - {"random"}), "dssm+cs3", "dssm+kd+listkl+cit"]
MODELS += [f"@{name}" for name in sorted(registered(RANKERS))]


def played(model, log):
    """Score of each row by what was published before it, its own label and all later rows unseen, [n]."""
    catalog, spelling = stage_of(SEED).world.catalog, parse(model if model[0] != "@" else f"random{model}")
    if model[0] == "@":
        return replay_ranker(log, make_ranker(spelling, catalog, SEED, {}), sync=MARKET.cascade.sync).pctr
    return replay_retriever(log, make_retriever(spelling, catalog, SEED, {}, {}), sync=MARKET.cascade.sync)


def bound(label):
    """Three standard errors of the AUC of scores that know nothing of the labels [n]."""
    positive = int(label.sum())
    negative = label.size - positive
    return 3 * np.sqrt((label.size + 1) / (12 * positive * negative))


@pytest.mark.parametrize("model", MODELS)
def test_permuted_labels_are_not_foretold_and_the_past_does_not_know_the_future(model):
    true = stage_of(SEED).log
    log = replace(true, label=np.random.default_rng(1).permutation(true.label))
    scores = played(model, log)
    assert abs(auc(scores, log.label) - 0.5) < bound(log.label)
    # The same period's requests are scored together, so that the arithmetic is the same to the last bit.
    early = int(np.searchsorted(log.time, 4 * MARKET.cascade.sync))
    np.testing.assert_array_equal(played(model, log[:early]), scores[:early])


def test_the_bound_can_fail():
    """Scores that lean on the label by half their spread are beyond it, scores that do not are not."""
    label = stage_of(SEED).log.label
    noise = np.random.default_rng(2).normal(size=label.size)
    assert abs(auc(noise, label) - 0.5) < bound(label)
    assert auc(noise + 0.5 * label, label) - 0.5 > bound(label)
