"""Question: what memory and time does a market take as its users and ads grow?

``cs3bench growth`` lives one day of a market without models (random retriever, a ranker that looks a rate up) at each
multiple of the scenario's users or ads, the same number of requests, each size in a fresh process, twice: once for the
clock, once for memory, the peak of what Python and NumPy have allocated. The slope is its least-squares line.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field

from reports.studies.machine.manifests import made_by
from reports.studies.serving.latency import machine
from simulator import feasible
from simulator.config import MOST_SEED, Section, validated
from simulator.experiment import digest, write_json
from simulator.files import refuse_links
from simulator.marketplace import MarketConfig, Marketplace
from simulator.ranking import TableRanker
from simulator.records import MOST_IDS
from simulator.retrieval import RandomRetriever
from simulator.scenario import Scenario, load
from simulator.seal import seal_run
from simulator.world import WorldConfig, build

Dial = Literal["users", "ads"]


class GrowthConfig(Section):
    """What is measured.

    Attributes:
        scenario: the world that grows. small: its small form.
        multiples: of its users, then of its ads.
        requests: of the day, at every size.
        seed: of the world.
    """

    scenario: str = "quickstart"
    small: bool = False
    multiples: tuple[int, ...] = Field(default=(1, 4, 16, 64), min_length=2)
    requests: int = Field(default=20_000, ge=1, le=MOST_IDS)
    seed: int = Field(default=1, ge=0, le=MOST_SEED)

    def grown(self, dial: Dial, times: int) -> Scenario:
        """The scenario with so many times its users or its ads, on a day of so many requests."""
        s = load(self.scenario, small=self.small)
        world = s.world.model_dump() | {dial: times * getattr(s.world, dial)}
        return s.model_copy(
            update={
                "world": validated(WorldConfig, world, f"multiples == {self.multiples}"),
                "traffic": s.traffic.model_copy(update={"requests_per_day": self.requests}),
            }
        )

    def default_out(self) -> Path:
        """``runs/growth-DIGEST``."""
        return Path("runs") / f"growth-{digest({'config': self.model_dump(mode='json'), **made_by()})}"


def one_size(config: GrowthConfig, dial: Dial, times: int) -> dict[str, Any]:
    """One market's day at one size, in this process.

    Returns:
        ``size``, ``bytes`` (peak), ``build_seconds``, ``requests_per_second`` (CPU time).
    """
    scenario = config.grown(dial, times)
    built, lived = _day(scenario.world, scenario.market, config.seed)
    tracemalloc.start()
    _day(scenario.world, scenario.market, config.seed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "dial": dial,
        "size": getattr(scenario.world, dial),
        "bytes": peak,
        "build_seconds": built,
        "requests_per_second": config.requests / lived,
    }


def _day(config: WorldConfig, market: MarketConfig, seed: int) -> tuple[float, float]:
    """CPU seconds of building a world, and of its first day."""
    begin = time.process_time()
    world = build(config, seed, 1)
    built = time.process_time()
    rate = np.linspace(0.02, 0.08, world.catalog.ads.rows, dtype=np.float32)
    Marketplace(world, market, RandomRetriever(world.catalog, seed), TableRanker(rate)).run_day(0)
    return built - begin, time.process_time() - built


def line(size: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """Least-squares line, and the exponent of the two largest sizes: 1 is linear growth, below 1 is less.

    Args:
        size: ascending, two or more.
        values: at each.
    """
    slope, start = np.polyfit(size, values, 1)
    last = np.log(values[-1] / values[-2]) / np.log(size[-1] / size[-2])
    return {"per_one": float(slope), "at_zero": float(start), "last_exponent": float(last)}


@contextmanager
def _enough_memory(dial: Dial, times: int) -> Iterator[None]:
    """One line for a size whose process ran out of memory, or ended otherwise before it had measured."""
    try:
        yield
    except MemoryError:
        raise ValueError(f"multiples == {times}, must be lower: out of memory with so many times the {dial}") from None
    except BrokenProcessPool:
        raise ValueError(
            f"multiples == {times}: the process with so many times the {dial} ended before it had measured, as one "
            "that is killed does; give the same command again, with a lower one if it was out of memory"
        ) from None


def run(config: GrowthConfig, out: Path, *, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Measure; writes ``results.json`` and ``growth.md`` into ``out``.

    Raises:
        ValueError: one line, for multiples that do not rise from 1.
    """
    if config.multiples[0] != 1 or not (np.diff(config.multiples) > 0).all():
        raise ValueError(f"multiples == {config.multiples}, must rise from 1")
    for dial in get_args(Dial):
        largest = config.grown(dial, config.multiples[-1])
        feasible.check(largest)
        feasible.check_worlds(largest, [config.seed])
    refuse_links(out)
    from tqdm import tqdm

    dials: tuple[Dial, ...] = ("users", "ads")
    asked = [(dial, times) for dial in dials for times in config.multiples]
    rows = []
    for dial, times in tqdm(asked, desc="growth", disable=quiet or None):
        # A process of its own: no size profits from what another one left warm.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone, _enough_memory(dial, times):
            rows.append(alone.submit(one_size, config, dial, times).result())
    fits = {}
    for dial in dials:
        mine = [row for row in rows if row["dial"] == dial]
        fits[dial] = line([row["size"] for row in mine], [row["bytes"] for row in mine])
    results = {
        "kind": "growth",
        "command": command,
        "config": config.model_dump(mode="json"),
        "machine": machine(),
        "rows": rows,
        "fits": fits,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", results)
    seal_run(out)
    from reports.pages.serving.growth import write_growth

    write_growth(results, out)
    return results
