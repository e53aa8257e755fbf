"""Which files a real log was read from, and what was read of them.

What was read decides the numbers and has a digest of its own; the files' digests tell which of them brought a change.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reports.studies.machine import sources
from simulator.datasets.door import read_log
from simulator.datasets.log import RealLog
from simulator.experiment import read_json
from simulator.same_run import refuse_other

CODE = (".py", ".pyc")
"""A reader that lies in the log's folder is code."""

_listening: list[list[str]] = []
_held: list[ReadLog] = []


@dataclass(frozen=True, kw_only=True)
class ReadLog:
    """A log in memory, and where it came from.

    Attributes:
        asked: reader, folder and label wait.
        log: what was read.
        files: that were read.
        stamps: size and time of change of each.
    """

    asked: tuple[str, str, int]
    log: RealLog
    files: tuple[Path, ...]
    stamps: tuple[tuple[int, int], ...]

    @cached_property
    def content(self) -> str:
        """Digest of what was read."""
        return content(self.log)

    def told(self) -> dict[str, Any]:
        """What a manifest says of it: folder, digests of its files, and of what was read of them."""
        home = Path(self.asked[1]).resolve()
        digests = {path.relative_to(home).as_posix(): sources.of_bytes(path) for path in self.files}
        return {"folder": self.asked[1], "files": digests, "read": self.content}


def read_once(reader: str, folder: str, label_wait: int) -> ReadLog:
    """A log, kept in memory for all cells of this process until one of its files changes.

    Raises:
        ValueError: for an unknown reader, or a log that cannot be read.
    """
    asked = (reader, folder, label_wait)
    if not _held or _held[0].asked != asked or _held[0].stamps != _stamps(_held[0].files):
        _held.clear()
        with opened(Path(folder)) as files:
            log = read_log(reader, folder, label_wait=label_wait)
        _held.append(ReadLog(asked=asked, log=log, files=tuple(files), stamps=_stamps(files)))
    return _held[0]


def refuse_changed(read: ReadLog, root: Path) -> None:
    """Refuse a log that is not the one of the run, should somebody have changed it since the run began.

    Raises:
        ValueError: one line naming the files.
    """
    there = read_json(root / "manifest.json")
    data = there.get("made_of", {}).get("data")
    if data and data["read"] != read.content:
        refuse_other(root, there, {"identity": there["identity"], "made_of": there["made_of"] | {"data": read.told()}})


def _stamps(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    return tuple((found.st_size, found.st_mtime_ns) for found in (path.stat() for path in files if path.exists()))


@contextmanager
def opened(folder: Path) -> Iterator[list[Path]]:
    """The files of a folder that are opened in this block; all of its files if none was seen.

    Python announces each file that it opens, and so do our readers (``sys.audit``); a library that opens files on its
    own does not.
    """
    _hook()
    seen: list[str] = []
    found: list[Path] = []
    _listening.append(seen)
    try:
        yield found
    finally:
        _listening.remove(seen)
    home = folder.resolve()
    inside = {path for path in (Path(name).resolve() for name in seen) if path.is_relative_to(home)}
    read = [path for path in inside if path.suffix not in CODE and path.is_file()]
    found += sorted(read or (path for path in home.iterdir() if path.is_file()))


@cache
def _hook() -> None:
    """Listen, once in a process: what listens cannot be taken away."""

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes) or set(arguments[1] or "") & set("wax+"):
            return
        for seen in _listening:
            seen.append(os.fsdecode(arguments[0]))

    sys.addaudithook(heard)


def content(log: RealLog) -> str:
    """16 hex digits for all that models and measures get of a log; the reader's report is not among it."""
    found = hashlib.blake2b(digest_size=8)
    _add({one.name: getattr(log, one.name) for one in fields(log) if one.name != "report"}, found.update)
    return found.hexdigest()


def _add(value: Any, add: Callable[[Any], None]) -> None:
    """A record's parts with their names, arrays with type and shape."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        add(f"{value.dtype.str}{value.shape}".encode())
        add(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif isinstance(value, Mapping):
        for key in value:
            add(f"{key}:".encode())
            _add(value[key], add)
    elif isinstance(value, list | tuple | np.ndarray):
        for one in value:
            _add(one, add)
    else:
        add(f"{value!r};".encode())
