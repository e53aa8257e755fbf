"""Weights and arrays that one cell leaves for others: written so that a full disk is told, read so that damage is.

They lie in the sealed work directory of the cell; a file is held against its digest before it is read.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from simulator.files import DamagedError, write_bytes
from simulator.seal import check_file


def packed(state: Any) -> bytes:
    """A model's state as bytes; whatever it cannot be packed for is the model's fault, not the disk's."""
    from reports.studies.machine.packing import pack

    return pack(state)


def save_state(path: Path, state: Any) -> None:
    """Write a model's state.

    Raises:
        ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    write_bytes(path, packed(state))


def load_state(path: Path, again: Path) -> Any:
    """Read a model's state: data only, no code.

    Args:
        path: of the file.
        again: the directory to remove if it is to be made again.

    Raises:
        ValueError: one line naming the file and what to do, if it is missing or damaged.
    """
    from reports.studies.machine.packing import unpack

    check_file(path, _mend(again))
    try:
        return unpack(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path, again, error) from error


def save_array(path: Path, values: Any) -> None:
    """Write an array as ``.npy``.

    Raises:
        ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_bytes(path, buffer.getbuffer())


def load_array(path: Path, again: Path, *, rows: int | None = None, kind: str = "f") -> Any:
    """Map an ``.npy`` file, copy-on-write: learners turn rows into tensors, which asks for writable arrays.

    Args:
        path: of the file.
        again: the directory to remove if it is to be made again.
        rows: that it must have; any number if None.
        kind: of its numbers, as ``numpy.dtype.kind``.

    Raises:
        ValueError: one line naming the file and what to do, if it is missing, damaged or another array.
    """
    check_file(path, _mend(again))
    try:
        found = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(path, again, error) from error
    return fitting(found, path, again, rows=rows, kind=kind)


def load_arrays(path: Path, again: Path) -> dict[str, Any]:
    """Read all arrays of an ``.npz`` file by name.

    Raises:
        ValueError: one line naming the file and what to do, if it is missing or damaged.
    """
    from zipfile import BadZipFile

    check_file(path, _mend(again))
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, EOFError, ValueError, BadZipFile) as error:
        raise _damaged(path, again, error) from error


def fitting(values: Any, path: Path, again: Path, *, rows: int | None, kind: str = "f") -> Any:
    """The array, if it is of the kind and has the rows that it must have; for ``path`` and ``again`` see above."""
    got = f"{values.dtype} {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__
    if not isinstance(values, np.ndarray) or values.dtype.kind != kind or not values.ndim:
        raise _damaged(path, again, ValueError(f"holds {got}, must be an array of numbers of kind '{kind}'"))
    if rows is not None and len(values) != rows:
        raise _damaged(path, again, ValueError(f"holds {got}, must have {rows} rows"))
    return values


def _damaged(path: Path, again: Path, error: Exception) -> DamagedError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return DamagedError(f"{path}: damaged or incomplete ({said}); {_mend(again)}")


def _mend(again: Path) -> str:
    return f"remove {again} to compute it again"
