"""Weights and arrays that one cell leaves for others: written so that a full disk is told, read so that damage is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from simulator.experiment import write_bytes


def packed(state: Any) -> memoryview:
    """A model's state as bytes; whatever it cannot be packed for is the model's fault, not the disk's."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()


def save_state(path: Path, state: Any) -> None:
    """Write a model's state.

    Raises:
        ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    write_bytes(path, packed(state))


def load_state(path: Path, again: Path) -> Any:
    """Read a model's state.

    Args:
        path: of the file.
        again: the directory to remove if it is to be made again.

    Raises:
        ValueError: one line naming the file and what to do, if it is missing or damaged.
    """
    import torch

    try:
        return torch.load(path, weights_only=False)
    except Exception as error:  # zip, pickle and torch each have their own
        raise _damaged(path, again, error) from error


def save_array(path: Path, values: Any) -> None:
    """Write an array as ``.npy``.

    Raises:
        ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    buffer = io.BytesIO()
    np.save(buffer, values)
    write_bytes(path, buffer.getbuffer())


def load_array(path: Path, again: Path) -> Any:
    """Map an ``.npy`` file, copy-on-write: learners turn rows into tensors, which asks for writable arrays.

    Raises:
        ValueError: one line naming the file and what to do, if it is missing or damaged.
    """
    try:
        return np.load(path, mmap_mode="c")
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(path, again, error) from error


def _damaged(path: Path, again: Path, error: Exception) -> ValueError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    return ValueError(f"{path}: cannot be read ({said}); remove {again} to compute it again")
