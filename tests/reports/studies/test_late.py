"""Late interaction at scale: drawn ads are like the trained ones, truth is truth, sizes resume, reasons are told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from reports.commands.late import late as command
from reports.pages.late import page as late_page
from reports.studies.late import items as late_items
from reports.studies.late import study as late
from reports.studies.late import ways as late_ways
from reports.studies.late.items import Side, bandwidth, effective_dims, eligible_bids, of_size, structure
from reports.studies.late.ways import FACET_WAYS, VECTOR_WAYS, measured, recall_of
from simulator.seal import seal
from tests.reports.run_contract import check_run
from tests.reports.studies.tiny import tiny

DRAWS = np.random.default_rng(0)
CENTRES = DRAWS.normal(size=(12, 8))


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def clouds(n, h):
    """Unit facets around a dozen directions, those of one row alike."""
    own = CENTRES[DRAWS.integers(len(CENTRES), size=n)][:, None]
    return unit(own + 0.5 * DRAWS.normal(size=(n, h, 8)))


LATE = Side(clouds(20, 3), clouds(400, 2), (0.5 * DRAWS.normal(size=400)).astype(np.float32), 8.0)
SINGLE = Side(clouds(20, 1)[:, 0], clouds(400, 1)[:, 0], LATE.log_bid, 8.0)


class TestItems:
    def test_drawn_ads_are_like_the_trained_ones(self):
        drawn = of_size(LATE, 5000, seed=3)
        assert drawn.items.shape == (5000, 2, 8)
        assert drawn.items.dtype == drawn.log_bid.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(drawn.items, axis=2), 1.0, rtol=1e-5)
        real, like = structure(LATE.items, LATE.log_bid), structure(drawn.items, drawn.log_bid)
        for key, value in real.items():
            assert like[key] == pytest.approx(value, rel=0.15, abs=0.05), key
        assert len(np.unique(drawn.items[:, 0], axis=0)) == 5000, "none twice"
        np.testing.assert_array_equal(drawn.users, LATE.users)

    def test_up_to_the_trained_size_they_are_the_trained_ones(self):
        np.testing.assert_array_equal(of_size(LATE, 400, 3).items, LATE.items)
        np.testing.assert_array_equal(of_size(LATE, 150, 3).log_bid, LATE.log_bid[:150])

    def test_the_same_seed_draws_the_same_ads_however_many_at_once(self):
        one, same, other = (of_size(SINGLE, 900, seed).items for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    def test_effective_dims_by_hand(self):
        assert effective_dims(np.diag([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)
        assert effective_dims(np.diag([1.0, 0.0])) == pytest.approx(1)
        assert bandwidth(1000, 2.0) == pytest.approx((1 / 1000) ** (1 / 6))

    def test_a_share_of_the_ads_may_compete(self):
        log_bid = eligible_bids(np.zeros(2000, dtype=np.float32), 0.9, seed=1)
        assert float(log_bid.isfinite().float().mean()) == pytest.approx(0.9, abs=0.03)
        assert torch.equal(log_bid, eligible_bids(np.zeros(2000, dtype=np.float32), 0.9, seed=1))

    def test_towers_are_trained_and_asked(self, tmp_path):
        sides = late_items.trained(tiny("world.users=60", "traffic.requests_per_day=150"), 3, 7)
        facets, vectors = sides["maxsim"], sides["dssm"]
        assert (facets.users.shape, facets.items.shape) == ((7, 8, 32), (40, 4, 32))
        assert (vectors.users.shape, vectors.items.shape) == ((7, 64), (40, 64))
        assert facets.gain > 0
        facets.save(tmp_path / "side.npz")
        seal(tmp_path)
        for kept, own in zip(Side.load(tmp_path / "side.npz"), facets, strict=True):
            np.testing.assert_array_equal(kept, own)


@pytest.fixture(scope="module")
def found():
    log_bid, ticks = eligible_bids(LATE.log_bid, 0.9, 1), []
    rows, clock = measured(FACET_WAYS, LATE, log_bid, 10, 1, lambda: ticks.append(1))
    assert len(ticks) == len(FACET_WAYS) + len(LATE.users)
    return rows, clock


class TestWays:
    def test_what_is_proven_exact_is_exact(self, found):
        by_name = {(row["way"], row["setting"]): row for row in found[0]}
        for key in (("exact scan", ""), ("facet lists, exact", "certificate")):
            assert (by_name[key]["recall"]["mean"], by_name[key]["certain"]) == (1.0, 1.0)
        assert by_name["exact scan", ""]["scored"] == 1.0
        assert all(0.1 < row["recall"]["mean"] <= 1 for row in found[0])
        four, sixteen = (by_name["FDE 1,280, PQ", f"{over} K"] for over in (4, 16))
        assert four["recall"]["mean"] <= sixteen["recall"]["mean"]
        assert four["scored"] < sixteen["scored"]

    def test_every_setting_has_its_bytes_and_its_times(self, found):
        rows, clock = found
        assert [(row["way"], row["setting"]) for row in rows] == [(row["way"], row["setting"]) for row in clock]
        assert len(rows) == sum(len(way.settings) for way in FACET_WAYS)
        scan = rows[0]["bytes_per_ad"]
        assert scan == 2 * 8 * 4
        assert all(row["bytes_per_ad"] > scan for row in rows[1:])
        assert all(row["p50_ms"]["value"] > 0 and row["n"] == 20 and row["wall"]["build_s"] > 0 for row in clock)
        assert all(row["p99_ms"]["hi"] is None or np.isnan(row["p99_ms"]["hi"]) for row in clock), "20 requests"

    def test_what_is_not_measured_has_a_reason(self):
        few = Side(LATE.users[:3], LATE.items[:200], LATE.log_bid[:200], 8.0)
        ways = (FACET_WAYS[0], replace(FACET_WAYS[1], most=100), FACET_WAYS[-1])
        rows, clock = measured(ways, few, torch.from_numpy(few.log_bid), 10, 1, lambda: None)
        assert [row.get("reason") for row in rows] == [None, FACET_WAYS[1].reason, FACET_WAYS[-1].reason]
        assert len(clock) == 1
        assert all(way.reason for way in FACET_WAYS if way.most < late_ways.MOST or way.least > 1)

    def test_single_vectors(self):
        rows, _ = measured(VECTOR_WAYS, SINGLE, eligible_bids(SINGLE.log_bid, 0.9, 1), 10, 1, lambda: None)
        assert [row["way"] for row in rows] == ["exact", "HNSW", "IVF"]
        assert rows[0]["recall"]["mean"] == 1.0
        hnsw, ivf = (row["recall"]["mean"] for row in rows[1:])
        assert 0.9 < hnsw <= 1
        assert 0.2 < ivf <= 1  # one of six cells
        assert rows[0]["bytes_per_ad"] == 32

    def test_recall_by_hand(self):
        truth = np.array([[3, 1, 2], [5, 0, -1], [-1, -1, -1]])
        found = np.array([[1, 9, 3, -1], [-1, 5, 7, 8], [1, -1, 2, 3]])
        np.testing.assert_allclose(recall_of(found, truth), [2 / 3, 1 / 2, 1.0])


@pytest.fixture
def fake(monkeypatch):
    """No training: two sides of 400 ads; every size that is measured is kept in the list."""
    sizes = []
    measure = late.measured
    monkeypatch.setattr(late, "trained", lambda *_: {"maxsim": LATE, "dssm": SINGLE})
    monkeypatch.setattr(
        late, "measured", lambda ways, side, *rest: sizes.append(len(side.items)) or measure(ways, side, *rest)
    )
    return sizes


class TestStudy:
    def test_it_writes_results_timing_tables_and_figures_and_resumes(self, fake, tmp_path):
        asked = ["--ads", "500", "--requests", "20", "--k", "10", "--small", "--quiet", "--out", str(tmp_path / "run")]
        done = CliRunner().invoke(command, asked, catch_exceptions=False)
        assert fake == [400, 500, 400, 500]
        results, timing = (json.loads((tmp_path / "run" / f"{n}.json").read_text()) for n in ("results", "timing"))
        assert (results["kind"], results["trained_ads"], results["k"]) == ("late", 400, 10)
        assert results["facets"] == {"user": 3, "item": 2, "width": 8}
        assert [size["real"] for size in results["sizes"]["maxsim"]] == [True, False]
        assert "_ms" not in json.dumps(results)
        assert timing["machine"]["threads_per_measurement"] == 1
        assert "### 500 ads, drawn like the trained ones" in done.output
        assert "| exact scan |  | 1.000 [1.000, 1.000] | 100% |" in done.output
        for kind in ("maxsim", "dssm"):
            assert (tmp_path / "run" / "figures" / f"late-{kind}.svg").stat().st_size > 5000
        check_run(tmp_path / "run", "late", "ways", "times")
        # Again: nothing is measured twice; a further size is.
        CliRunner().invoke(command, [*asked, "--ads", "450"], catch_exceptions=False)
        assert fake == [400, 500, 400, 500, 450, 450]

    def test_a_size_below_k_is_refused_before_anything_runs(self, fake, tmp_path):
        with pytest.raises(ValueError, match=r"ads == 50, must be at least candidates == 100"):
            late.run(late.LateConfig(ads=(50,)), tmp_path / "run", quiet=True)
        assert not (tmp_path / "run").exists()

    def test_fewer_requests_in_larger_catalogues(self):
        config = late.LateConfig(requests=300, pairs=20_000_000)
        assert [config.asked(ads) for ads in (1000, 100_000, 1_000_000)] == [300, 200, 30]

    def test_a_reason_stands_in_the_table(self):
        size = {"ads": 9, "real": True, "rows": [{"way": "graph", "setting": "", "reason": "too slow"}]}
        results = {"k": 3, "sizes": {"maxsim": [size]}}
        lines = late_page.tables(results, {"sizes": {"maxsim": [{"ads": 9, "rows": []}]}}, "maxsim")
        assert "| graph |  | n/a: too slow |  |  |  |  |  |  |" in lines


def test_more_requests_than_memory_holds_are_refused_by_their_own_name(tmp_path):
    with pytest.raises(ValueError, match=r"^requests == 1000000000000, must be lower: at least"):
        late.run(late.LateConfig(small=True, requests=10**12), tmp_path / "run")
    assert not (tmp_path / "run").exists()
