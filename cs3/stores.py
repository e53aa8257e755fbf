"""Where the published vectors live that serving reads: one protocol, three places.

    place                 class           survives a restart   shared by processes
    arrays in the process EmbeddedStore   no                   no
    a memory-mapped file  MappedStore     yes                  one writer, many readers on one machine
    a Valkey/Redis server ServerStore     as the server does   one writer, many readers

They are in ``cs3.embedded``, ``cs3.mapped`` and ``cs3.server``. A store keeps one table: vectors by key, all of one
width, made in the space of one ranker (or of none), as of one version, the time of the publication. A ``VectorTable``
that was given a store puts what changed there at each ``publish`` and serves from it.

What a caller did wrong is a ``ValueError``; what the place of the vectors did is a ``StoreError``, an ``OSError``:

    StoreAwayError        the server does not answer, or not now; later it may. A ``ConnectionError`` too.
    StoreMismatchError    what is there is of another kind, or damaged. A ``ValueError`` too.
    AnotherWriterError    of those, what was published there is not what this one would have added to.
    StoreError itself     the place refuses: a full disk, no permission, a wrong password.
"""

from __future__ import annotations

import operator
from typing import Protocol

import torch
from torch import Tensor

from cs3.versions import EVER

INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64)


class StoreError(OSError):
    """A store that cannot serve or publish; one line with the store and the file or the server, never a password."""


class StoreAwayError(StoreError, ConnectionError):
    """A server that does not answer, or says that it cannot now; the same may succeed later."""


class StoreMismatchError(StoreError, ValueError):
    """What is in the store is not what it must be: of another kind, damaged, or a store that was closed."""


class AnotherWriterError(StoreMismatchError):
    """Somebody else published meanwhile; nothing was written. Open the store anew, or ``replace`` all that is there."""


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
            AnotherWriterError: when somebody else publishes at the same time, or did since this store was opened or
                last put and this one would only add to it; nothing is written then.
            StoreError: when the store is away, refuses or is damaged.
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
            ValueError: for a name, a number of rows or a width that cannot be.
            StoreMismatchError: when what is there is of another version or width; it stays as it is.
            StoreError: when the store is away or refuses.
        """
        ...


def checked_keys(keys: Tensor, rows: int) -> Tensor:
    """Keys as int64 [n] on the CPU.

    Raises:
        ValueError: unless they are one row of integers in [0, rows).
    """
    if not isinstance(keys, Tensor):
        raise ValueError(f"keys == {type(keys).__name__}, must be a tensor of integers [n]")
    if keys.dim() != 1 or keys.dtype not in INTEGERS:
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
        ValueError: for unknown or repeated keys, another width, or vectors that are not finite as float32.
    """
    keys = checked_keys(keys, rows)
    ascending = bool((keys[1:] > keys[:-1]).all())  # as a table gives them, and then surely distinct
    if not ascending and (distinct := torch.unique(keys).numel()) != keys.numel():
        raise ValueError(f"keys == {keys.numel()} of which {distinct} distinct, must all be distinct")
    if not isinstance(vectors, Tensor):
        raise ValueError(f"vectors == {type(vectors).__name__}, must be a tensor of floats [n, {width}]")
    if tuple(vectors.shape) != (keys.numel(), width):
        raise ValueError(f"vectors.shape == {tuple(vectors.shape)}, must be {(keys.numel(), width)}")
    if not vectors.is_floating_point():
        raise ValueError(f"vectors.dtype == {vectors.dtype}, must be a float type")
    vectors = vectors.detach().to(device="cpu", dtype=torch.float32)
    if not all_finite(vectors):
        wrong = int((~vectors.isfinite()).sum())
        raise ValueError(f"vectors == {wrong} of {vectors.numel()} not finite, must all be finite")
    return keys, vectors


def all_finite(vectors: Tensor) -> bool:
    """Whether no value is NaN or infinite.

    A finite sum proves it at a fraction of the cost; a sum may overflow where the values do not.
    """
    return bool(vectors.sum().isfinite()) or bool(vectors.isfinite().all())


def checked_version(version: int, last: int, *, replace: bool) -> int:
    """The version of a publication that may follow the last one.

    Raises:
        ValueError: when it adds to the last one and is older, or is no integer that fits int64.
    """
    number = _integer("version", version)
    if not EVER < number < 2**63:
        raise ValueError(f"version == {number}, must be an int64 above {EVER}")
    if number < last and not replace:
        raise ValueError(f"version == {number}, must be at least {last}, that of the last publication")
    return number


def checked_size(rows: int, width: int) -> tuple[int, int]:
    """The rows and columns of a table.

    Raises:
        ValueError: when it has none, or they are no integers.
    """
    return _at_least_one("rows", rows), _at_least_one("width", width)


def checked_name(what: str, name: str, *, empty: bool = False) -> str:
    """A name that a store makes a key or a file name of.

    Raises:
        ValueError: when it is no text, has no letter though it must, or cannot be written in UTF-8.
    """
    if not isinstance(name, str) or not (name or empty):
        raise ValueError(f"{what} == {name!r}, must be a name")
    if not name.isascii() and name.encode(errors="replace").decode() != name:
        raise ValueError(f"{what} == {name!a}, must be text that UTF-8 can write")
    return name


def _at_least_one(what: str, value: int) -> int:
    number = _integer(what, value)
    if number < 1:
        raise ValueError(f"{what} == {number}, must be at least 1")
    return number


def _integer(what: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{what} == {value!r}, must be an integer") from None
