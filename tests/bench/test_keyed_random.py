"""Speed of keyed draws; each benchmark also checks what it drew."""

from __future__ import annotations

import numpy as np

from simulator.keyed_random import normals, uniforms

N = 1_000_000


def test_a_million_uniforms(benchmark):
    ids = np.arange(N)
    u = benchmark(uniforms, 1, "click", ids)
    assert u.shape == (N,)
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * N)
    assert u[123_456] == uniforms(1, "click", 123_456)


def test_a_million_uniforms_over_a_grid(benchmark):
    request, ad = np.arange(20_000)[:, None], np.arange(50)
    u = benchmark(uniforms, 1, "click", request, ad)
    assert u.shape == (20_000, 50)
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * N)
    assert u[777, 7] == uniforms(1, "click", 777, 7)


def test_a_million_normals(benchmark):
    x = benchmark(normals, 1, "theta", np.arange(N))
    assert abs(x.mean()) < 4 / np.sqrt(N)
    assert abs(x.std() - 1) < 4 / np.sqrt(2 * N)
