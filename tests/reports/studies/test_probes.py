"""Looks at a frozen model: they leave no trace, and show what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.studies.arms import make_retriever, parse
from reports.studies.offline.probes import SCALES, draw_panel, frozen_scores, logit_of, noise_curve, noisy, tau
from reports.studies.offline.replay import Probe, replay_ranker, replay_retriever
from simulator.datasets.kuairand import read_kuairand
from tests.data.make_kuairand_tiny import FOLDER
from tests.reports.studies.fakes import FakeRanker, FakeRetriever

SYNC = 6 * 3600
SMALL = {"embedding": 4, "hidden": (16,), "batch": 128, "softmax": 0.0}


@pytest.fixture(scope="module")
def data():
    return read_kuairand(FOLDER)


@pytest.fixture(scope="module")
def log(data):
    class Wide(FakeRanker):
        def rank(self, requests, ads):
            ranked = super().rank(requests, ads)
            return replace(ranked, hidden=np.repeat(ranked.pctr[:, :, None], 64, axis=2))

    return replay_ranker(data.impressions, Wide(data.catalog, 1), sync=SYNC)


def towers(data, arm="dssm+cs3"):
    return make_retriever(parse(arm), data.catalog, 1, SMALL, {})


def first_test_row(data):
    return int(np.flatnonzero(data.test)[0])


def test_looks_leave_the_replay_as_it_was(data, log):
    panel = draw_panel(FakeRanker(data.catalog, 1), log, data.test, data.catalog.ads.rows, 20, seed=0)

    def look(model):
        frozen_scores(model, log[data.test])
        tau(model, log, panel)
        noise_curve(model, log[data.test], (0.0, 0.3), SCALES, 1)

    seen = replay_retriever(log, towers(data), sync=SYNC, probe=Probe(first_test_row(data), look))
    np.testing.assert_array_equal(seen, replay_retriever(log, towers(data), sync=SYNC))


def test_frozen_scores_are_of_the_state_before_the_first_test_row(data, log):
    """Labels of the test days change the prequential scores and no frozen one."""
    kept = {}
    where = np.flatnonzero(data.test)
    labels = log.label.copy()
    labels[where] = ~labels[where]
    flipped = replace(log, label=labels)
    for name, rows in (("as it was", log), ("flipped", flipped)):
        retriever = FakeRetriever(data.catalog, 1)

        def look(model, name=name):
            kept[name] = frozen_scores(model, log[data.test])

        kept[name, "prequential"] = replay_retriever(
            rows, retriever, sync=SYNC, probe=Probe(first_test_row(data), look)
        )[where]
    np.testing.assert_array_equal(kept["as it was"], kept["flipped"])
    assert (kept["as it was", "prequential"] != kept["flipped", "prequential"]).any()


def test_the_probe_comes_once(data):
    told = []
    replay_ranker(data.impressions, FakeRanker(data.catalog, 1), sync=SYNC, probe=Probe(500, told.append))
    assert len(told) == 1


def test_a_panel_holds_the_rankers_best_and_no_ad_twice(data, log):
    ads = data.catalog.ads.rows
    ranker = FakeRanker(data.catalog, 1)
    panel = draw_panel(ranker, log, data.test, ads, 15, seed=0)
    assert data.test[panel.row].all()
    best = int(np.argmax(ranker.logit(np.arange(ads))))
    for row, logit in zip(panel.ads, panel.logit, strict=True):
        known = row[row >= 0]
        assert len(set(known.tolist())) == known.size
        assert best in known
        assert np.isnan(logit[row < 0]).all()
        assert np.isfinite(logit[row >= 0]).all()


def test_tau_of_the_same_order_is_one_and_of_the_other_way_round_is_minus_one(data, log):
    ranker = FakeRanker(data.catalog, 1)
    panel = draw_panel(ranker, log, data.test, data.catalog.ads.rows, 15, seed=0)
    same = FakeRetriever(data.catalog, 1)

    class Contrary(FakeRetriever):
        def score(self, requests, ads):
            return -super().score(requests, ads)

    assert tau(same, log, panel) == pytest.approx(1.0)
    assert tau(Contrary(data.catalog, 1), log, panel) == pytest.approx(-1.0)


def test_no_noise_is_the_frozen_score_and_noise_moves_it(data, log):
    retriever = towers(data)
    replay_retriever(log[~data.test], retriever, sync=SYNC)
    rows = log[data.test]
    plain = frozen_scores(retriever, rows)
    for scale in SCALES:
        with noisy(retriever, 0.0, scale, 1):
            np.testing.assert_array_equal(frozen_scores(retriever, rows), plain)
        with noisy(retriever, 0.2, scale, 1):
            moved = frozen_scores(retriever, rows)
        assert (moved != plain).mean() > 0.9
        with noisy(retriever, 0.2, scale, 1):
            np.testing.assert_array_equal(frozen_scores(retriever, rows), moved)
    np.testing.assert_array_equal(frozen_scores(retriever, rows), plain)


def test_noise_on_the_inputs_only_spares_the_extra_vectors(data):
    """What the towers read: their last columns are the extras and stay as they are."""
    retriever, seen = towers(data), []
    with noisy(retriever, 1.0, "absolute, inputs only", 1):
        handle = retriever.serving.user.layers[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
        rows = data.impressions[:50]
        frozen_scores(retriever, rows)
        handle.remove()
    width = retriever.extra_widths()[0]
    assert width == 128
    assert not seen[0][:, -width:].any()
    assert seen[0][:, :-width].std() > 0.8


def test_an_unknown_scale_is_one_line(data):
    with pytest.raises(ValueError, match="scale == 'loud'"), noisy(towers(data), 0.1, "loud", 1):
        pass


def test_log_odds_are_finite_at_the_ends():
    assert np.isfinite(logit_of(np.array([0.0, 1.0]))).all()
