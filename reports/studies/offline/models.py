"""The models of an offline study: which they are, each one's own settings, and whether they can be made on a log."""

from __future__ import annotations

import functools
import inspect
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.records.spelling import Part
from reports.studies import arm_settings, arms
from reports.studies.offline.replay import requests_of
from simulator.blame import blamed
from simulator.datasets import READERS
from simulator.datasets.log import RealLog
from simulator.plugins import RANKERS, RETRIEVERS, make, settings_of

if TYPE_CHECKING:
    from reports.studies.offline.study import OfflineConfig

FALLBACK = {"softmax": 0.0, "lr": 1e-3, "table_lr": 0.03}
"""Settings of a tower that no search has been run for. No softmax terms here: they teach which video was clicked among
others, and a row of this log has no others."""
CONTROLS = ("shuffled",)
"""Modifiers that take the settings of the arm without them: only one thing may differ."""


def models_of(config: OfflineConfig) -> list[str]:
    """Rankers, spelled ``@name``, and then arms, each once.

    Raises:
        ValueError: for a spelling that cannot be made.
    """
    chain = list(dict.fromkeys(config.arms))
    for spelling in chain:
        if arms.parse(spelling).backbone == arms.ORACLE:
            raise ValueError(f"arm == '{spelling}', must learn from a log: only a world has an oracle")
    rankers = [arms.parse(spelling).ranker for spelling in chain]
    for name in config.rankers:
        arms.parse(f"random@{name}")
    return [*(f"@{name}" for name in dict.fromkeys([*rankers, *config.rankers])), *chain]


# --- settings: each model's own, found by the same search ---


@functools.cache
def shipped(data: str) -> dict[str, dict[str, Any]]:
    """The settings that the search found for the models of a log, by spelling; empty if there was no search."""
    path = Path(__file__).parents[1] / "tuned" / f"{data}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if data in READERS and path.exists() else {}


def settings(config: OfflineConfig) -> dict[str, dict[str, Any]]:
    """Hyper-parameters of each model of a study.

    A control has the settings of the arm that it controls: ``dssm+cms@dnn-untrained`` and ``dssm+cms+shuffled`` those
    of ``dssm+cms``, an untrained ranker those of the trained one. Only one thing may differ.
    """
    known = shipped(config.data) if config.tuned else {}
    found = {}
    for model in models_of(config):
        if model.startswith("@"):
            found[model] = known.get(Part(model).name.removesuffix("-untrained"), {}) | config.ranker
            continue
        plain = arms.parse(model).without(*CONTROLS).towers
        found[model] = FALLBACK | known.get(plain, {}) | config.retriever
    return found


def check_settings(config: OfflineConfig) -> None:
    """Refuse settings that a model of the study does not take, or that none takes, before anything is replayed.

    Raises:
        ValueError: one line with the model, the setting and the nearest right one.
    """
    taken: dict[str, set[str]] = {"retriever": set(), "ranker": set(), "modifiers": set()}
    for model, given in settings(config).items():
        if model.startswith("@"):
            taken["ranker"] |= _check_factory(Part(model[1:]).name, RANKERS, horizon(config) | given)
            continue
        spelling = arms.parse(model)
        whole = horizon(config) | given | arms.settings_in(spelling.base, "backbone")
        taken["retriever"] |= _check_factory(spelling.backbone, RETRIEVERS, whole)
        taken["modifiers"] |= arms.check_modifiers(spelling, config.modifiers)
    for part, keys in taken.items():
        for key in getattr(config, part).keys() - keys:
            raise ValueError(
                f"{part}.{key} == {getattr(config, part)[key]!r}, must be left out: no model here takes it"
            )


def _check_factory(name: str, group: str, given: Mapping[str, Any]) -> set[str]:
    """Names of the settings that a factory is called with; none for one that a study sets nothing for."""
    factory = make(name, group)
    if not (takes_settings(factory) if group == RANKERS else arms.takes_extras(factory)):
        return set()
    arm_settings.check_settings(name, factory, given)
    return set(given)


def horizon(config: OfflineConfig) -> dict[str, int]:
    """Rows are learned at the first step after their labels are ready: older versions are never wanted."""
    return {"horizon": config.label_wait + 2 * config.sync}


def takes_settings(factory: Any) -> bool:
    """Whether a factory takes hyper-parameters as keywords."""
    return any(p.kind == p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values())


# --- on a log ---


def make_arm(config: OfflineConfig, data: RealLog, name: str, seed: int) -> Any:
    """The retriever of an arm, as the study sets it."""
    return arms.make_retriever(
        arms.parse(name),
        data.catalog,
        seed,
        horizon(config) | settings(config)[name],
        horizon(config) | config.modifiers,
    )


def check_scores(config: OfflineConfig, data: RealLog) -> None:
    """Refuse an arm that cannot be made on this log or has no opinion of its first row, before anything is replayed.

    Towers that tell their settings have one, and those are checked; they are large and not made twice.

    Raises:
        ValueError: one line with the arm.
    """
    first = data.impressions[:1]
    for name in dict.fromkeys(config.arms):
        factory = make(arms.parse(name).backbone, RETRIEVERS)
        if arms.takes_extras(factory) and settings_of(factory) is not None:
            continue
        with blamed(f"arm == '{name}', its retriever"):
            retriever = make_arm(config, data, name, config.seeds[0])
            retriever.sync(int(first.time[0]))
            score = float(np.asarray(retriever.score(requests_of(first), first.ad[:, None])).reshape(())[()])
        if not np.isfinite(score):
            raise ValueError(f"arm == '{name}', must score what was shown: it says {score} of the log's first row")
        if config.noise and name in config.noise_arms and not hasattr(retriever, "disturbed"):
            raise ValueError(f"noise_arms == {list(config.noise_arms)}, must be of towers: {name} cannot be disturbed")
