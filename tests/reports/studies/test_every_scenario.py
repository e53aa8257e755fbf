"""Every shipped scenario goes through an A/B: burn-in, both arms, summary, page. Tiny in size, whole in its dials."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.pages.ab import sections
from reports.studies.market.cells import BURN_IN, Task, compute
from reports.studies.market.summary import summarise
from reports.studies.market.twins import facts_of
from simulator.experiment import Cell, RunDirectory, plain
from simulator.scenario import Scenario, load, names
from tests.reports.studies.tiny import SETS

ARMS = ("popularity", "dssm+cs3")
IDENTITY = {"kind": "every scenario"}


def tiny_form(name: str) -> Scenario:
    """The scenario's own dials at a size of seconds; a redesign comes when the arms part."""
    kept = [item for item in SETS if not item.startswith("world.base_logit")]
    redesign = ["cascade.redesign_day=1"] if load(name, small=True).cascade.redesign_day else []
    return load(name, small=True, sets=[*kept, "world.base_logit=-1.5", "run.worlds=1", *redesign])


@pytest.fixture(scope="module", params=names())
def run(request, tmp_path_factory) -> tuple[Scenario, dict[str, Any]]:
    s = tiny_form(request.param)
    root = tmp_path_factory.mktemp(request.param) / "run"
    directory = RunDirectory(root, {"identity": IDENTITY})
    seed = s.run.seed
    cells = [Cell(world=seed, name=BURN_IN), *(Cell(world=seed, name=arm, days=s.run.days) for arm in ARMS)]
    for i, cell in enumerate(cells):
        compute(Task(cell=cell, scenario=s, root=str(root), identity=IDENTITY, index=i), len(cells))
    burn, control, treatment = (facts_of(directory, [cell]) for cell in cells)
    arms = {"control": control, "treatment": treatment}
    return s, json.loads(json.dumps(plain(summarise(s, *ARMS, arms, burn, None, None))))


def test_it_has_a_verdict_and_a_page(run):
    s, results = run
    assert results["scenario"] == s.name
    assert results["verdict"]["word"] in ("ship", "do not ship", "undecided")
    for metric in ("revenue", "clicks", "recall", "tau", "exposure_gini", "active_advertisers"):
        assert results["metrics"][metric]["control"] is not None, metric
    built = sections.build(results, {}, {}, {"forest": "", "segments": ""})
    assert {"metrics", "forest", "guardrails", "segments"} <= {section.key for section in built}


def test_conversions_are_counted_where_the_scenario_has_them(run):
    s, results = run
    on = s.world.conversion_rate > 0
    assert ("conversions" in results["metrics"]) == on
    assert any(row["measure"] == "expected_conversions" for row in results["segments"]) == on
    if on:
        sold = results["metrics"]["conversions"]
        assert 0 <= sold["control"] <= results["metrics"]["clicks"]["control"]


def test_the_users_add_up_and_so_do_the_ads(run):
    s, results = run
    found = {row["segment"]: row for row in results["segments"] if row["measure"] == "expected_revenue"}
    whole = results["metrics"]["expected_revenue"]
    for parts, members in ((("cold_users", "returning_users"), s.world.users), (("head_ads", "tail_ads"), s.world.ads)):
        assert sum(found[name]["members"] for name in parts) == members
        for side in ("control", "treatment"):
            assert sum(found[name][side] for name in parts) == pytest.approx(whole[side])
