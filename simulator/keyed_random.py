"""Randomness by key: every draw is a pure function of (seed, purpose, ids), so no draw depends on any other.

``uniforms(seed, "click", request, ad)`` broadcasts the ids like numpy does and hashes each key on its own. Skipping,
adding or permuting events changes no other draw, and two arms that meet the same key meet the same luck.

The hash chains the 64-bit finaliser of MurmurHash3 in Stafford's "mix 13" variant (the one of SplitMix64, Steele et
al., OOPSLA 2014): ``h <- mix(h + PHI * (id + 1))`` once per id. For a fixed ``h`` each step is a bijection of the id,
so two different ids never collide within a step.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Words = npt.NDArray[np.uint64]

_PHI = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)
_BLOCK = 1 << 15
"""Words hashed at a time: two buffers of this size stay in the second-level cache."""


def _mix(h: Words, scratch: Words) -> None:
    """Finalise ``h`` in place; ``scratch`` has the same shape."""
    np.right_shift(h, _S30, out=scratch)
    np.bitwise_xor(h, scratch, out=h)
    np.multiply(h, _M1, out=h)
    np.right_shift(h, _S27, out=scratch)
    np.bitwise_xor(h, scratch, out=h)
    np.multiply(h, _M2, out=h)
    np.right_shift(h, _S31, out=scratch)
    np.bitwise_xor(h, scratch, out=h)


@lru_cache(maxsize=4096)
def _origin(seed: int, purpose: str) -> np.uint64:
    """The chain's first word: a cryptographic hash, so neighbouring seeds and purposes share nothing."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def words(seed: int, purpose: str, *ids: Any) -> Words:
    """Uniform 64-bit words, one per broadcast key.

    Args:
        seed: the world's seed.
        purpose: what the draw decides, e.g. ``"click"``; two purposes share nothing.
        ids: integers or integer arrays, broadcast against each other; at least one.

    Returns:
        uint64 array of the broadcast shape.
    """
    arrays = [np.asarray(i) for i in ids]
    if not arrays or any(a.dtype.kind not in "iu" for a in arrays):
        raise ValueError(f"ids == {[str(a.dtype) for a in arrays]}, must be at least one array of integers")
    # Ids are folded in order while they still have few elements: a [R, 1] id costs R hashes, not R x K.
    h: Words = np.full(1, _origin(seed, purpose), dtype=np.uint64)
    for a in arrays:
        h = _fold(h, a.astype(np.uint64))
    return h.reshape(np.broadcast_shapes(*(a.shape for a in arrays)))


def _fold(h: Words, ids: Words) -> Words:
    """One step of the chain: broadcast once, then finalise blockwise in cache."""
    # Order C: numpy may lay a broadcast sum out by columns, and then `reshape` would mix a copy.
    out: Words = np.add(h, np.atleast_1d(ids + np.uint64(1)) * _PHI, order="C")
    flat = out.reshape(-1)
    scratch = np.empty(min(flat.size, _BLOCK), dtype=np.uint64)
    for i in range(0, flat.size, _BLOCK):
        block = flat[i : i + _BLOCK]
        _mix(block, scratch[: block.size])
    return out


def uniforms(seed: int, purpose: str, *ids: Any) -> npt.NDArray[np.float64]:
    """Uniform draws in the open interval (0, 1), one per broadcast key; arguments as in :func:`words`."""
    bits = words(seed, purpose, *ids)
    np.right_shift(bits, np.uint64(12), out=bits)
    out = bits.astype(np.float64)
    out += 0.5
    out *= 2.0**-52
    return out


def normals(seed: int, purpose: str, *ids: Any) -> npt.NDArray[np.float64]:
    """Standard normal draws by the inverse cdf, one per broadcast key."""
    return np.asarray(ndtri(uniforms(seed, purpose, *ids)))


def gumbels(seed: int, purpose: str, *ids: Any) -> npt.NDArray[np.float64]:
    """Standard Gumbel draws (the noise under which an argmax samples from a softmax)."""
    return np.asarray(-np.log(-np.log(uniforms(seed, purpose, *ids))))


def integers(seed: int, purpose: str, high: int, *ids: Any) -> npt.NDArray[np.int64]:
    """Integers ``0 <= draw < high``, one per broadcast key (multiply-shift; bias under high / 2**52)."""
    if high < 1:
        raise ValueError(f"high == {high}, must be at least 1")
    return (uniforms(seed, purpose, *ids) * high).astype(np.int64)


def subseed(seed: int, purpose: str) -> int:
    """A seed for a generator that is not ours (torch's), in [0, 2**31): (world seed, role), never an arm's name."""
    return int(_origin(seed, purpose) & np.uint64(0x7FFFFFFF))
