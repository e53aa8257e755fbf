"""Keyed draws."""

from __future__ import annotations

import numpy as np

from .benchmark import Benchmark, Case

N = 200_000
GRID = (4_000, 50)


def uniforms() -> Case:
    """Uniforms by one key each."""
    from simulator.keyed_random import uniforms

    ids = np.arange(N)

    def check(u: np.ndarray) -> None:
        assert u.shape == (N,)
        assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * N)
        assert u[123_456] == uniforms(1, "click", 123_456)

    return Case(lambda _: uniforms(1, "click", ids), check)


def uniforms_over_a_grid() -> Case:
    """Uniforms by two keys each."""
    from simulator.keyed_random import uniforms

    request, ad = np.arange(GRID[0])[:, None], np.arange(GRID[1])

    def check(u: np.ndarray) -> None:
        assert u.shape == GRID
        assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * N)
        assert u[777, 7] == uniforms(1, "click", 777, 7)

    return Case(lambda _: uniforms(1, "click", request, ad), check)


def normals() -> Case:
    """Normals by one key each."""
    from simulator.keyed_random import normals

    ids = np.arange(N)

    def check(x: np.ndarray) -> None:
        assert abs(x.mean()) < 4 / np.sqrt(N)
        assert abs(x.std() - 1) < 4 / np.sqrt(2 * N)

    return Case(lambda _: normals(1, "theta", ids), check)


BENCHMARKS = [
    Benchmark(name="draws/uniforms", setup=uniforms, sizes={"draws": N}, work=("draws", N), pure=True),
    Benchmark(name="draws/uniforms-grid", setup=uniforms_over_a_grid, sizes={"draws": N}, work=("draws", N), pure=True),
    Benchmark(name="draws/normals", setup=normals, sizes={"draws": N}, work=("draws", N), pure=True),
]
