"""Published vectors in a memory-mapped file: they outlive the process, and others on the machine may read them.

The file, little-endian:

    bytes 0..4095   magic, 8 bytes; then int64: schema, rows, width, bytes a number, length of the ranker's tag; the tag
                    in UTF-8; at byte 2048 int64 ``sequence`` and the versions of the two heads
    heads           int32 [2, rows], padded to 4096
    slots           float32 [1 + 2 rows, width]

How a publication stays whole when its writer is killed: see ``cs3.embedded.TwoSlots``. Against a power cut, which may
keep pages in any order, there is ``durable``. The file takes its whole room on the disk when it is made: a disk that is
too full says so then, where a page that finds no room later would end the process.
"""

from __future__ import annotations

import mmap
import os
import secrets
import stat
import struct
import warnings
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor

from cs3.embedded import TwoSlots
from cs3.files import descriptor, lacks_room, locked, make, opened, told
from cs3.stores import (
    AnotherWriterError,
    StoreError,
    StoreMismatchError,
    VectorStore,
    all_finite,
    checked_keys,
    checked_name,
    checked_publication,
    checked_size,
    checked_version,
)
from cs3.versions import EVER

MAGIC = b"CS3VECT\0"
SCHEMA = 1
FLOAT = PLACE = 4
PAGE = 4096
STATE = 2048
HEADER = struct.Struct("<8s5q")
PATIENCE = 0.2
"""Seconds that a writer waits for one who opens the file, or who is about to be done; then it is told."""
MOST_ROWS = (2**31 - 2) // 2
"""Places of slots are int32."""


class MappedStore:
    """Vectors in a file: about 8 bytes a number on disk, as much of it in memory as is used.

    One process writes, any number read; each opens the file itself. A pickled store opens its file again.

    Attributes:
        path: the file.
        rows: number of keys.
        width: columns of a vector.
    """

    def __init__(
        self, path: str | os.PathLike[str], rows: int, width: int, *, ranker: str = "", durable: bool = False
    ) -> None:
        """Opens the file, or makes it with every key cold. Of several that make it at once, all open the same one.

        Args:
            path: the file; its folder must exist. One that may only be read is opened for reading.
            rows: number of keys.
            width: columns of a vector.
            ranker: tag of the ranker in whose space the vectors are.
            durable: each publication waits for the disk, so that it also outlives a power cut.

        Raises:
            ValueError: for rows, a width or a tag that cannot be.
            StoreMismatchError: when the file is no vector store, or one of another version, width, number of rows or
                ranker; it stays as it is.
            StoreError: when the file cannot be made or opened.
        """
        self.rows, self.width = rows, width = checked_size(rows, width)
        self._header, self._size = _header(rows, width, ranker), _size(rows, width)
        self.path = Path(path)
        self._again = partial(MappedStore, path, rows, width, ranker=ranker, durable=durable)
        with self._told():
            self._file, self._writable = self._opened()
            self._close_file = weakref.finalize(self, os.close, self._file)
            access = mmap.ACCESS_WRITE if self._writable else mmap.ACCESS_READ
            self._map = mmap.mmap(self._file, self._size, access=access)
        self._slots: TwoSlots | None = _slots(self._map, rows, width)
        self._base = self._slots.sequence()
        if durable:
            self._slots.commit = self._commit

    def version(self) -> int:
        """Time of the last publication."""
        return self._open().version()

    def fetch(self, keys: Tensor) -> Tensor:
        """Vectors of keys [n] -> float32 [n, width].

        Raises:
            ValueError: for bad keys.
            StoreMismatchError: when the store was closed, or its file is damaged.
        """
        slots = self._open()
        keys = checked_keys(keys, self.rows)
        with suppress(IndexError):
            found = slots.fetch(keys)
            if all_finite(found):
                return found
        raise StoreMismatchError(f"store '{self.path}' == damaged, must hold finite vectors in places that there are")

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool = False) -> None:
        """Publishes vectors [n, width] of distinct keys [n].

        Raises:
            ValueError: for bad keys, vectors or version; nothing is written then.
            AnotherWriterError: when another one publishes, or did and this one would add to it; nothing is written.
            StoreMismatchError: when the store was closed, or its file is damaged, replaced or gone.
            StoreError: when the file may only be read, or its disk is full.
        """
        keys, vectors = checked_publication(keys, vectors, rows=self.rows, width=self.width)
        with self._alone() as slots:
            version = checked_version(version, slots.version(), replace=replace)
            if not replace and slots.version() != EVER and slots.sequence() != self._base:
                raise self._another()
            slots.put(keys, vectors, version, replace=replace)

    def clear(self) -> None:
        """Back to no publication."""
        with self._alone() as slots:
            slots.put(torch.empty(0, dtype=torch.int64), torch.empty(0, self.width), EVER, replace=True)

    def close(self) -> None:
        """Lets go of the file; it is unmapped as soon as no fetch is at it."""
        self._slots = None
        self._close_file()
        with suppress(BufferError):  # a fetch is at it: unmapped with the last of them
            self._map.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._open()
        return self._again, ()

    def _opened(self) -> tuple[int, bool]:
        """The file, made if need be, and checked; and whether it may be written to."""
        start = self._header.ljust(STATE, b"\0") + struct.pack("<3q", 0, EVER, EVER)
        make(Path(os.path.realpath(self.path)), start, self._size)
        file, writable = descriptor(self.path)
        try:
            _check(file, self.path, self._header, self._size)
            if writable:
                self._fill_holes()
        except BaseException:
            os.close(file)
            raise
        return file, writable

    def _fill_holes(self) -> None:
        """Takes the room that the file of a former release lacks, unless a writer is at it, who did so."""
        with opened(self.path, os.O_RDWR) as file:
            if lacks_room(file, self._size) and locked(file, patience=0.0):
                os.posix_fallocate(file, 0, self._size)

    def _open(self) -> TwoSlots:
        """What is mapped, unless the file was cut since: to read beyond its end would end the process."""
        if self._slots is None:
            raise StoreMismatchError(f"store '{self.path}' == closed, must be open")
        _check(self._file, self.path, self._header, self._size)
        return self._slots

    @contextmanager
    def _alone(self) -> Iterator[TwoSlots]:
        """For one writer at a time, in whatever process or thread: a lock that ends with its holder."""
        slots = self._open()
        if not self._writable:
            raise StoreError(f"store '{self.path}' == read only, must be writable to publish")
        # Opened anew, since a forked process would share the lock of the file that is open.
        with self._told(), opened(self.path, os.O_RDWR) as file:
            if not os.path.sameopenfile(file, self._file):
                raise StoreMismatchError(f"store '{self.path}' == another file by now, must be opened anew")
            before = slots.sequence()
            if not locked(file, patience=PATIENCE):
                raise AnotherWriterError(f"store '{self.path}' == being written by another, must have one writer")
            if slots.sequence() != before:
                raise self._another()
            yield slots
            self._base = slots.sequence()

    def _another(self) -> AnotherWriterError:
        return AnotherWriterError(f"store '{self.path}' == changed meanwhile, must have one writer")

    def _commit(self, sequence: int) -> None:
        self._map.flush()
        self._open().state[0] = sequence
        self._map.flush(0, PAGE)

    def _told(self) -> AbstractContextManager[None]:
        return told(f"store '{self.path}' of {self._size} bytes")


class MappedStores:
    """The mapped files of one arm, in a folder of its own.

    Attributes:
        folder: where they are, ``TABLE.vectors`` or ``TABLE@RANKER.vectors``; the file ``ranker`` names the one served.
    """

    def __init__(self, folder: str | os.PathLike[str], *, durable: bool = False) -> None:
        """Makes the folder if it is not there.

        Args:
            folder: of one arm.
            durable: see ``MappedStore``.

        Raises:
            StoreError: when it cannot be made.
        """
        self.folder, self._durable = Path(folder), durable
        with told(f"folder '{self.folder}'"):
            self.folder.mkdir(parents=True, exist_ok=True)

    def ranker(self) -> str:
        """Tag of the ranker whose cascade vectors are served.

        Raises:
            StoreMismatchError: when the file that says so is damaged.
            StoreError: when it cannot be read.
        """
        path = self.folder / "ranker"
        with told(f"ranker '{path}'"):
            try:
                return path.read_text(encoding="utf-8")
            except FileNotFoundError:
                return ""
            except UnicodeDecodeError:
                damaged = f"ranker '{path}' == {path.read_bytes()[:40]!r}, must be UTF-8"
        raise StoreMismatchError(damaged)

    def switch(self, ranker: str) -> None:
        """Serves this ranker's cascade vectors from now on.

        Raises:
            ValueError: for a tag that is no text.
            StoreError: when it cannot be written; the former ranker is served then.
        """
        tag = checked_name("ranker", ranker, empty=True).encode()
        aside = self.folder / f".ranker.{secrets.token_hex(8)}"
        with told(f"ranker '{self.folder / 'ranker'}'"):
            try:
                with aside.open("wb") as file:
                    file.write(tag)
                    file.flush()
                    os.fsync(file.fileno())
                aside.replace(self.folder / "ranker")
            except BaseException:
                aside.unlink(missing_ok=True)
                raise

    def open(self, table: str, *, rows: int, width: int, ranker: str = "") -> VectorStore:
        """The store of a table of a ranker's space."""
        name = quote(checked_name("table", table), safe="")
        if checked_name("ranker", ranker, empty=True):
            name += f"@{quote(ranker, safe='')}"
        path = self.folder / f"{name}.vectors"
        return MappedStore(path, rows, width, ranker=ranker, durable=self._durable)


def _header(rows: int, width: int, ranker: str) -> bytes:
    tag = checked_name("ranker", ranker, empty=True).encode()
    if HEADER.size + len(tag) > STATE:
        raise ValueError(f"ranker == {len(tag)} bytes, must be at most {STATE - HEADER.size}")
    if rows > MOST_ROWS:
        raise ValueError(f"rows == {rows}, must be at most {MOST_ROWS}")
    if _size(rows, width) >= 2**63:
        raise ValueError(f"rows, width == {rows}, {width}, must fit a file of less than 2**63 bytes")
    return HEADER.pack(MAGIC, SCHEMA, rows, width, FLOAT, len(tag)) + tag


def _size(rows: int, width: int) -> int:
    return _slots_at(rows) + FLOAT * (1 + 2 * rows) * width


def _slots_at(rows: int) -> int:
    return PAGE + -(-PLACE * 2 * rows // PAGE) * PAGE


def _check(file: int, path: Path, wanted: bytes, size: int) -> None:
    """Says whether the file is the store that is wanted, also later: to read beyond its end would end the process."""
    kind = os.fstat(file)
    if not stat.S_ISREG(kind.st_mode):
        raise StoreMismatchError(f"store '{path}' == not a regular file, must be one")
    length = kind.st_size
    if length == size and os.pread(file, len(wanted), 0) == wanted:
        return
    found = os.pread(file, STATE, 0)
    if len(found) < HEADER.size or found[: len(MAGIC)] != MAGIC:
        raise StoreMismatchError(f"store '{path}' == not a vector store, must start with {MAGIC!r}")
    names = ("schema", "rows", "width", "bytes a number")
    for name, is_, must in zip(names, HEADER.unpack_from(found)[1:5], HEADER.unpack_from(wanted)[1:5], strict=True):
        if is_ != must:
            raise StoreMismatchError(f"store '{path}' {name} == {is_}, must be {must}")
    if not found.startswith(wanted):
        tag = found[HEADER.size : HEADER.size + HEADER.unpack_from(found)[5]].decode(errors="replace")
        raise StoreMismatchError(f"store '{path}' ranker == {tag!r}, must be {wanted[HEADER.size :].decode()!r}")
    what = "it was cut off" if length < size else "it was written to by something else"
    raise StoreMismatchError(f"store '{path}' bytes == {length}, must be {size}: {what}")


def _slots(memory: mmap.mmap, rows: int, width: int) -> TwoSlots:
    with warnings.catch_warnings():
        # Of memory that may only be read; nothing writes to the tensors of such a store.
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        return _mapped_slots(memory, rows, width)


def _mapped_slots(memory: mmap.mmap, rows: int, width: int) -> TwoSlots:
    state = torch.frombuffer(memory, dtype=torch.int64, count=3, offset=STATE)
    heads = torch.frombuffer(memory, dtype=torch.int32, count=2 * rows, offset=PAGE).view(2, rows)
    count = (1 + 2 * rows) * width
    slots = torch.frombuffer(memory, dtype=torch.float32, count=count, offset=_slots_at(rows)).view(-1, width)
    return TwoSlots(state, heads, slots)
