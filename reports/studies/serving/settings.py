"""What is measured of serving, by default and in the small form, and what cannot be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from baselines.serving.runtimes import RUNTIMES
from baselines.serving.server import TORCH
from reports.studies.arms import WIDTH, parse, takes_extras
from reports.studies.machine.manifests import made_by
from simulator import feasible
from simulator.config import MOST_SEED, Section, validated
from simulator.experiment import digest
from simulator.footprint import fits
from simulator.plugins import RETRIEVERS, make, nearest
from simulator.records import MOST_IDS
from simulator.scenario import Scenario, load
from simulator.world import WorldConfig

CELLS = ("dssm", "dssm+cas", "dssm+cts", "dssm+cms", "dssm+cas+cts", "dssm+cas+cms", "dssm+cts+cms", "dssm+cs3")
OTHERS = ("dssm-bare", "dat", "seqtower")
BASE, FULL = "dssm", "dssm+cs3"
STACKS_ONLY = ("seqtower",)
"""Backbones whose user tower is no plain stack of layers: they are served by their own forward."""
REQUESTS = 512
"""Requests that are asked, round and round."""
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}


class ServingConfig(Section):
    """What is measured.

    Attributes:
        arms: by spelling; the first is the base of the comparisons.
        ads: sizes of the catalogue.
        batches: requests at a time; 1 must be among them.
        calls: timed calls per arm at batch 1, in proportion fewer of larger batches; the interval of the p99 has an
            upper end from 299 on.
        candidates: K of the retrieval; the cascade's is the scenario's.
        loads: of the open loop, shares of the base's capacity in a closed loop.
        open_ads: size of the catalogue under load.
        arrivals: questions per load.
        growth_k: K of the growth step. growth_users: its multiples of the world's users.
        runtime: of the user tower.
        clock: of the closed loops at one thread: ``wall``, or ``cpu`` time of the thread, which does not see that
            others had the machine; on a shared one its ratios alone mean something. Threads and the open loop: wall.
        scenario: the world; small: its small form; rows: that the arms learn from.
        seed: of everything.
    """

    arms: tuple[str, ...] = Field(default=CELLS + OTHERS, min_length=1)
    ads: tuple[int, ...] = Field(default=(10_000, 100_000, 1_000_000), min_length=1)
    batches: tuple[int, ...] = (1, 16, 256)
    calls: int = Field(default=400, ge=2)
    candidates: int = Field(default=200, ge=1)
    loads: tuple[float, ...] = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
    open_ads: int = Field(default=100_000, ge=1)
    arrivals: int = Field(default=400, ge=2)
    growth_k: tuple[int, ...] = Field(default=(50, 200, 800), min_length=2)
    growth_users: tuple[int, ...] = Field(default=(1, 4, 16), min_length=2)
    runtime: str = "onnx"
    clock: Literal["wall", "cpu"] = "wall"
    scenario: str = "quickstart"
    small: bool = False
    rows: int = Field(default=4096, ge=1, le=MOST_IDS)
    seed: int = Field(default=1, ge=0, le=MOST_SEED)

    def default_out(self) -> Path:
        """``runs/latency-DIGEST``."""
        return Path("runs") / f"latency-{digest({'config': self.model_dump(mode='json'), **made_by()})}"


SMALL: Mapping[str, Any] = {
    "small": True,
    "arms": (BASE, FULL),
    "ads": (2_000, 20_000),
    "batches": (1, 16),
    "calls": 60,
    "candidates": 50,
    "loads": (0.3, 0.7, 1.1),
    "open_ads": 20_000,
    "arrivals": 60,
    "growth_k": (20, 80),
    "growth_users": (1, 2),
    "rows": 512,
}
"""The form for continuous integration: it shows that all of it runs, and no figure."""


def check(config: ServingConfig) -> None:
    """Refuse what cannot be measured, before anything is.

    Raises:
        ValueError: one line.
    """
    if 1 not in config.batches or max(config.batches) > REQUESTS or min(config.batches) < 1:
        raise ValueError(f"batches == {config.batches}, must hold 1 and nothing above {REQUESTS}")
    if config.runtime not in (*RUNTIMES, TORCH):
        raise ValueError(f"runtime == '{config.runtime}', must be one that exists{nearest(config.runtime, RUNTIMES)}")
    for name in ("arms", "ads", "batches", "loads", "growth_k", "growth_users"):
        values = getattr(config, name)
        if not values or len(set(values)) < len(values) or (name != "arms" and not min(values) > 0):
            raise ValueError(f"{name} == {values}, must be different{'' if name == 'arms' else ' and above 0'}")
    least = min(*config.ads, config.open_ads)
    if max(config.candidates, *config.growth_k) > least:
        raise ValueError(
            f"candidates, growth_k == {config.candidates}, {config.growth_k}, must be at most the {least} ads"
        )
    for name in ("calls", "arrivals"):
        fits(8 * getattr(config, name), f"{name} == {getattr(config, name)}")
    for arm in config.arms:
        if not takes_extras(make(parse(arm).backbone, RETRIEVERS)):
            raise ValueError(f"arm == '{arm}', must be towers: nothing else is served here")
    most = max(*config.ads, config.open_ads)
    fits(4 * WIDTH * most, f"ads, open_ads == {most}")
    scenario = scenario_of(config, max(config.growth_users))
    feasible.check(scenario)
    feasible.check_worlds(scenario, [config.seed])


def scenario_of(config: ServingConfig, users: int = 1) -> Scenario:
    """The scenario with so many times its users, on a day that leaves the rows that are wanted."""
    scenario = load(config.scenario, small=config.small)
    world = scenario.world.model_dump() | {"users": users * scenario.world.users}
    traffic = {"requests_per_day": max(2 * config.rows // scenario.auction.slots, 50)}
    return scenario.model_copy(
        update={
            "world": validated(WorldConfig, world, "growth_users"),
            "traffic": scenario.traffic.model_copy(update=traffic),
        }
    )
