"""Where the published vectors live that serving reads: one protocol, three places.

    place                 class           survives a restart   shared by processes
    arrays in the process EmbeddedStore   no                   no
    a memory-mapped file  MappedStore     yes                  one writer, many readers on one machine
    a Valkey/Redis server ServerStore     as the server does   one writer, many readers

They are in ``cs3.embedded``, ``cs3.mapped`` and ``cs3.server``. A store keeps one table: vectors by key, all of one
width, made in the space of one ranker (or of none), as of one version, the time of the publication. A ``VectorTable``
that was given a store puts what changed there at each ``publish`` and serves from it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from cs3.versions import EVER


class VectorStore(Protocol):
    """One table of published vectors.

    Attributes:
        rows: keys are in [0, rows).
        width: columns of a vector.
    """

    @property
    def rows(self) -> int:
        """Number of keys."""
        ...

    @property
    def width(self) -> int:
        """Columns of a vector."""
        ...

    def version(self) -> int:
        """Time of the last publication, ``cs3.versions.EVER`` before the first."""
        ...

    def fetch(self, keys: Tensor) -> Tensor:
        """Vectors of keys [n], integers -> float32 [n, width], a copy; zeros where there is none (a cold key)."""
        ...

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool = False) -> None:
        """Publishes vectors [n, width] of distinct keys [n]; a reader sees all of it or none.

        Args:
            keys: integers [n] in [0, rows).
            vectors: float [n, width], finite.
            version: time of the publication, never before the last one unless ``replace``.
            replace: every other key turns cold in the same step.

        Raises:
            ValueError: for bad keys, vectors or version; nothing is written then.
        """
        ...

    def clear(self) -> None:
        """Back to no publication: every key cold."""
        ...

    def close(self) -> None:
        """Lets go of the memory or the connection; what was published stays where it is."""
        ...


class Stores(Protocol):
    """The stores of one arm, opened by table, and which ranker's cascade vectors are served."""

    def ranker(self) -> str:
        """Tag of the ranker whose cascade vectors are served; "" before the first ``switch``."""
        ...

    def switch(self, ranker: str) -> None:
        """Names the ranker whose cascade vectors are served from now on: one atomic step for users and items."""
        ...

    def open(self, table: str, *, rows: int, width: int, ranker: str = "") -> VectorStore:
        """The store of a table of a ranker's space, made if it is not there.

        Args:
            table: e.g. "cross-users", "cascade-items".
            rows: number of keys.
            width: columns of a vector.
            ranker: tag of the ranker in whose space the vectors are; "" for cross vectors.

        Raises:
            ValueError: when what is there is of another version or width; it stays as it is.
        """
        ...


def checked_keys(keys: Tensor, rows: int) -> Tensor:
    """Keys as int64 [n] on the CPU.

    Raises:
        ValueError: unless they are one row of integers in [0, rows).
    """
    if keys.dim() != 1 or keys.is_floating_point() or keys.dtype == torch.bool:
        raise ValueError(f"keys == {keys.dtype} {tuple(keys.shape)}, must be integers [n]")
    keys = keys.to(device="cpu", dtype=torch.int64)
    if keys.numel():
        low, high = torch.aminmax(keys)
        if int(low) < 0 or int(high) >= rows:
            raise ValueError(f"keys == {int(low)}..{int(high)}, must be in [0, {rows})")
    return keys


def checked_publication(keys: Tensor, vectors: Tensor, *, rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Keys int64 [n] and vectors float32 [n, width] of one publication, on the CPU.

    Raises:
        ValueError: for unknown or repeated keys, another width, or vectors that are not finite.
    """
    keys = checked_keys(keys, rows)
    ascending = bool((keys[1:] > keys[:-1]).all())  # as a table gives them, and then surely distinct
    if not ascending and (distinct := torch.unique(keys).numel()) != keys.numel():
        raise ValueError(f"keys == {keys.numel()} of which {distinct} distinct, must all be distinct")
    if tuple(vectors.shape) != (keys.numel(), width):
        raise ValueError(f"vectors.shape == {tuple(vectors.shape)}, must be {(keys.numel(), width)}")
    if not vectors.is_floating_point():
        raise ValueError(f"vectors.dtype == {vectors.dtype}, must be a float type")
    vectors = vectors.detach().to(device="cpu", dtype=torch.float32)
    # A finite sum proves finite values at a fraction of the cost; a sum may overflow where the values do not.
    if not bool(vectors.sum().isfinite()) and not bool(vectors.isfinite().all()):
        wrong = int((~vectors.isfinite()).sum())
        raise ValueError(f"vectors == {wrong} of {vectors.numel()} not finite, must all be finite")
    return keys, vectors


def checked_version(version: int, last: int, *, replace: bool) -> None:
    """Says whether a publication may follow the last one.

    Raises:
        ValueError: when it adds to the last one and is older, or its version does not fit int64.
    """
    if not EVER < version < 2**63:
        raise ValueError(f"version == {version}, must be an int64 above {EVER}")
    if version < last and not replace:
        raise ValueError(f"version == {version}, must be at least {last}, that of the last publication")


def checked_size(rows: int, width: int) -> None:
    """Says whether a table has rows and columns.

    Raises:
        ValueError: when it has none.
    """
    for name, value in (("rows", rows), ("width", width)):
        if value < 1:
            raise ValueError(f"{name} == {value}, must be at least 1")
