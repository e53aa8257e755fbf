"""Spellings: what they are made of, what they refuse, and what two arms share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reports.arms import ORACLE, make_arm, parse
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
        ("popularity[pool=3]", r"arm == 'popularity\[pool=3\]', must have a backbone of towers to carry settings$"),
    ],
)
def test_refusals(spelling, line):
    with pytest.raises(ValueError, match=line) as caught:
        parse(spelling)
    assert "\n" not in str(caught.value)


def test_settings_stand_in_brackets(catalog):
    found = parse("dssm+cts[alpha=0.5]+cms[beta=0.9,beta_item=0.98]@dnn")
    assert (found.modifiers, found.settings) == (("cts", "cms"), ({"alpha": 0.5}, {"beta": 0.9, "beta_item": 0.98}))
    arm = make_arm("dssm+cts[alpha=0.5]+cms[beta=0.9]", catalog, 1, modifiers={"horizon": 7})
    config = arm.retriever.extras.config
    assert (config.alpha, config.beta, config.horizon, config.cas) == (0.5, 0.9, 7, False)
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        make_arm("dssm+cts[alfa=0.5]", catalog, 1)


def test_a_backbone_has_settings_of_its_own(catalog):
    found = parse("maxsim[candidates=facets,over=8]+cs3@dnn")
    assert (found.backbone, found.backbone_settings) == ("maxsim", {"candidates": "facets", "over": 8})
    arm = make_arm("dssm[search=hnsw]", catalog, 1, retriever={"width": 8, "search": "ivf"})
    assert (arm.retriever.config.search, arm.retriever.config.width) == ("hnsw", 8)
    assert make_arm("dssm", catalog, 1).retriever.config.search == "exact"


def test_a_control_alone_has_nothing_to_act_on(catalog):
    with pytest.raises(ValueError, match=r"arm == 'dssm\+shuffled', must have a mechanism"):
        make_arm("dssm+shuffled", catalog, 1)


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
    from reports.studies.evaluation import sample

    drawn = sample(build(s.world, 1, 2), 0, 20, "panel")
    ads = np.tile(np.arange(s.world.ads, dtype=np.int32), (20, 1))
    base, full = (make_arm(name, catalog, 5).retriever.score(drawn.requests, ads) for name in ("dssm", "dssm+cts+cms"))
    np.testing.assert_allclose(base, full, rtol=1e-5, atol=1e-6)
