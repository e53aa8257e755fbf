"""The cells of a run: where they lie, their days' accounts, and their Parquet logs, one below the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.runs.tables import Row, flat
from simulator.experiment import read_json
from simulator.files import DamagedError

if TYPE_CHECKING:
    import pyarrow as pa

LOGS = {"impressions": "log.parquet", "ledger": "ledger.parquet"}
"""Table -> file of a cell."""


def cells_of(root: Path, levels: Iterable[str]) -> list[Path]:
    """Directories of the complete cells of a run and of the runs inside it, in order of their paths.

    Args:
        root: the run directory.
        levels: patterns of the directories of runs inside it.
    """
    whole = (root / "manifest.json").exists()  # then what lies right below it are no runs
    above = {"", *(pattern for pattern in levels if pattern != "*/" or not whole)}
    found = {path.parent for pattern in above for path in root.glob(f"{pattern}cells/*/*/cell.json")}
    return sorted(cell for cell in found if not cell.name.startswith("."))  # a dot: still being written


def daily(root: Path, cells: Iterable[Path]) -> Iterator[Row]:
    """The account of every day of every cell of a market."""
    for path in cells:
        if (path / "log.parquet").exists():
            for day, account in enumerate(read_json(path / "cell.json").get("days") or (), 1):
                yield {**_named(root, path), "day": day, **flat(account)}


def has(cells: Iterable[Path], name: str) -> bool:
    """Whether any of the cells holds the Parquet file of a table of ``LOGS``."""
    return any((path / LOGS[name]).exists() for path in cells)


def logs(root: Path, cells: Iterable[Path], name: str) -> pa.Table:
    """The Parquet files of one table of ``LOGS``, one below the other, each with its world and its cell.

    Raises:
        DamagedError: one line naming the file, if one is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    for file in (path / LOGS[name] for path in cells if (path / LOGS[name]).exists()):
        try:
            found = pq.read_table(file, partitioning=None, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            raise DamagedError(f"{file}: not a readable Parquet file ({error})") from error
        for place, (key, value) in enumerate(_named(root, file.parent).items()):
            same = pa.repeat(pa.scalar(value), found.num_rows)
            found = found.add_column(place, key, same.dictionary_encode() if isinstance(value, str) else same)
        parts.append(found)
    return pa.concat_tables(parts, promote_options="default").unify_dictionaries()


def _named(root: Path, path: Path) -> dict[str, Any]:
    """World and name of a cell, as its directories spell them; inside a run of several levels also the level."""
    above = path.relative_to(root).parts[:-3]
    level = {"level": above[-1]} if above else {}
    return {**level, "world": int(path.parent.name.removeprefix("world-")), "cell": path.name}
