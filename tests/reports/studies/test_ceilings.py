"""Who knows more than the catalogue and the log tell gets a red light; whoever learns does not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reports.studies.market.ceilings import beyond, knowledge
from reports.studies.market.cells import BURN_IN, Task, compute
from simulator.experiment import Cell, RunDirectory
from simulator.plugins import MODIFIERS, RANKERS, RETRIEVERS, registered, seed_for
from simulator.retrieval import OracleRetriever
from simulator.scenario import load, names
from simulator.world import build
from simulator.world.informed import informed
from tests.contract import cheats
from tests.reports.studies.tiny import PlainRanker, tiny

HERE = cheats.__name__
S = tiny("run.worlds=1", "run.evaluation=200", "run.tau=100")
IDENTITY = {"kind": "ceilings"}


@pytest.fixture(scope="module")
def burnt(tmp_path_factory):
    """A run directory in which the burn-in is done."""
    root = tmp_path_factory.mktemp("ceilings") / "run"
    RunDirectory(root, {"identity": IDENTITY})
    compute(Task(cell=Cell(world=1, name=BURN_IN), scenario=S, root=str(root), identity=IDENTITY, index=0), 1)
    return root


def facts_of(root, arm):
    cell = Cell(world=1, name=arm, days=1)
    compute(Task(cell=cell, scenario=S, root=str(root), identity=IDENTITY, index=0), 1)
    return json.loads((RunDirectory(root, {"identity": IDENTITY}).cell(cell) / "cell.json").read_text())


@pytest.mark.parametrize("cheat", ["Collects", "Climbs", "ClimbsLate", "Copies"])
def test_a_retriever_that_knows_the_truth_is_beyond(burnt, cheat):
    arm = f"{HERE}:{cheat}"
    facts = facts_of(burnt, arm)
    (light,) = beyond(arm, [facts])
    assert light.state == "red"
    assert light.name == f"Knowledge, {arm}, retriever"
    assert light.text.endswith("% at most. It knows the truth.")


def test_a_ranker_that_knows_the_truth_is_beyond(burnt):
    arm = f"popularity@{HERE}:RanksByTruth"
    (light,) = beyond(arm, [facts_of(burnt, arm)])
    assert (light.state, light.name) == ("red", f"Knowledge, {arm}, ranker")


def test_whoever_rebuilds_a_world_from_its_seed_finds_another_world(burnt):
    arm = f"{HERE}:Rebuilds"
    facts = facts_of(burnt, arm)
    assert list(beyond(arm, [facts])) == []
    # With the world's own seed it would have found the truth.
    world = build(S.world, 1, S.all_days)
    assert np.array_equal(cheats.Rebuilds(world.catalog, 1).truth.phi, world.truth.phi)
    assert facts["knowledge"]["retriever"]["recall"] < facts_of(burnt, "popularity")["knowledge"]["retriever"]["recall"]


@pytest.mark.parametrize("arm", ["popularity", "random", "dssm+cs3@din"])
def test_honest_arms_stay_far_below(burnt, arm):
    facts = facts_of(burnt, arm)
    assert list(beyond(arm, [facts])) == []
    assert facts["knowledge"]["retriever"]["recall"] < facts["knowledge"]["retriever"]["allowed"] - 0.1


def test_an_oracle_is_there_to_know():
    known = {"recall": 1.0, "allowed": 0.5}
    facts = [{"knowledge": {"retriever": known, "ranker": known}}]
    assert list(beyond("oracle", facts)) == list(beyond("oracle@dnn", facts)) == []
    assert len(list(beyond("mine", facts))) == 2
    assert list(beyond("mine", [{}])) == []


@pytest.mark.parametrize("name", names())
def test_the_ceiling_of_every_scenario(name):
    """There is room above the ceiling for the truth to show, except where every click is the same coin."""
    s = load(name, small=True)
    world = build(s.world, s.run.seed, s.all_days)
    truth = OracleRetriever(world.truth.everything)
    nothing = PlainRanker(world.catalog, 1)
    found = knowledge(s, world, None, truth, nothing)
    assert found["retriever"]["recall"] == 1.0
    if name == "null_no_signal":
        assert found["retriever"]["allowed"] == 1.0
    else:
        assert 0.4 < found["retriever"]["allowed"] < 0.85
        assert 0.4 < found["ranker"]["allowed"] < 0.95


def test_the_more_is_seen_the_more_is_known():
    """Estimates are unbiased towards the mean, and a long log lifts the ceiling to the truth."""
    s = tiny()
    world = build(s.world, 1, 2)

    def error(log):
        return float(((informed(s.world, world, log).theta - world.truth.theta) ** 2).mean())

    class Log:
        def __init__(self, n):
            self.label = np.arange(n) % 10 == 0
            self.user, self.ad = (np.arange(n) % size for size in (s.world.users, s.world.ads))

        def __len__(self):
            return len(self.label)

    errors = [error(None), error(Log(10_000)), error(Log(10_000_000))]
    assert 0.7 > errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


class TestSeeds:
    """The rule of who is handed the world's own seed, in ``seed_for``."""

    @pytest.mark.parametrize("group", [RETRIEVERS, RANKERS, MODIFIERS])
    def test_what_ships_keeps_the_worlds(self, group):
        assert {seed_for(name, group, 7) for name in registered(group)} == {7}

    def test_everything_else_gets_one_of_its_own(self):
        others = [seed_for(name, RETRIEVERS, 7) for name in ("my:Towers", "a.b:C", "baselines.towers.dssm:dssm", "no")]
        assert len(set(others)) == 1
        assert others[0] != 7
        assert seed_for("my:Towers", RANKERS, 7) not in (7, others[0])
        assert seed_for("my:Towers", RETRIEVERS, 8) != others[0]
