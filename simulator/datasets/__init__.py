"""Real logs in the same nouns: what was shown and clicked somewhere real, as ``Catalog`` and ``Impressions``.

Reading order:

1. ``log``: what every reader returns, whole or as a stream: ``RealLog``, ``LogStream``, ``Report``.
2. ``delimited``: text files in, columns out, block by block; every malformed row is counted and named by its line.
3. ``form``: how a file was written (R, pyarrow, pandas, Excel), by its first line.
4. ``spill``: rows on disk by bucket, so that memory holds a day of a log and not the log.
5. ``features``: feature files as codes and numbers; ``history``: the last items of each user.
6. ``kuairand``: KuaiRand (Pure, 1K, 27K), short videos, one row per exposure.
7. ``taobao_ad``: TaobaoAd, display ads with a log of organic behaviour.
8. ``recsys2017``: RecSys Challenge 2017, job postings; impressions and clicks are joined here.
9. ``door``: what a reader returns is checked, column by column, before any model is built on it.

Here are only their names: a reader is imported when it is asked for. Yours is spelled ``package.module:function``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from simulator.plugins import make, nearest

if TYPE_CHECKING:
    from simulator.datasets.log import RealLog

READERS = {
    "kuairand": "simulator.datasets.kuairand:read_kuairand",
    "taobao-ad": "simulator.datasets.taobao_ad:read_taobao_ad",
    "recsys2017": "simulator.datasets.recsys2017:read_recsys2017",
}
"""Name of a reader -> where it is."""


class Reader(Protocol):
    """Reads a real log from a folder; labels may be seen ``label_wait`` seconds after the impression."""

    def __call__(self, path: str | Path, *, label_wait: int = 1800) -> RealLog:
        """The log."""
        ...


def reader(name: str) -> Reader:
    """The reader of that name, or of somebody's ``module:function``.

    Raises:
        ValueError: for a name that is neither in :data:`READERS` nor an importable function.
    """
    if ":" not in name and name not in READERS:
        raise ValueError(f"data == '{name}', must name a reader{nearest(name, READERS)}")
    found: Reader = make(READERS.get(name, name), "")
    return found
