"""One process at a time works on a run directory.

The lock is the kernel's (``flock``), so it is gone with the process that held it, however that ended; the file says who
holds it and is removed at the end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simulator.files import NO_LINKS

LOCK = ".lock"
"""File of a run directory, there while somebody works on it."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of an existing directory in this block.

    Raises:
        ValueError: one line with the process that holds it.
        OSError: if the directory cannot be written, or its file system has no locks.
    """
    path = root / LOCK
    file = _taken(path)
    try:
        # On a full disk the lock is held all the same, by nobody known.
        with suppress(OSError):
            os.truncate(file, 0)
            os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(file)


def _taken(path: Path) -> int:
    """A locked descriptor of the file that has this name now: its holder may have removed it before we got the lock."""
    while True:
        file = _plain(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                return file
        except BlockingIOError:
            holder = os.read(file, 200).decode(errors="replace") or "another process"
            os.close(file)
            raise ValueError(
                f"{path.parent}: {holder} is at work on this run, wait for it or choose another --out"
            ) from None
        except FileNotFoundError:
            pass
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _plain(path: Path) -> int:
    """A descriptor of the lock's file, which must be ours to write: no link of either kind, no pipe."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        file = -1
    found = os.fstat(file) if file >= 0 else None
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        if file >= 0:
            os.close(file)
        raise ValueError(f"{path}: {NO_LINKS}")
    return file
