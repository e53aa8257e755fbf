"""What later steps assume of a scenario and of its worlds, checked before anything runs; every refusal is one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simulator.footprint import too_large
from simulator.records import DAY
from simulator.world.demand import Demand, demand_of
from simulator.world.truth import arrivals

if TYPE_CHECKING:
    from simulator.scenario import Scenario

MILLI = 1000
LEAST_RATE = 1e-6
"""Of conversions, where there are any: bids per conversion are divided by it."""


def check(s: Scenario) -> None:
    """Refuse a scenario that cannot run or whose dials can only be a mistake.

    Raises:
        ValueError: one line: section.key, its value, what is wanted.
    """
    for faults in (_sizes, _shares, _clocks, too_large):
        for fault in faults(s):
            raise ValueError(fault)


def worlds_of(s: Scenario) -> range:
    """Seeds of a study's worlds."""
    return range(s.run.seed, s.run.seed + s.run.worlds)


def check_worlds(s: Scenario, seeds: Sequence[int]) -> None:
    """Refuse a scenario with a world that begins without a user or an ad, is without ads on some day, or sells nothing.

    Args:
        s: a scenario that :func:`check` lets pass.
        seeds: of its worlds.

    Raises:
        ValueError: one line: section.key, its value, what is wanted.
    """
    for seed in seeds:
        if not (arrivals(s.world, seed, s.all_days) < DAY).any():
            raise ValueError(
                f"world.new_users == {s.world.new_users}, must leave a user for the first day (world {seed})"
            )
        demand = demand_of(s.world, seed, s.all_days)
        for fault in (*_presence(s, demand), *_money(s, demand)):
            raise ValueError(f"{fault} (world {seed})")


def _sizes(s: Scenario) -> Iterator[str]:
    if s.cascade.candidates > s.world.ads:
        yield f"cascade.candidates == {s.cascade.candidates}, must be at most world.ads == {s.world.ads}"
    if s.auction.slots > s.cascade.candidates:
        yield f"auction.slots == {s.auction.slots}, must be at most cascade.candidates == {s.cascade.candidates}"
    if s.auction.pricing == "vcg" and not np.float32(s.feedback.examine_decay ** (s.auction.slots - 1)) > 0:
        yield (
            f"feedback.examine_decay == {s.feedback.examine_decay}, must leave the last of auction.slots == "
            f"{s.auction.slots} slots a chance to be examined: VCG divides by it"
        )


def _shares(s: Scenario) -> Iterator[str]:
    if s.world.new_ads == 1:
        yield "world.new_ads == 1.0, must be below 1: no ad would be there when the run begins"
    if s.world.new_users == 1:
        yield "world.new_users == 1.0, must be below 1: no user would be there when the run begins"
    if s.world.ocpc_share and not s.world.conversion_rate:
        yield f"world.ocpc_share == {s.world.ocpc_share}, must be 0 while world.conversion_rate == 0"
    if 0 < s.world.conversion_rate < LEAST_RATE:
        yield f"world.conversion_rate == {s.world.conversion_rate}, must be 0 or at least {LEAST_RATE}"


def _clocks(s: Scenario) -> Iterator[str]:
    """Times that only a wrong unit explains: with them nothing would be learned, or what is learned never published."""
    days = s.run.burn_in + s.run.days
    end, wait, sync, tick = days * DAY, s.feedback.label_wait, s.cascade.sync, s.cascade.tick
    of_the_run = f"must be below the run's {days} days, {end} seconds"
    if s.cascade.redesign_day >= days:
        yield f"cascade.redesign_day == {s.cascade.redesign_day}, must be below the run's {days} days"
    if wait >= end:
        yield f"feedback.label_wait == {wait}, {of_the_run}: no label would ever be ready{_in_seconds(wait, end)}"
    if sync >= end:
        yield f"cascade.sync == {sync}, {of_the_run}: nothing learned would ever be published{_in_seconds(sync, end)}"
    if sync % tick:
        yield f"cascade.sync == {sync}, must be a multiple of cascade.tick == {tick}"
    if -(-max(wait, 1) // sync) * sync >= end:
        yield (
            f"feedback.label_wait == {wait}, cascade.sync == {sync}, must let the first label be published within the "
            f"run's {days} days, {end} seconds{_in_seconds(max(wait, sync), end)}"
        )
    hours = s.conversion.wait_hours
    if s.world.ocpc_share and hours * 3600 >= end:
        yield (
            f"conversion.wait_hours == {hours:g}, must be below the run's {days} days, {24 * days} hours: the platform "
            f"would never learn a conversion rate{'; is it in seconds?' if hours >= 3600 else ''}"
        )


def _in_seconds(value: int, end: int) -> str:
    return f"; it is in seconds: are these {value} milliseconds?" if value // MILLI < end <= value else ""


def _presence(s: Scenario, demand: Demand) -> Iterator[str]:
    if not (demand.start <= 0).any():
        yield f"world.new_ads == {s.world.new_ads}, must leave an ad for the first tick"
    begins = np.arange(s.all_days)[:, None] * DAY
    if not ((demand.start <= begins) & (begins < demand.end)).any(axis=1).all():
        yield f"world.ending_ads == {s.world.ending_ads}, must leave an ad on every day"


def _money(s: Scenario, demand: Demand) -> Iterator[str]:
    """Nobody reaches the reserve, or can pay for a click: nothing could be sold."""
    if s.auction.reserve > demand.bid.max():
        yield f"auction.reserve == {s.auction.reserve}, must be at most the best bid, {demand.bid.max():.6g}"
    if not (demand.budget[demand.campaign] >= demand.bid).any():
        yield f"world.budget_clicks == {s.world.budget_clicks}, must pay for one click of some ad"
