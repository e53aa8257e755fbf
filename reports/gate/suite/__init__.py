"""The registry of benchmarks: one list feeds ``tests/bench`` and the gate.

Reading order: ``benchmark`` (what one is), ``world`` (the market they share), then by subject ``draws``, ``market``,
``search``, ``stores``, ``towers``, ``served``. ``manifest.toml`` declares what must be there.

The gate runs these files, those of the head, over the packages of another revision as well. So they know each other by
relative imports only, and import what they benchmark when they are set up; what has moved since is ``moved``.
"""

from __future__ import annotations

from . import draws, market, search, served, stores, towers
from .benchmark import Benchmark, Case

__all__ = ["BENCHMARKS", "Benchmark", "Case"]

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one for part in (draws, search, stores, market, towers, served) for one in part.BENCHMARKS
}
