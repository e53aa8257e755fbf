"""The latency study end to end in its smallest form, through the command line; what it timed is not looked at."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from reports.commands.latency import latency
from reports.studies.serving.exponents import exponents
from reports.studies.serving.settings import CELLS, ServingConfig
from reports.studies.serving.study import PAPER_QPS, run
from simulator.experiment import read_json
from tests.reports.run_contract import check_run

TINY = ["--set=calls=3", "--set=arrivals=3", "--set=rows=60", "--set=loads=[0.5]", "--set=open_ads=500"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("latency")
    arms = ["--arm=dssm", "--arm=dssm+cs3", "--arm=seqtower"]
    sizes = ["--ads=500", "--ads=1500", "--batch=1", "--batch=4"]
    found = CliRunner().invoke(latency, ["--small", "--quiet", f"--out={out}", *arms, *sizes, *TINY])
    assert found.exception is None, found.output
    return out, found.output


def test_every_arm_size_and_batch_is_there(done):
    results = read_json(done[0] / "results.json")
    asked = {(row["arm"], row["ads"], row["batch"]) for row in results["closed"]}
    assert asked == {(a, n, b) for a in ("dssm", "dssm+cs3", "seqtower") for n in (500, 1500) for b in (1, 4)}
    for row in results["closed"]:
        assert row["qps"] > 0
        assert (row["qps_change"]["value"] == 0) == (row["arm"] == "dssm")
    assert [row["arm"] for row in results["stages"]] == ["dssm", "dssm+cs3", "seqtower"]
    assert {row["k"] for row in results["cascade"]} == {16}
    assert list(results["open"]["arms"]) == ["dssm", "dssm+cs3"]
    assert {how for row in results["threads"] for how in row["qps"]} == {"one", "two clients", "two threads inside"}


def test_it_is_read_back(done):
    check_run(done[0], "latency", "closed", "stages", "cascade", "threads", "open", "growth", "cost")


def test_what_an_arm_costs_by_its_shapes(done):
    about = read_json(done[0] / "results.json")["arms"]
    assert about["dssm"]["item_bytes"] == about["dssm+cs3"]["item_bytes"] == 256
    assert (about["dssm"]["state_bytes_per_user"], about["dssm+cs3"]["state_bytes_per_user"]) == (0, 512)
    assert about["dssm+cs3"]["user_flops"] > about["dssm"]["user_flops"]


def test_the_paper_stands_beside(done):
    page = (done[0] / "latency.md").read_text(encoding="utf-8")
    assert page.strip() == done[1].strip()
    for percent in PAPER_QPS:
        assert f"{percent:+.3f} %" in page
    assert "Knee: dssm not reached by these loads" in page
    for name in ("load", "size"):
        for form in ("png", "svg"):
            assert (done[0] / "figures" / f"latency-by-{name}.{form}").stat().st_size > 1000


def test_all_cells_by_default():
    assert set(CELLS) <= set(ServingConfig().arms)
    assert len(CELLS) == 8


def test_bad_batches(tmp_path):
    with pytest.raises(ValueError, match=r"batches == \(2,\), must hold 1"):
        run(ServingConfig(batches=(2,)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_growth_with_every_dial(done):
    growth = read_json(done[0] / "results.json")["growth"]
    assert [(row["dial"], row["arm"]) for row in growth] == [
        (dial, arm) for dial in ("ads", "K", "users") for arm in ("dssm", "dssm+cs3")
    ]
    sizes = {row["dial"]: [point["size"] for point in row["points"]] for row in growth}
    assert sizes == {"ads": [500, 1500], "K": [20, 80], "users": [800, 1600]}
    assert all(np.isfinite(row["exponent"]["value"]) for row in growth)
    assert "## How it grows" in (done[0] / "latency.md").read_text(encoding="utf-8")


def test_an_exponent_is_the_slope_of_the_logs():
    sizes = [10, 40, 160]
    seconds = np.array([[s**0.5, 3.0, 2.0 * s] for s in sizes])
    assert exponents(sizes, seconds) == pytest.approx([0.5, 0.0, 1.0])


@pytest.mark.parametrize("name", ["calls", "arrivals"])
def test_more_clocks_than_memory_holds_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=rf"^{name} == 1000000000000, must be lower: at least 8,000\.0 GB are needed"):
        run(ServingConfig(small=True, **{name: 10**12}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
