"""How much memory a scenario needs at the least, against what this machine has: what cannot fit is never allocated."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.records import DAY

if TYPE_CHECKING:
    from simulator.scenario import Scenario

GIGA = 1e9
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container's limit is written: cgroups 2 and 1."""


def too_large(s: Scenario) -> Iterator[str]:
    """One line, if the scenario cannot fit: the need, the machine's memory, what to lower."""
    there, parts = memory(), needs(s)
    need = sum(parts.values())
    if need > there:
        what, keys = max(parts.items(), key=lambda part: part[1])[0].split(": ")
        yield (
            f"{keys}, must be lower: the run needs at least {need / GIGA:,.1f} GB, "
            f"{max(parts.values()) / GIGA:,.1f} GB of them for {what}, and this machine has {there / GIGA:,.1f} GB"
        )


def fits(need: int, keys: str) -> None:
    """Refuse arrays that this machine cannot hold.

    Args:
        need: bytes, at the least.
        keys: what sizes them, with its value.

    Raises:
        ValueError: one line.
    """
    there = memory()
    if need > there:
        raise ValueError(
            f"{keys}, must be lower: at least {need / GIGA:,.1f} GB are needed, and this machine has "
            f"{there / GIGA:,.1f} GB"
        )


def memory() -> int:
    """Bytes that this process may have: the machine's memory, or less where a limit is set."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    found += [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    for path in LIMITS:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        found += [int(text)] if text.isdecimal() else []
    return min(found)


def needs(s: Scenario) -> Mapping[str, int]:
    """Bytes of the largest arrays that one world's cell holds at a time, each by what it is and the keys that size it.

    Every one is a floor: what is really allocated is more. Widths are those of the arrays' own docs.
    """
    w, run, days = s.world, s.run, s.all_days
    requests, K = s.traffic.requests_per_day, s.cascade.candidates
    in_a_tick = requests * s.cascade.tick // DAY
    asked = max(run.panel, run.evaluation, run.latency)
    users, ads, length = f"world.users == {w.users}", f"world.ads == {w.ads}", f"{days - 1} days"
    return {
        f"users: {users}, {length}": w.users * (64 * days + 128 + 100),
        f"histories: {users}, world.history_length == {w.history_length}, {length}": 4
        * w.users
        * w.history_length
        * (days + 1),
        f"ads: {ads}": w.ads * (128 + 64 + 100),
        f"campaigns: {ads}": 40 * round(w.ads / w.ads_per_campaign),
        f"crosses: world.segments == {w.segments}, world.categories == {w.categories}": 4
        * w.categories
        * (w.segments + days),
        f"requests: traffic.requests_per_day == {requests}": 80 * requests,
        f"candidates of a tick: traffic.requests_per_day == {requests}, cascade.candidates == {K}": 40 * in_a_tick * K,
        f"samples of requests x ads: run.panel, run.evaluation, run.latency == {asked} at most, {ads}": 20
        * asked
        * w.ads,
    }
