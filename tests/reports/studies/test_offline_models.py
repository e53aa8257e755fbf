"""A study of a log that cannot be run is refused in one line, before anything is replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.studies.offline import study as offline
from reports.studies.offline.study import OfflineConfig
from reports.studies.offline.sweep import SweepConfig, studies_of
from reports.studies.tuning.offline import TuneConfig, check
from simulator.config import validated
from simulator.records import DAY
from tests.data.make_kuairand_tiny import FOLDER

NAN = float("nan")
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"retriever": {"foo": 1}}, "setting == 'foo', must be one of dssm's"),
    "word": ({"retriever": {"lr": "abc"}}, r"dssm\[lr\] == 'abc', must be a valid number"),
    "nan": ({"retriever": {"l2": NAN}}, r"dssm\[l2\] == nan, must be finite"),
    "ranker's key": ({"ranker": {"foo": 1}}, "setting == 'foo', must be one of dnn's"),
    "ranker's size": ({"ranker": {"hidden": [10**9]}}, r"dnn: hidden == \(1000000000,\), must be at least 1"),
    "modifier's typo": ({"modifiers": {"alpah": 0.5}}, "did you mean 'alpha'"),
    "modifier's range": ({"modifiers": {"alpha": 3}}, "alpha == 3, must be in"),
    "taken by none": ({"arms": ["dssm+kd"], "modifiers": {"bet": 0.3}}, "modifiers.bet == 0.3, must be left out"),
    "no tower": ({"arms": ["popularity"], "retriever": {"lr": 1}}, "retriever.lr == 1, must be left out"),
    "no opinion": ({"arms": ["random"]}, "arm == 'random', must score what was shown: it says nan"),
    "no world": ({"arms": ["oracle"]}, "arm == 'oracle', must learn from a log: only a world has an oracle"),
    "prior below 0": ({"arms": ["popularity[prior=-1]"]}, "prior, temperature, pool == -1, 0.0, None, must be above 0"),
    "no retriever": ({"arms": ["json:load"]}, r"name == 'json:load', must take \(catalog, seed, \*\*settings\)"),
    "no modifier": ({"arms": ["dssm+json:load"]}, r"'dssm\+json:load' raised TypeError: load\(\) missing"),
    "not disturbed": (
        {"arms": ["popularity"], "noise_arms": ["popularity"]},
        "must be of towers: popularity cannot be disturbed",
    ),
    "seeds twice": ({"seeds": [11, 11]}, r"seeds == \[11, 11\], must name each once"),
    "seeds too many": ({"seeds": list(range(1001))}, "seeds == .*at most 1000 items"),
    "seed negative": ({"seeds": [-1]}, "seeds.0 == -1"),
    "noise negative": ({"noise": [-1]}, "noise.0 == -1"),
    "wait in ms": (
        {"label_wait": 1_800_000},
        r"label_wait == 1800000, must be at most 604800 .* \(in milliseconds\?\)",
    ),
    "wait of a flag": ({"label_wait": True}, "label_wait == True, input should be a valid integer"),
    "reader of 300 letters": ({"data": "a" * 300}, "must name a reader"),
    "sync in ms": ({"sync": 1_800_000}, r"sync == 1800000, must be at most 604800"),
    "nothing learned": (
        {"label_wait": 7 * DAY, "sync": 7 * DAY},
        "label_wait == 604800, sync == 604800, must let a label be learned and published in the 10 days",
    ),
}


def checked(given: dict[str, Any]) -> None:
    offline.checked(validated(OfflineConfig, {"path": str(FOLDER)} | given, "offline"))


@pytest.mark.parametrize("fault", WRONG)
def test_a_study_that_cannot_be_run_is_refused(fault: str) -> None:
    given, said = WRONG[fault]
    with pytest.raises(ValueError, match=said) as error:
        checked({"arms": ["dssm", "dssm+cts"]} | given)
    assert "\n" not in str(error.value)


def test_a_study_of_several_kinds_of_arms_is_accepted() -> None:
    names = ("popularity", "dssm+cts[alpha=0.3]", "dssm+cms+shuffled", "dssm+cms@dnn-untrained", "hit[facets=4]")
    models, data = offline.checked(OfflineConfig(path=str(FOLDER), arms=names, modifiers={"beta": 0.5}))
    assert len(models) == len(names) + 2
    assert data.test.any()


@pytest.mark.parametrize(
    ("dial", "values", "said"),
    [
        ("lable_wait", (), "did you mean 'label_wait'"),
        ("sync", (0.5,), r"values == \[0.5\], must be whole seconds"),
        ("sync", (0,), "sync == 0"),
        ("label_wait", (-1,), "label_wait == -1"),
        ("label_wait", (1800, 1_800_000), "label_wait == 1800000, must be at most"),
        ("alpha", (0.5, 0.50000001), "must differ in their first six digits: 0.5 is there twice"),
    ],
)
def test_a_sweep_is_refused_before_its_first_run(dial: str, values: tuple[float, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        studies_of(validated(SweepConfig, {"dial": dial, "path": str(FOLDER), "values": values}, "sweep"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"models": ["oracle"]}, "model == 'oracle', must be a tower or a ranker"),
        ({"models": ["popularity"]}, "model == 'popularity', must be a tower or a ranker"),
        ({"models": ["dssm", "dssm"]}, "must name each once"),
        ({"models": ["@nn"]}, "did you mean 'dnn'"),
        ({"models": ["dssm"], "label_wait": 7 * DAY, "sync": 7 * DAY}, "must let a label be learned"),
        ({"models": ["dssm"], "retriever": {"foo": 1}}, "setting == 'foo'"),
        ({"models": ["dssm"], "budget": 10**9}, "budget == 1000000000"),
    ],
)
def test_a_search_is_refused_before_its_first_point(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(validated(TuneConfig, {"path": str(FOLDER)} | given, "tune"))


def test_what_a_stranger_s_ranker_raises_is_one_line(tmp_path: Path) -> None:
    arm = "popularity@tests.reports.studies.faulty:RankerCrashes"
    config = OfflineConfig(path=str(FOLDER), arms=(arm,), seeds=(1,), panel=0, noise=())
    with pytest.raises(ValueError, match=r"^'@tests\.\S+:RankerCrashes' raised KeyError: 'h_uv' \(faulty\.py:\d+\)$"):
        offline.run(config, tmp_path / "run", quiet=True)
