"""Randomness by key: determinism, freedom from order, and the statistical quality of the hash.

Every statistical test runs on fixed seeds, so it cannot flicker; thresholds are those of a p value of about 1e-4 after
the number of looks that the test takes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simulator.keyed_random import gumbels, integers, normals, subseed, uniforms, words

N = 200_000
SEEDS = (0, 1, 2, 7, 11, 12, 13, 2**31 - 1, 2**63)
IDS = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def pinned(n: int = N, *, seed: int = 3, purpose: str = "click") -> np.ndarray:
    return uniforms(seed, purpose, np.arange(n))


class TestDeterminism:
    def test_known_answers(self):
        # A change of these numbers changes every published world.
        keys = words(11, "click", np.array([0, 1, 2**40]), np.array([5, 5, 5]))
        assert keys.tolist() == [6715501945395315154, 8686725603670628923, 474819130268329257]

    def test_one_key_by_the_published_formula(self):
        """SplitMix64's finaliser, chained, in Python's own integers."""

        def mix(h: int) -> int:
            h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
            h = (h ^ (h >> 27)) * 0x94D049BB133111EB % 2**64
            return h ^ (h >> 31)

        h = int.from_bytes(hashlib.blake2b(b"42:examine", digest_size=8).digest(), "little")
        for i in (123, 0, 77):
            h = mix((h + 0x9E3779B97F4A7C15 * (i + 1)) % 2**64)
        assert int(words(42, "examine", 123, 0, 77)) == h

    def test_another_process_draws_the_same(self):
        code = (
            "import numpy as np; from simulator.keyed_random import words; print(words(5, 'x', np.arange(4)).tolist())"
        )
        there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert there.stdout.strip() == str(words(5, "x", np.arange(4)).tolist())

    def test_arguments_are_left_alone(self):
        ids = np.arange(10, dtype=np.uint64)
        words(1, "x", ids, ids[:, None])
        assert ids.tolist() == list(range(10))


class TestOrder:
    def test_permuting_skipping_and_adding_change_no_other_draw(self):
        request, ad = np.arange(1000), np.arange(1000) % 37
        whole = uniforms(1, "click", request, ad)
        order = np.random.default_rng(0).permutation(1000)
        assert np.array_equal(uniforms(1, "click", request[order], ad[order]), whole[order])
        assert np.array_equal(uniforms(1, "click", request[::7], ad[::7]), whole[::7])
        assert np.array_equal(uniforms(1, "click", np.arange(5000), np.arange(5000) % 37)[:1000], whole)

    def test_blocks_leave_no_seam(self):
        """The hash works in blocks; a long array equals its keys one by one around the borders."""
        long = words(1, "x", np.arange(100_000))
        for i in (0, 32_767, 32_768, 65_535, 65_536, 99_999):
            assert long[i] == words(1, "x", i)

    @given(st.integers(0, 2**63 - 1), st.lists(st.tuples(IDS, IDS), min_size=1, max_size=20))
    def test_arrays_equal_scalars(self, seed, pairs):
        a, b = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
        assert words(seed, "x", a, b).tolist() == [int(words(seed, "x", i, j)) for i, j in pairs]

    @pytest.mark.parametrize(
        ("shapes", "out"),
        [
            (((6, 1), (5,)), (6, 5)),
            (((5,), (6, 1)), (6, 5)),
            (((), (4,)), (4,)),
            (((4,), ()), (4,)),
            (((), ()), ()),
            (((2, 1, 3), (4, 1), (1,)), (2, 4, 3)),
            (((3,), (4, 1), (2, 1, 1)), (2, 4, 3)),
            (((0, 1), (5,)), (0, 5)),
            (((1,), (1, 1)), (1, 1)),
        ],
    )
    def test_broadcasting_equals_the_broadcast_ids(self, shapes, out):
        rng = np.random.default_rng(1)
        ids = [np.asarray(rng.integers(-5, 1000, shape)) for shape in shapes]
        drawn = words(9, "x", *ids)
        assert drawn.shape == out
        assert np.array_equal(drawn, words(9, "x", *np.broadcast_arrays(*ids)))

    def test_memory_layout_does_not_matter(self):
        ids = np.arange(120).reshape(10, 12)
        drawn = words(1, "x", ids)
        assert np.array_equal(words(1, "x", np.asfortranarray(ids)), drawn)
        assert np.array_equal(words(1, "x", ids.T), drawn.T)
        assert np.array_equal(words(1, "x", ids[::2, ::-3]), drawn[::2, ::-3])

    def test_the_integer_type_does_not_matter(self):
        ids = np.arange(100)
        same = [words(1, "x", ids.astype(t)) for t in (np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64)]
        assert all(np.array_equal(same[0], other) for other in same[1:])
        assert words(1, "x", np.int32(-1)) == words(1, "x", -1) == words(1, "x", np.array([-1], dtype=np.int16))[0]

    def test_ids_are_ordered(self):
        i, j = np.arange(1000), np.arange(1000) + 1
        assert not (words(1, "x", i, j) == words(1, "x", j, i)).any()

    @pytest.mark.parametrize("ids", [(), (1.0,), (np.array([0.5]),), (True,), (np.array(["a"]),), (1, np.arange(3.0))])
    def test_bad_ids_are_named(self, ids):
        with pytest.raises(ValueError, match=r"^ids == .*, must be at least one array of integers$"):
            words(1, "x", *ids)


class TestUniformity:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_one_dimension(self, seed):
        u = pinned(seed=seed)
        assert stats.kstest(u, "uniform").pvalue > 1e-4
        assert stats.chisquare(np.bincount((u * 1000).astype(int), minlength=1000)).pvalue > 1e-4

    def test_p_values_over_seeds_are_uniform_themselves(self):
        """Too even is as wrong as too uneven."""
        p = [stats.kstest(pinned(2000, seed=seed), "uniform").pvalue for seed in range(400)]
        assert stats.kstest(p, "uniform").pvalue > 1e-3

    def test_open_interval(self):
        u = pinned(1_000_000)
        assert 0 < u.min() < 1e-5
        assert 1 > u.max() > 1 - 1e-5

    @pytest.mark.parametrize("stride", [1, 2, 1000, 86_400, 2**20, 2**32, 2**52])
    def test_ids_far_apart_or_aligned_to_bits(self, stride):
        ids = np.arange(2000, dtype=np.int64) * np.int64(stride)
        assert stats.kstest(uniforms(5, "x", ids), "uniform").pvalue > 1e-4

    def test_across_seeds_at_a_fixed_key(self):
        u = np.array([float(uniforms(seed, "click", 17, 4)) for seed in range(20_000)])
        assert stats.kstest(u, "uniform").pvalue > 1e-4

    def test_every_bit_is_fair(self):
        bits = np.unpackbits(words(1, "x", np.arange(N)).view(np.uint8).reshape(N, 8), axis=1)
        z = (bits.mean(axis=0) - 0.5) * 2 * np.sqrt(N)
        assert np.abs(z).max() < 4.6  # 64 looks

    def test_flipping_one_bit_of_an_id_flips_half_of_the_word(self):
        base = np.arange(4000, dtype=np.uint64)
        for bit in range(64):
            flipped = words(1, "x", base) ^ words(1, "x", base ^ np.uint64(1 << bit))
            share = np.unpackbits(flipped.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
            assert np.abs(share - 0.5).max() < 5.2 * 0.5 / np.sqrt(4000), f"bit {bit}"  # 4096 looks

    def test_no_collisions(self):
        grid = words(1, "x", np.arange(1000)[:, None], np.arange(1000))
        assert np.unique(grid).size == grid.size


def occupancy(u: np.ndarray, v: np.ndarray, cells: int = 16) -> float:
    """p value of the chi-square test that (u, v) fills the unit square evenly."""
    cell = (u * cells).astype(int) * cells + (v * cells).astype(int)
    return float(stats.chisquare(np.bincount(cell, minlength=cells**2)).pvalue)


PAIRS = {
    "next request": (uniforms(1, "x", 2 * np.arange(N), 3), uniforms(1, "x", 2 * np.arange(N) + 1, 3)),
    "next ad": (uniforms(1, "x", np.arange(N), 3), uniforms(1, "x", np.arange(N), 4)),
    "ids swapped": (uniforms(1, "x", np.arange(N) + 4, 3), uniforms(1, "x", 3, np.arange(N) + 4)),
    "one more id": (uniforms(1, "x", np.arange(N)), uniforms(1, "x", np.arange(N), 0)),
    "diagonal": (uniforms(1, "x", np.arange(N) + 1, 0), uniforms(1, "x", np.arange(N) + 1, np.arange(N) + 1)),
    "next seed": (uniforms(1, "x", np.arange(N)), uniforms(2, "x", np.arange(N))),
    "seed and id trade places": (uniforms(1, "x", np.arange(N)), uniforms(2, "x", np.arange(N) - 1)),
    "another purpose": (uniforms(1, "examine", np.arange(N)), uniforms(1, "click", np.arange(N))),
    "a purpose that begins alike": (uniforms(1, "click", np.arange(N)), uniforms(1, "click delay", np.arange(N))),
    "digits move from purpose to seed": (uniforms(1, "1:x", np.arange(N)), uniforms(11, ":x", np.arange(N))),
}


class TestIndependence:
    @pytest.mark.parametrize("name", PAIRS)
    def test_neighbours(self, name):
        u, v = PAIRS[name]
        assert not np.intersect1d(u[:1000], v[:1000]).size
        assert abs(np.corrcoef(u, v)[0, 1]) * np.sqrt(N) < 4.2
        assert abs(np.corrcoef(np.abs(u - 0.5), np.abs(v - 0.5))[0, 1]) * np.sqrt(N) < 4.2
        assert occupancy(u, v) > 1e-4

    def test_seeds_and_purposes_share_no_word(self):
        seen = np.concatenate([words(s, p, np.arange(5000)) for s in range(8) for p in ("click", "examine", "time")])
        assert np.unique(seen).size == seen.size

    def test_serial_correlations(self):
        u = pinned() - 0.5
        r = np.array([np.dot(u[:-lag], u[lag:]) for lag in range(1, 65)]) / np.dot(u, u)
        assert np.abs(r).max() * np.sqrt(N) < 4.6

    def test_rows_and_columns_of_a_grid(self):
        grid = uniforms(4, "x", np.arange(200)[:, None], np.arange(2000)) - 0.5
        for side in (grid, grid[:, :200].T):
            r = np.corrcoef(side)[np.triu_indices(200, 1)]
            assert np.abs(r).max() * np.sqrt(side.shape[1]) < 5.2  # 19,900 looks
            assert abs((r**2).mean() * side.shape[1] - 1) < 0.06

    def test_three_dimensions(self):
        u = pinned(300_000).reshape(-1, 3)
        cell = (u * 8).astype(int) @ np.array([64, 8, 1])
        assert stats.chisquare(np.bincount(cell, minlength=512)).pvalue > 1e-4

    def test_bernoulli_draws_of_neighbouring_seeds_agree_by_chance_only(self):
        hits = np.stack([pinned(seed=s) < 0.02 for s in range(10)]).astype(int)
        both = (hits @ hits.T)[np.triu_indices(10, 1)]
        assert np.abs((both - N * 4e-4) / np.sqrt(N * 4e-4)).max() < 4.6


class TestShapesOfLaws:
    def test_normal_moments_and_law(self):
        x = normals(1, "x", np.arange(N))
        assert abs(x.mean()) * np.sqrt(N) < 4
        assert abs(x.var() - 1) * np.sqrt(N / 2) < 4
        assert abs(stats.skew(x)) * np.sqrt(N / 6) < 4
        assert abs(stats.kurtosis(x)) * np.sqrt(N / 24) < 4
        assert stats.kstest(x, "norm").pvalue > 1e-4
        assert np.isfinite(normals(2, "x", np.arange(2_000_000))).all()

    def test_gumbel_law_and_its_argmax(self):
        assert stats.kstest(gumbels(1, "x", np.arange(N)), "gumbel_r").pvalue > 1e-4
        logit = np.log([0.5, 0.3, 0.15, 0.05])
        choice = (logit + gumbels(1, "choice", np.arange(50_000)[:, None], np.arange(4))).argmax(axis=1)
        assert stats.chisquare(np.bincount(choice), 50_000 * np.exp(logit)).pvalue > 1e-4

    @pytest.mark.parametrize("high", [1, 2, 7, 64, 1000])
    def test_integers(self, high):
        drawn = integers(1, "x", high, np.arange(N))
        assert drawn.dtype == np.int64
        assert drawn.min() >= 0
        assert drawn.max() < high
        assert high == 1 or stats.chisquare(np.bincount(drawn, minlength=high)).pvalue > 1e-4

    def test_integers_need_room(self):
        with pytest.raises(ValueError, match=r"^high == 0, must be at least 1$"):
            integers(1, "x", 0, np.arange(3))

    def test_all_laws_come_from_the_same_word(self):
        i = np.arange(100)
        assert np.array_equal(integers(1, "x", 10, i), np.floor(uniforms(1, "x", i) * 10))
        assert np.allclose(stats.norm.cdf(normals(1, "x", i)), uniforms(1, "x", i), atol=1e-12)

    @given(st.integers(-(2**70), 2**70), st.text(max_size=20))
    def test_subseed_suits_torch(self, seed, purpose):
        assert 0 <= subseed(seed, purpose) < 2**31

    def test_subseeds_differ_by_role_and_seed(self):
        drawn = [subseed(s, role) for s in range(100) for role in ("retriever", "ranker")]
        assert len(set(drawn)) == len(drawn)
