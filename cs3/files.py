"""Files that several processes open: made whole by one of them, locked by one at a time, with the stores' errors."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cs3.stores import StoreError


@contextmanager
def told(what: str) -> Iterator[None]:
    """What the file system refuses, as the store's error."""
    try:
        yield
        return
    except StoreError:
        raise
    except OSError as error:
        said = error.strerror or str(error)
    raise StoreError(f"{what} == not usable: {said}") from None


def make(path: Path, start: bytes, size: int) -> None:
    """Makes a file that begins so and is zero after it, unless there is one.

    It is made whole beside the path and then moved there, by one process at a time. The lock is the folder's, so that
    nothing of it stays; what a killed maker left is written over.
    """
    if os.path.lexists(path):
        return
    aside = path.with_name(f".{path.name}.new")
    with opened(path.parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
        locked(folder, patience=float("inf"))
        if os.path.lexists(path):
            return
        try:
            with opened(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW) as file:
                _fill(file, start, size)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def descriptor(path: Path) -> tuple[int, bool]:
    """A file opened for reading and writing, or for reading where that is all that is allowed; and which of the two."""
    try:
        return os.open(path, os.O_RDWR), True
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS):
            raise
    return os.open(path, os.O_RDONLY), False


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A file's descriptor, for as long as it is needed."""
    file = os.open(path, flags, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _fill(file: int, start: bytes, size: int) -> None:
    os.posix_fallocate(file, 0, size)
    os.pwrite(file, start, 0)
    os.fsync(file)


def lacks_room(file: int, size: int) -> bool:
    """Whether not all of a file is on the disk: reading or writing the rest would need room that there may not be."""
    return 512 * os.fstat(file).st_blocks < size


def locked(file: int, *, patience: float) -> bool:
    """Whether the lock is this one's within so many seconds; it ends with the file's closing, so with the process."""
    import fcntl  # not everywhere that the rest of cs3 runs

    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.002)
        else:
            return True
