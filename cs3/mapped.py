"""Published vectors in a memory-mapped file: they outlive the process, and others on the machine may read them.

The file, little-endian:

    bytes 0..4095   magic, 8 bytes; then int64: schema, rows, width, bytes a number, length of the ranker's tag; the tag
                    in UTF-8; at byte 2048 int64 ``sequence`` and the versions of the two heads
    heads           int32 [2, rows], padded to 4096
    slots           float32 [1 + 2 rows, width]

How a publication stays whole when its writer is killed: see ``cs3.embedded.TwoSlots``. Pages that were never written
take no disk space. Against a power cut, which may keep pages in any order, there is ``durable``.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from urllib.parse import quote

import torch
from torch import Tensor

from cs3.embedded import TwoSlots
from cs3.stores import VectorStore, checked_keys, checked_publication, checked_size, checked_version
from cs3.versions import EVER

MAGIC = b"CS3VECT\0"
SCHEMA = 1
FLOAT = PLACE = 4
PAGE = 4096
STATE = 2048
HEADER = struct.Struct("<8s5q")


class MappedStore:
    """Vectors in a file: about 8 bytes a number on disk, as much of it in memory as is used.

    One process writes, any number read; each opens the file itself.

    Attributes:
        path: the file.
        rows: number of keys.
        width: columns of a vector.
    """

    def __init__(
        self, path: str | os.PathLike[str], rows: int, width: int, *, ranker: str = "", durable: bool = False
    ) -> None:
        """Opens the file, or makes it with every key cold.

        Args:
            path: the file; its folder must exist.
            rows: number of keys.
            width: columns of a vector.
            ranker: tag of the ranker in whose space the vectors are.
            durable: each publication waits for the disk, so that it also outlives a power cut.

        Raises:
            ValueError: when the file is no vector store, or one of another version, width, number of rows or ranker;
                it stays as it is.
        """
        checked_size(rows, width)
        self.path, self.rows, self.width = Path(path), rows, width
        header = _header(rows, width, ranker)
        if not self.path.exists():
            _make(self.path, header, _size(rows, width))
        _check(self.path, header, _size(rows, width))
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._slots: TwoSlots | None = _slots(self._map, rows, width)
        if durable:
            self._slots.commit = self._commit

    def version(self) -> int:
        """Time of the last publication."""
        return self._open().version()

    def fetch(self, keys: Tensor) -> Tensor:
        """Vectors of keys [n] -> float32 [n, width]."""
        return self._open().fetch(checked_keys(keys, self.rows))

    def put(self, keys: Tensor, vectors: Tensor, version: int, *, replace: bool = False) -> None:
        """Publishes vectors [n, width] of distinct keys [n]."""
        slots = self._open()
        keys, vectors = checked_publication(keys, vectors, rows=self.rows, width=self.width)
        checked_version(version, slots.version(), replace=replace)
        slots.put(keys, vectors, version, replace=replace)

    def clear(self) -> None:
        """Back to no publication."""
        self._open().put(torch.empty(0, dtype=torch.int64), torch.empty(0, self.width), EVER, replace=True)

    def close(self) -> None:
        """Unmaps the file."""
        self._slots = None
        self._map.close()

    def _open(self) -> TwoSlots:
        if self._slots is None:
            raise ValueError(f"store '{self.path}' == closed, must be open")
        return self._slots

    def _commit(self, sequence: int) -> None:
        self._map.flush()
        self._open().state[0] = sequence
        self._map.flush(0, PAGE)


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
        """
        self.folder, self._durable = Path(folder), durable
        self.folder.mkdir(parents=True, exist_ok=True)

    def ranker(self) -> str:
        """Tag of the ranker whose cascade vectors are served."""
        try:
            return (self.folder / "ranker").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def switch(self, ranker: str) -> None:
        """Serves this ranker's cascade vectors from now on."""
        aside = self.folder / f".ranker.{os.getpid()}"
        with aside.open("w", encoding="utf-8") as file:
            file.write(ranker)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.folder / "ranker")

    def open(self, table: str, *, rows: int, width: int, ranker: str = "") -> VectorStore:
        """The store of a table of a ranker's space."""
        name = f"{table}@{quote(ranker, safe='')}" if ranker else table
        path = self.folder / f"{name}.vectors"
        return MappedStore(path, rows, width, ranker=ranker, durable=self._durable)


def _header(rows: int, width: int, ranker: str) -> bytes:
    tag = ranker.encode()
    if HEADER.size + len(tag) > STATE:
        raise ValueError(f"ranker == {len(tag)} bytes, must be at most {STATE - HEADER.size}")
    return HEADER.pack(MAGIC, SCHEMA, rows, width, FLOAT, len(tag)) + tag


def _size(rows: int, width: int) -> int:
    return _slots_at(rows) + FLOAT * (1 + 2 * rows) * width


def _slots_at(rows: int) -> int:
    return PAGE + -(-PLACE * 2 * rows // PAGE) * PAGE


def _make(path: Path, header: bytes, size: int) -> None:
    """Writes an empty store beside the path, then moves it there: whoever opens the path finds a whole one."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(header)
        file.seek(STATE)
        file.write(struct.pack("<3q", 0, EVER, EVER))
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _check(path: Path, wanted: bytes, size: int) -> None:
    with path.open("rb") as file:
        found = file.read(STATE)
        length = file.seek(0, os.SEEK_END)
    if len(found) < HEADER.size or found[: len(MAGIC)] != MAGIC:
        raise ValueError(f"store '{path}' == not a vector store, must start with {MAGIC!r}")
    names = ("schema", "rows", "width", "bytes a number")
    for name, is_, must in zip(names, HEADER.unpack_from(found)[1:5], HEADER.unpack_from(wanted)[1:5], strict=True):
        if is_ != must:
            raise ValueError(f"store '{path}' {name} == {is_}, must be {must}")
    if not found.startswith(wanted):
        tag = found[HEADER.size : HEADER.size + HEADER.unpack_from(found)[5]].decode(errors="replace")
        raise ValueError(f"store '{path}' ranker == '{tag}', must be '{wanted[HEADER.size :].decode()}'")
    if length != size:
        raise ValueError(f"store '{path}' bytes == {length}, must be {size}: it was cut off")


def _slots(memory: mmap.mmap, rows: int, width: int) -> TwoSlots:
    state = torch.frombuffer(memory, dtype=torch.int64, count=3, offset=STATE)
    heads = torch.frombuffer(memory, dtype=torch.int32, count=2 * rows, offset=PAGE).view(2, rows)
    count = (1 + 2 * rows) * width
    slots = torch.frombuffer(memory, dtype=torch.float32, count=count, offset=_slots_at(rows)).view(-1, width)
    return TwoSlots(state, heads, slots)
