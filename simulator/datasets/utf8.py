"""Bytes that should be UTF-8, read as such whatever they are: what is none leaves a mark that can be counted."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

NO_TEXT = "\x1a"
"""Stands for a byte that is not UTF-8: ASCII's own sign for it."""


class Utf8(io.RawIOBase):
    """Blocks of lines as one file to read from.

    Args:
        blocks: bytes, each cut after a line's end.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next -> number of bytes, 0 at the end."""
        if not self._rest:
            self._rest = _marked(next(self._blocks, b""))
        n = min(len(buffer), len(self._rest))
        buffer[:n], self._rest = self._rest[:n], self._rest[n:]
        return n


def _marked(text: bytes) -> bytes:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return re.sub("[\udc80-\udcff]", NO_TEXT, text.decode("utf-8", "surrogateescape")).encode("utf-8")
    return text
