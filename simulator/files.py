"""Files that are written aside and renamed, and read so that whatever is wrong with one is a line with its name."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ASIDE = ".aside."
"""What the names of directories that are being written or removed begin with."""
FULL = (errno.ENOSPC, errno.EDQUOT)
NO_LINKS = "a link or no plain file, must be neither in a run directory; remove it"
LARGEST = 1 << 28
"""Bytes of a JSON file at most; a study's are a few megabytes."""


class DamagedError(ValueError):
    """A file of a run is not what was written; one line with its name and what to do."""


class UnwritableError(ValueError):
    """A file could not be written; one line with its name and what to do."""


def unwritable(path: Path, error: OSError, mend: str = "choose another --out") -> UnwritableError:
    """One line on a file that could not be written, by its final name, and what to do: ``mend``, or make room."""
    named = Path(*(_final_name(part) for part in path.parts))
    # numpy tells a short write by its length only.
    full = error.errno in FULL or (error.errno is None and _room(path) < 1 << 16)
    said = os.strerror(error.errno or errno.ENOSPC) if full else error.strerror or str(error).splitlines()[0]
    again = "make room and give the same command again, it resumes"
    return UnwritableError(f"{named}: {said}, {again if full else mend}")


def _final_name(part: str) -> str:
    bare = re.sub(r"^\.(.*)\.part$", r"\1", part.removesuffix(".aside"))
    return bare.removeprefix(ASIDE).rpartition(".")[0] if bare.startswith(ASIDE) else bare


def _room(path: Path) -> int:
    """Bytes free where a file was to be."""
    there = next(parent for parent in path.absolute().parents if parent.exists())
    return shutil.disk_usage(there).free


def write_json(path: Path, value: Any) -> None:
    """Write JSON aside, then rename. NaN and infinities become null; numpy scalars and arrays become plain.

    Raises:
        UnwritableError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    write_bytes(path, (json.dumps(plain(value), indent=1, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file aside, then rename; nothing is left of one that fails.

    Raises:
        UnwritableError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    aside = path.with_name(path.name + ".aside")
    try:
        # A file of our own: what has the name already may be a link to somebody's.
        aside.unlink(missing_ok=True)
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise unwritable(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DamagedError: one line naming the file, if it is missing or damaged.
    """
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"{size:,} bytes, must be at most {LARGEST:,}")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"{path}: not a readable JSON file ({said})") from error
    if not isinstance(value, dict):
        raise DamagedError(f"{path}: holds a {type(value).__name__}, must be an object")
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def plain(value: Any) -> Any:
    """Containers, numpy values and tuples as plain JSON values; NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def refuse_links(root: Path) -> None:
    """Nothing in a run directory is a link, a device or a pipe: writing to one would write somewhere else.

    Raises:
        DamagedError: one line naming the first that is.
    """
    for folder, inner, names in os.walk(root):
        for name in (*inner, *names):
            path = Path(folder) / name
            # What went away since it was listed is neither.
            odd = path.is_symlink() or not (path.is_dir() or path.is_file())
            if odd and os.path.lexists(path):
                raise DamagedError(f"{path}: {NO_LINKS}")


@contextmanager
def filled(root: Path, mend: str = "choose another --out") -> Iterator[Path]:
    """A directory to fill: its files come to ``root``, beside or over what is there, when the block ends well.

    Args:
        root: where they come.
        mend: what to do where nothing can be written.

    Raises:
        UnwritableError: one line naming the file and what to do, if the disk is full or cannot be written; nothing of
            the block is left then.
        DamagedError: one line, if there is a link in ``root``.
    """
    # Below ``root``, for a rename to be one; the mark makes the final name of its files that of ``root``'s.
    refuse_links(root)
    aside, made = root / f"{ASIDE}.{os.getpid()}-{secrets.token_hex(4)}", not root.exists()
    try:
        aside.mkdir(parents=True)
        yield aside
        for path in sorted(path for path in aside.rglob("*") if path.is_file()):
            final = root / path.relative_to(aside)
            final.parent.mkdir(parents=True, exist_ok=True)
            path.replace(final)
    except OSError as error:
        raise unwritable(Path(error.filename or root), error, mend) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if made:
            with suppress(OSError):
                root.rmdir()
