"""How a table of vectors lies in a hash: vectors packed by key, and ``meta``, which says what they are."""

from __future__ import annotations

import json
import secrets
from typing import Any

import torch
from torch import Tensor

from cs3.stores import StoreMismatchError, all_finite
from cs3.versions import EVER

SCHEMA = 1
DTYPE = "<f4"
FLOAT = 4


class Packed:
    """The layout of one table.

    Attributes:
        where: the store, as errors name it.
        kind: what ``meta`` must say: schema, width, dtype, ranker.
        width: columns of a vector.
    """

    def __init__(self, where: str, width: int, ranker: str) -> None:
        self.where, self.width = where, width
        self.kind = {"schema": SCHEMA, "width": width, "dtype": DTYPE, "ranker": ranker}
        self._known: tuple[bytes | None, int] = (None, EVER)

    def meta(self, version: int) -> bytes:
        """``meta`` of one publication, equal to that of no other one."""
        return json.dumps({**self.kind, "version": version, "by": secrets.token_hex(8)}).encode()

    def version(self, meta: bytes | None) -> int:
        """Checks ``meta`` as it was found; the same as last time is not read again.

        Raises:
            StoreMismatchError: when it is of another schema, width, dtype or ranker, or damaged.
        """
        known, version = self._known
        if meta == known:
            return version
        version = EVER if meta is None else self._read(meta)
        self._known = meta, version
        return version

    def pack(self, vectors: Tensor) -> list[bytes]:
        """Rows of float32 [n, width] as bytes."""
        room = bytearray(FLOAT * vectors.numel())
        if room:
            torch.frombuffer(room, dtype=torch.float32).view(vectors.shape).copy_(vectors)
        step = FLOAT * self.width
        return [bytes(room[first : first + step]) for first in range(0, len(room), step)]

    def unpack(self, keys: list[int], values: list[bytes]) -> Tensor:
        """Values of keys [n] -> float32 [n, width].

        Raises:
            StoreMismatchError: when one is of another length or not finite; it names the key.
        """
        if not values:
            return torch.zeros(0, self.width)
        wanted = FLOAT * self.width
        if set(map(type, values)) != {bytes} or set(map(len, values)) != {wanted}:
            lengths = (len(value) if isinstance(value, bytes) else -1 for value in values)
            key, length = next(pair for pair in zip(keys, lengths, strict=True) if pair[1] != wanted)
            raise self.mismatch(f"key {key} == {'no' if length < 0 else length} bytes, must be {wanted}")
        # A bytearray, since a tensor may be written to.
        found = torch.frombuffer(bytearray().join(values), dtype=torch.float32).view(-1, self.width)
        if not all_finite(found):
            row = int((~found.isfinite()).any(dim=1).nonzero()[0])
            wrong = int((~found[row].isfinite()).sum())
            raise self.mismatch(f"key {keys[row]} == {wrong} of {self.width} not finite, must all be finite")
        return found

    def mismatch(self, what: str) -> StoreMismatchError:
        """The error of a hash that is not as it must be."""
        return StoreMismatchError(f"{self.where} {what}")

    def _read(self, meta: bytes) -> int:
        try:
            found = json.loads(meta)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.mismatch(f"meta == {meta!r:.80}, must be a JSON object")
        for name, wanted in self.kind.items():
            self._same(name, found.get(name), wanted)
        version = found.get("version")
        if type(version) is not int or not EVER < version < 2**63:
            raise self.mismatch(f"version == {_short(version)}, must be an integer that fits int64")
        return version

    def _same(self, name: str, found: Any, wanted: object) -> None:
        if type(found) is not type(wanted) or found != wanted:
            raise self.mismatch(f"{name} == {_short(found)}, must be {wanted!r}")


def _short(found: object) -> str:
    """A value on one line; an integer of any length, which Python itself may refuse to write out."""
    return f"{found:#x}"[:80] if type(found) is int and abs(found) >= 2**64 else repr(found)[:80]
