"""A scenario: a named, whole configuration. A TOML file overrides fields of sections; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from simulator.auction import AuctionConfig
from simulator.config import MOST_SEED, Section, merged, overrides, parsed, shown, validated
from simulator.conversion import ConversionConfig
from simulator.feasible import check
from simulator.feedback import FeedbackConfig
from simulator.marketplace import CascadeConfig, MarketConfig
from simulator.pacing import PacingConfig
from simulator.plugins import nearest
from simulator.records import MOST_IDS
from simulator.traffic import TrafficConfig
from simulator.world import WorldConfig

DEFAULT = "quickstart"
MOST_DAYS = 36_500
MOST_WORLDS = 10_000
JOINER = "\u200d"
"""Makes one sign of several emoji, and one letter of several in some scripts."""
MOST_LETTERS = 64
"""Of a scenario's name, which is part of folders' names."""


def _as_a_name(text: str) -> str:
    """A name that is a file's name on every system and shows on every terminal."""
    plain = text.isprintable() and not set(text) & set('/\\:*?"<>|')
    if not (plain and text == text.strip() and 0 < len(text) <= MOST_LETTERS and text[0] not in ".-"):
        raise ValueError(
            f"must be 1 to {MOST_LETTERS} letters that a folder's name may have, without / and not begun by . or -"
        )
    return text


def _as_prose(text: str) -> str:
    """Text without what a terminal would obey."""
    if not "".join(text.split()).replace(JOINER, "").isprintable():
        raise ValueError("must be text without control characters")
    return text


class LoggingConfig(Section):
    """The cascade that makes the burn-in log: popularity with exploration, and a ranker. None of the compared arms."""

    temperature: float = Field(1.0, ge=0, le=1e6, description="of the Gumbel noise on log(rate x bid)")
    pool: int = Field(100, ge=1, le=MOST_IDS, description="keyed proposals per request that compete for the K places")


class RunConfig(Section):
    """Length and number of the worlds of a study, and the samples that its measures use."""

    burn_in: int = Field(20, ge=1, le=MOST_DAYS, description="days")
    days: int = Field(6, ge=1, le=MOST_DAYS, description="days of the test, after the arms part")
    worlds: int = Field(5, ge=1, le=MOST_WORLDS, description="twin worlds, the unit of every interval")
    seed: int = Field(1, ge=0, le=MOST_SEED - MOST_WORLDS, description="worlds are seed, seed + 1, ...")
    panel: int = Field(300, ge=1, le=MOST_IDS, description="requests of the daily panel")
    evaluation: int = Field(1000, ge=1, le=MOST_IDS, description="requests of the final evaluation")
    tau: int = Field(
        200, ge=1, le=MOST_IDS, description="of these, requests with the evaluation ranker's order of all ads"
    )
    ladder_worlds: int = Field(
        3, ge=0, le=MOST_WORLDS, description="worlds in which `ab` also runs the bare tower; 0: none"
    )
    ladder_days: int = Field(3, ge=1, le=MOST_DAYS, description="first test days that the ladder compares")
    latency: int = Field(1000, ge=1, le=MOST_IDS, description="timed single requests per arm")


class Scenario(Section):
    """Everything that a run depends on, but for the arms."""

    name: Annotated[str, AfterValidator(_as_a_name)]
    about: Annotated[str, AfterValidator(_as_prose)] = ""
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
    text, label = _read(name)
    values = parsed(text, f"scenario {shown(name)}")
    smaller = values.pop("small", {})
    if not isinstance(smaller, dict):
        raise ValueError(f"scenario {shown(name)}: small == {shown(smaller)}, must be a table")
    typed = overrides(sets)
    # Both are built, so that a typo in the small form is seen without it.
    forms = [merged(merged({"name": label} | values, over), typed) for over in ({}, smaller)]
    whole, small_one = (validated(Scenario, form, f"scenario {shown(label)}") for form in forms)
    scenario = small_one if small else whole
    check(scenario)
    return scenario


def _read(name: str) -> tuple[str, str]:
    """Text and label of a scenario by its name or path."""
    if name in names():
        return resources.files("simulator.scenarios").joinpath(f"{name}.toml").read_text("utf-8"), name
    if not name.endswith(".toml"):
        hint = "; a path must end in .toml" if "/" in name or "." in name else nearest(name, names())
        raise ValueError(f"scenario == {shown(name)}, must be one that exists{hint}")
    path = Path(name)
    try:
        if not path.is_file():
            raise ValueError(f"scenario == {shown(name)}, must be a readable file")
        # Windows' editors put a mark at the front, which is no TOML.
        return path.read_text(encoding="utf-8-sig"), path.stem
    except UnicodeDecodeError as error:
        raise ValueError(f"scenario {shown(name)}: {error}, must be a text file in UTF-8") from None
    except OSError as error:
        raise ValueError(f"scenario {shown(name)}: {error.strerror or error}") from None
