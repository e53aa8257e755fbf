"""A study's run directory: its manifest, and cells that are written aside, then renamed. What is there is whole.

- ``DIR/manifest.json``: the whole resolved config, arms, seeds, versions: what the run is.
- ``DIR/cells/W/NAME/``: one cell of one world, complete since it has its name.
- ``DIR/work/W/NAME/``: what later cells need of it (weights, hidden vectors); removed when the run is finished.
- ``DIR/results.json``: figures; byte-equal for equal manifests, whatever the number of workers.
- ``DIR/timing.json``: whatever a clock measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
"""Version of the run directory's layout."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The smallest piece of work that is kept: one world's burn-in, or one arm in one world.

    Attributes:
        world: the world's seed.
        name: ``burn-in`` or the arm's spelling.
        days: test days of the arm; 0 for a burn-in.
        variant: tells apart cells of the same arm, e.g. of the ladder.
    """

    world: int
    name: str
    days: int = 0
    variant: str = ""

    @property
    def path(self) -> Path:
        """Relative to ``cells``."""
        safe = self.name.replace("/", "_").replace(":", "_")
        return Path(f"world-{self.world}") / (f"{safe}.{self.variant}" if self.variant else safe)


class RunDirectory:
    """A run on disk. Two runs never share a directory; the same run resumes in it.

    Args:
        root: the directory; made if it is not there.
        manifest: what the run is; ``manifest["identity"]`` decides whether a directory holds the same run.

    Raises:
        ValueError: one line, if the directory holds another run, an older layout, or cannot be written.
    """

    def __init__(self, root: Path, manifest: dict[str, Any]) -> None:
        self.root = root
        path = root / "manifest.json"
        try:
            root.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _same_run(path, manifest)
            elif any(root.iterdir()):
                raise ValueError(f"{root}: not empty and not a run of ours, choose another --out")
            else:
                write_json(path, manifest | {"schema": SCHEMA})
        except OSError as error:
            raise ValueError(f"{root}: {error.strerror or error}, choose another --out") from error

    def done(self, cell: Cell) -> bool:
        """Whether a cell is complete."""
        return (self.root / "cells" / cell.path / "cell.json").exists()

    def cell(self, cell: Cell) -> Path:
        """Where a complete cell is."""
        return self.root / "cells" / cell.path

    def work(self, cell: Cell) -> Path:
        """Where a cell leaves what later cells need."""
        path = self.root / "work" / cell.path
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def writing(self, cell: Cell) -> Iterator[Path]:
        """A directory to fill; it gets the cell's name when the block ends well, and vanishes when it does not."""
        final = self.cell(cell)
        aside = final.with_name(f".aside.{final.name}")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
            shutil.rmtree(final, ignore_errors=True)
            aside.replace(final)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what killed workers left half-written. Only while none is at work."""
        for aside in self.root.glob("cells/*/.aside.*"):
            shutil.rmtree(aside, ignore_errors=True)

    def finish(self) -> None:
        """Remove the work files of a finished run."""
        shutil.rmtree(self.root / "work", ignore_errors=True)


def digest(identity: dict[str, Any]) -> str:
    """Eight hex digits that name a run's identity."""
    return hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=4).hexdigest()


def _same_run(path: Path, manifest: dict[str, Any]) -> None:
    there = read_json(path)
    if there.get("schema") != SCHEMA:
        found = there.get("schema")
        raise ValueError(f"{path}: schema {found}, this version reads {SCHEMA}: run again with another --out")
    if there.get("identity") != json.loads(json.dumps(manifest["identity"])):
        raise ValueError(f"{path.parent}: holds another run ({there.get('command')}), choose another --out")


def write_json(path: Path, value: Any) -> None:
    """Write JSON aside, then rename. NaN and infinities become null; numpy scalars and arrays become plain."""
    aside = path.with_name(path.name + ".aside")
    aside.write_text(json.dumps(plain(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    aside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: one line naming the file, if it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: holds a {type(value).__name__}, must be an object")
    return value


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
