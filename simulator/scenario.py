"""A scenario: a named, whole configuration. A TOML file overrides fields of sections; an unknown key is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from simulator.auction import AuctionConfig
from simulator.config import Section, merged, overrides, validated
from simulator.conversion import ConversionConfig
from simulator.feedback import FeedbackConfig
from simulator.marketplace import CascadeConfig, MarketConfig
from simulator.pacing import PacingConfig
from simulator.plugins import nearest
from simulator.traffic import TrafficConfig
from simulator.world import WorldConfig

DEFAULT = "quickstart"


class LoggingConfig(Section):
    """The cascade that makes the burn-in log: popularity with exploration, and a ranker. None of the compared arms."""

    temperature: float = Field(1.0, ge=0, description="of the Gumbel noise on log(rate x bid)")
    pool: int = Field(100, ge=1, description="keyed proposals per request that compete for the K places")


class RunConfig(Section):
    """Length and number of the worlds of a study, and the samples that its measures use."""

    burn_in: int = Field(20, ge=1, description="days")
    days: int = Field(6, ge=1, description="days of the test, after the arms part")
    worlds: int = Field(5, ge=1, description="twin worlds, the unit of every interval")
    seed: int = Field(1, ge=0, description="worlds are seed, seed + 1, ...")
    panel: int = Field(300, ge=1, description="requests of the daily panel")
    evaluation: int = Field(1000, ge=1, description="requests of the final evaluation")
    tau: int = Field(200, ge=1, description="of these, requests with the evaluation ranker's order of all ads")
    ladder_worlds: int = Field(3, ge=0, description="worlds in which `ab` also runs the bare tower; 0: none")
    ladder_days: int = Field(3, ge=1, description="first test days that the ladder compares")
    latency: int = Field(1000, ge=1, description="timed single requests per arm")


class Scenario(Section):
    """Everything that a run depends on, but for the arms."""

    name: str
    about: str = ""
    world: WorldConfig = WorldConfig()
    traffic: TrafficConfig = TrafficConfig()
    auction: AuctionConfig = AuctionConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    cascade: CascadeConfig = CascadeConfig()
    pacing: PacingConfig = PacingConfig()
    conversion: ConversionConfig = ConversionConfig()
    logging: LoggingConfig = LoggingConfig()
    run: RunConfig = RunConfig()

    @property
    def market(self) -> MarketConfig:
        """The sections that a market reads."""
        return MarketConfig(
            traffic=self.traffic,
            auction=self.auction,
            feedback=self.feedback,
            cascade=self.cascade,
            pacing=self.pacing,
            conversion=self.conversion,
        )

    @property
    def oldest_row(self) -> int:
        """Seconds that a row may be old when it is learned and published: models must remember what they knew then."""
        return self.feedback.label_wait + self.cascade.tick + self.cascade.sync

    @property
    def all_days(self) -> int:
        """Days that a world must know: burn-in, test, and the day after, on which the last panel looks."""
        return self.run.burn_in + self.run.days + 1


def names() -> list[str]:
    """The scenarios that ship with the package."""
    files = resources.files("simulator.scenarios").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load(name: str, *, small: bool = False, sets: Sequence[str] = ()) -> Scenario:
    """A scenario by name, or by the path of a TOML file.

    Args:
        name: one of :func:`names`, or a path ending in ``.toml``.
        small: also apply the file's ``[small]`` table.
        sets: overrides ``section.key=value``, the value in TOML (a bare word is a string).

    Raises:
        ValueError: one line: unknown name (with the nearest), key or value.
    """
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise ValueError(f"scenario == '{name}', must be a readable file")
        try:
            text, label = Path(name).read_text(encoding="utf-8"), Path(name).stem
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"scenario '{name}': {error}") from None
    elif name in names():
        text, label = resources.files("simulator.scenarios").joinpath(f"{name}.toml").read_text("utf-8"), name
    else:
        raise ValueError(f"scenario == '{name}', must be one that exists{nearest(name, names())}")
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"scenario '{name}': {error}") from None
    smaller = values.pop("small", {})
    if not isinstance(smaller, dict):
        raise ValueError(f"scenario '{name}': small == {smaller!r}, must be a table")
    if small:
        values = merged(values, smaller)
    values = merged(values, overrides(sets))
    scenario = validated(Scenario, {"name": label} | values, f"scenario '{label}'")
    _feasible(scenario)
    return scenario


def _feasible(s: Scenario) -> None:
    """Refuse a market that cannot run, before anything runs."""
    if s.cascade.candidates > s.world.ads:
        raise ValueError(f"cascade.candidates == {s.cascade.candidates}, must be at most world.ads == {s.world.ads}")
    if s.auction.slots > s.cascade.candidates:
        raise ValueError(
            f"auction.slots == {s.auction.slots}, must be at most cascade.candidates == {s.cascade.candidates}"
        )
    if s.cascade.sync % s.cascade.tick:
        raise ValueError(f"cascade.sync == {s.cascade.sync}, must be a multiple of cascade.tick == {s.cascade.tick}")
    if s.world.new_ads == 1:
        raise ValueError("world.new_ads == 1.0, must be below 1: no ad would be there when the run begins")
    if s.world.new_users == 1:
        raise ValueError("world.new_users == 1.0, must be below 1: no user would be there when the run begins")
    if s.world.ocpc_share and not s.world.conversion_rate:
        raise ValueError(f"world.ocpc_share == {s.world.ocpc_share}, must be 0 while world.conversion_rate == 0")
    last = s.run.burn_in + s.run.days
    if s.cascade.redesign_day >= last:
        raise ValueError(f"cascade.redesign_day == {s.cascade.redesign_day}, must be below the run's {last} days")
