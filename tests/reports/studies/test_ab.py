"""A study stopped half-way, by politeness or by force, goes on where it was; the workers change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from reports.studies.ab.study import BARE, Plan, cells_of, run_ab
from simulator.experiment import digest, read_json
from simulator.records import Catalog, Impressions, Offers, Requests
from simulator.world import build
from tests.reports.studies.tiny import HERE, Spy, comparable, start, tiny

PATIENCE = 120
TRUTH = (
    "theta",
    "phi",
    "user_level",
    "ad_level",
    "cross",
    "hour_cross",
    "popularity",
    "sensitivity",
    "activity",
    "arrival",
)


def plan(control: str = "dssm", treatment: str = "dssm+cs3", *sets: str) -> Plan:
    return Plan(scenario=tiny(*sets), control=control, treatment=treatment, small=True, command="cs3bench ab")


def until(condition, process=None):
    """Waits for a condition, not for ever, and not for a process that has ended."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def workers_of(pid: int) -> list[int]:
    """Children of a process that it spawned as workers."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in children if b"spawn_main" in _typed(child)]


def _typed(pid: int) -> bytes:
    """A process's command line; empty if it ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def deaf(pid: int) -> bool:
    """Whether a process has SIGINT blocked."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1)


@pytest.fixture
def launch():
    """Starts studies as processes; none outlives the test, whatever it finds."""
    processes: list[subprocess.Popen[str]] = []

    def run(root: Path, *more: str) -> subprocess.Popen[str]:
        processes.append(start(root, *more))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_stopped_twice_with_two_workers_and_ended_by_one_it_is_byte_equal(finished, tmp_path, launch):
    """SIGINT to the whole group, as a terminal sends it; then SIGKILL to the parent alone; then to the end."""
    root = tmp_path / "run"
    process = launch(root, "--jobs", "2")
    # the hardest moment: the workers are still importing
    until(lambda: len(workers_of(process.pid)) == 2, process)
    assert all(map(deaf, workers_of(process.pid))), "only the parent hears Ctrl-C"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert [line for line in err.splitlines() if line] == ["cs3bench: interrupted; the same command resumes the run"]
    assert out == ""
    whole(root, finished)
    assert not list(root.glob("cells/*/.aside.*"))

    process = launch(root, "--jobs", "2")
    until(lambda: (root / "cells/world-1/dssm+cs3/cell.json").exists(), process)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not any(map(alive, workers)))
    whole(root, finished)
    assert not (root / "results.json").exists()

    run_ab(plan(), root, jobs=1, quiet=True)
    assert comparable(root) == comparable(finished)
    assert not (root / "work").exists()


def whole(root: Path, finished: Path) -> None:
    """Whatever has a cell's name is complete and right."""
    for cell in root.glob("cells/*/[!.]*"):
        there = finished / cell.relative_to(root)
        assert {p.name: p.read_bytes() for p in cell.iterdir()} == {p.name: p.read_bytes() for p in there.iterdir()}


def test_plug_ins_with_nothing_but_the_verbs_walk_the_whole_road(tmp_path):
    """A retriever and a ranker of a stranger's module, without state to save; what they are handed holds no truth."""
    Spy.handed.clear()
    ranker = f"{HERE}:PlainRanker"
    study = plan(f"{HERE}:Spy@{ranker}", f"popularity@{ranker}", "run.worlds=1")
    root, results = run_ab(study, tmp_path / "run", jobs=1, quiet=True)
    revenue = results["metrics"]["revenue"]
    assert revenue["control"] == revenue["treatment"] > 0, "they are one and the same retriever"
    assert results["ranker"] == ranker
    assert results["cost"] == {}
    assert read_json(root / "timing.json")["latency"] == {}

    assert {type(x) for x in Spy.handed} == {Catalog, Requests, Offers, Impressions}
    s = study.scenario
    truth = build(s.world, s.run.seed, s.all_days).truth
    known = [array for x in Spy.handed for array in arrays(x)]
    assert len(known) > 100
    for name in TRUTH:
        secret = getattr(truth, name)
        assert not any(a.shape == secret.shape and (a == secret).all() for a in known), name
    catalogs = [x for x in Spy.handed if isinstance(x, Catalog) and x.users.rows == s.world.users]
    for catalog in catalogs:
        assert (catalog.segment != truth.segment).any()
        assert (catalog.price != truth.price).any()
    everything = truth.everything
    for requests in (x for x in Spy.handed if isinstance(x, Requests)):
        if len(requests) == s.run.evaluation:
            secret = everything(requests)
            assert not any(a.shape == secret.shape and (a == secret).all() for a in known)


def arrays(record):
    """All arrays inside records, mappings and sequences."""
    if hasattr(record, "dtype"):
        return [record]
    if hasattr(record, "__dataclass_fields__"):
        record = {name: getattr(record, name) for name in record.__dataclass_fields__}
    if isinstance(record, dict):
        return [array for value in record.values() for array in arrays(value)]
    return []


class TestPlan:
    def test_the_cells(self):
        cells = cells_of(plan())
        assert [c.world for c in cells.burn_in] == [1, 2]
        assert [(c.world, c.name, c.days) for c in cells.bare] == [(1, BARE, 1)]
        assert cells.a_a is not None
        assert len({c.path for c in cells.all()}) == len(cells.all()) == 2 + 2 + 2 + 1 + 1

    def test_no_cell_is_shared_by_a_control_and_itself(self):
        cells = cells_of(plan("dssm", "dssm"))
        assert len({c.path for c in cells.all()}) == len(cells.all()) == 2 + 2 + 2 + 1

    def test_an_oracle_has_no_a_a(self):
        assert cells_of(plan("dssm", "oracle")).a_a is None

    def test_identity(self):
        """The command's wording, the workers and the clock are not what a run is; arms and dials are."""
        one = plan()
        other = Plan(scenario=tiny(), control="dssm", treatment="dssm+cs3", small=False, command="else")
        assert digest(one.identity()) == digest(other.identity())
        different = [plan("dssm-bare"), plan("dssm", "dssm+cms"), plan("dssm", "dssm+cs3", "run.seed=2")]
        assert len({digest(p.identity()) for p in [one, *different]}) == 4
        assert one.default_out().name == f"ab-quickstart-small-{digest(one.identity())}"
