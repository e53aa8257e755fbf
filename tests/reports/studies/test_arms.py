"""Spellings: what they are made of, what they refuse, and what two arms share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.rankers.network import RankerConfig
from baselines.training.config import TowerConfig
from cs3.extras import CS3Config
from reports.records.spelling import Part
from reports.studies.arms import ORACLE, REMEMBERED, make_arm, parse, settings_in
from simulator.plugins import RANKERS, RETRIEVERS, make, registered, settings_of, takes
from simulator.records import DAY
from simulator.world import build
from tests.reports.studies.tiny import HERE, PlainRanker, Spy, tiny


@pytest.fixture(scope="module")
def catalog():
    s = tiny()
    return build(s.world, 1, 2).catalog


@pytest.mark.parametrize(
    ("spelling", "parts"),
    [
        ("dssm", ("dssm", (), "dnn")),
        ("dssm+cas+cms", ("dssm", ("cas", "cms"), "dnn")),
        ("dssm-bare+cs3@dnn", ("dssm-bare", ("cs3",), "dnn")),
        (f"{HERE}:Spy@{HERE}:PlainRanker", (f"{HERE}:Spy", (), f"{HERE}:PlainRanker")),
        (ORACLE, (ORACLE, (), "dnn")),
    ],
)
def test_parts(spelling, parts):
    found = parse(spelling)
    assert (found.backbone, found.modifiers, found.ranker) == parts
    assert found.name == spelling


@pytest.mark.parametrize(
    ("spelling", "line"),
    [
        ("", "must be spelled"),
        ("+cs3", "must be spelled"),
        ("dssm+", r"name == '', must be in cs3bench\.modifiers; known: cas, cit, cms, cs3, cts, kd, listkl, shuffled$"),
        ("dssm@dnnn", r"did you mean 'dnn'\?$"),
        ("dsmm+cs3", r"did you mean 'dssm'\?$"),
        ("dssm+cts+cts", "must name each modifier once"),
        ("popularity+cts", "must have a backbone that takes `extras`"),
        ("oracle+cts", "must have a backbone that takes `extras`"),
        ("dssm+cts[alpha", r"modifier == 'cts\[alpha', must be spelled name\[key=value,\.\.\.\]$"),
        ("dssm+cts[alpha]", "must be spelled name"),
        ("dssm[search", r"backbone == 'dssm\[search', must be spelled name\[key=value,\.\.\.\]$"),
        ("dssm@dnn[lr", r"ranker == 'dnn\[lr', must be spelled name\[key=value,\.\.\.\]$"),
        ("dssm[lrr=1]", r"setting == 'lrr', must be one of dssm's; did you mean 'lr'\?$"),
        ("dat[mimc=1]", r"setting == 'mimc', must be one of dat's; did you mean 'mimic'\?$"),
        ("hit[facet=2]", r"setting == 'facet', must be one of hit's; did you mean 'facets'\?$"),
        ("maxsim[user_facts=2]+cs3", r"must be one of maxsim's; did you mean 'user_facets'\?$"),
        ("popularity[pol=3]", r"setting == 'pol', must be one of popularity's; did you mean 'pool'\?$"),
        ("random[pool=3]", "setting == 'pool', must be left out: random takes none$"),
        ("oracle[pool=3]", "setting == 'pool', must be left out: oracle takes none$"),
        ("dssm+cts[alfa=1]", r"must be one of .*did you mean 'alpha'\?$"),
        ("dssm+cts[alpha=1]", r"alpha == 1, must be in \[0, 1\)$"),
        ("dssm+kd[lamb=1]", r"setting == 'lamb', must be one of kd's; did you mean 'lam'\?$"),
        ("dssm+cs3+shuffled[seed=1]", "setting == 'seed', must be left out: shuffled takes none$"),
        ("dssm@dnn[dropot=0.1]", r"setting == 'dropot', must be one of dnn's; did you mean 'dropout'\?$"),
        ("dssm@bst[head=2]", r"setting == 'head', must be one of bst's; did you mean 'heads'\?$"),
        (f"{HERE}:Spy[lr=1]", "setting == 'lr', must be left out: .*:Spy takes none$"),
        ("dssm+shuffled", r"arm == 'dssm\+shuffled', must have a mechanism for its control to act on, e\.g\. cs3$"),
    ],
)
def test_refusals(spelling, line):
    with pytest.raises(ValueError, match=line) as caught:
        parse(spelling)
    assert "\n" not in str(caught.value)


def test_settings_stand_in_brackets(catalog):
    found = parse("dssm+cts[alpha=0.5]+cms[beta=0.9,beta_item=0.98]@dnn")
    assert found.modifiers == ("cts", "cms")
    assert [settings_in(part) for part in found.extras] == [{"alpha": 0.5}, {"beta": 0.9, "beta_item": 0.98}]
    arm = make_arm("dssm+cts[alpha=0.5]+cms[beta=0.9]", catalog, 1, modifiers={"horizon": 7})
    config = arm.retriever.trainer.slots[0].filler.config
    assert (config.alpha, config.beta, config.horizon, config.cas) == (0.5, 0.9, 7, False)


def test_a_backbone_has_settings_of_its_own(catalog):
    found = parse("maxsim[candidates=facets,over=8]+cs3@dnn")
    assert (found.backbone, settings_in(found.base)) == ("maxsim", {"candidates": "facets", "over": 8})
    arm = make_arm("dssm[search=hnsw]", catalog, 1, retriever={"width": 8, "search": "ivf"})
    assert (arm.retriever.config.search, arm.retriever.config.width) == ("hnsw", 8)
    assert make_arm("dssm", catalog, 1).retriever.config.search == "exact"


def test_signs_in_brackets_are_of_a_setting(catalog):
    arm = make_arm("dssm[lr=1e+2]+cts[alpha=0.5]@dnn[dropout=0.1]", catalog, 1)
    assert (arm.retriever.config.lr, arm.ranker.config.dropout) == (100.0, 0.1)
    assert settings_in(Part("dssm[a=1e+5,b=[[1,2],[3]]]")) == {
        "a": 1e5, "b": [[1, 2], [3]]
    }  # fmt: skip


def test_a_ranker_has_settings_of_its_own(catalog):
    found = parse("dssm@dnn[embedding=8,dropout=0.25]")
    assert found.ranker == "dnn[embedding=8,dropout=0.25]"
    arm = make_arm(found.name, catalog, 1, ranker={"embedding": 4, "batch": 64})
    assert [getattr(arm.ranker.config, key) for key in ("embedding", "dropout", "batch")] == [8, 0.25, 64]


def test_settings_of_what_is_no_tower(catalog):
    arm = make_arm("popularity[prior=3]", catalog, 1, retriever={"lr": 1.0})
    assert arm.retriever._shown[0] == 3


@pytest.mark.parametrize("group", [RETRIEVERS, RANKERS])
def test_every_registered_factory_tells_its_settings(group):
    for name in registered(group):
        known = settings_of(make(name, group))
        assert known is not None, name
        assert not {"catalog", "seed", "extras", "auxiliary"} & set(known)


def test_a_factory_that_does_not_tell_its_settings_is_asked_itself():
    def untold(catalog, seed, *, lr=1.0, **params): ...

    assert settings_of(untold) is None
    assert settings_of(takes(RankerConfig)(untold))[:2] == ["lr", "embedding"]


def test_a_stranger_s_parts_are_made(catalog):
    arm = make_arm(f"{HERE}:Spy@{HERE}:PlainRanker", catalog, 1)
    assert isinstance(arm.retriever, Spy)
    assert isinstance(arm.ranker, PlainRanker)


def test_parameters_reach_the_towers(catalog):
    arm = make_arm("dssm+cms", catalog, 1, retriever={"width": 64, "hidden": (32,)}, modifiers={"beta": 0.5})
    assert arm.retriever.config.hidden == (32,)
    with pytest.raises(TypeError):
        make_arm("dssm", catalog, 1, retriever={"hiden": (32,)})


def test_layers_that_two_arms_share_start_equal(catalog):
    one, other = (make_arm(name, catalog, 5) for name in ("dssm", "dssm+cts+cms"))
    mine, theirs = one.retriever.model.state_dict(), other.retriever.model.state_dict()
    equal = [name for name, value in mine.items() if name in theirs and value.shape == theirs[name].shape]
    assert len(equal) >= len(mine) - 2, "only the two input layers are wider"
    for name in equal:
        assert torch.equal(mine[name], theirs[name]), name
    again = make_arm("dssm", catalog, 6).retriever.model.state_dict()
    assert not all(torch.equal(value, again[name]) for name, value in mine.items())


def test_an_untrained_arm_scores_like_its_base(catalog):
    """Extras start at zero weight: adding them changes no first score."""
    s = tiny()
    from reports.studies.market.evaluation import sample

    drawn = sample(build(s.world, 1, 2), 0, 20, "panel")
    ads = np.tile(np.arange(s.world.ads, dtype=np.int32), (20, 1))
    base, full = (make_arm(name, catalog, 5).retriever.score(drawn.requests, ads) for name in ("dssm", "dssm+cts+cms"))
    np.testing.assert_allclose(base, full, rtol=1e-5, atol=1e-6)


def test_what_is_remembered_by_default_is_what_the_models_say():
    """`REMEMBERED` stands apart from the models because they import torch and the command line does not."""
    assert {TowerConfig().horizon, RankerConfig().horizon} == {REMEMBERED}
    assert CS3Config().horizon == DAY
