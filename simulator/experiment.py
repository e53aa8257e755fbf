"""A study's run directory: its manifest, and cells that are written aside, then renamed. What is there is whole.

- ``DIR/manifest.json``: the whole resolved config, arms, seeds, versions: what the run is.
- ``DIR/cells/W/NAME/``: one cell of one world, complete since it has its name.
- ``DIR/work/W/NAME/``: what later cells need of it (weights, hidden vectors); removed when the run is finished.
- ``DIR/results.json``: figures; byte-equal for equal manifests, whatever the number of workers.
- ``DIR/timing.json``: whatever a clock measured.
- ``DIR/.lock``: there while a process works on the run; see :mod:`simulator.run_lock`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from simulator.run_lock import LOCK, locked

SCHEMA = 1
"""Version of the run directory's layout."""
ASIDE = ".aside."
"""What the names of directories that are being written or removed begin with."""
FULL = (errno.ENOSPC, errno.EDQUOT)


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
            _refuse_foreign(root)
            if path.exists():
                _same_run(path, manifest)
            else:
                write_json(path, manifest | {"schema": SCHEMA})
        except OSError as error:
            raise ValueError(f"{root}: {error.strerror or error}, choose another --out") from error

    @classmethod
    @contextmanager
    def alone(cls, root: Path, manifest: dict[str, Any]) -> Iterator[Self]:
        """The run, which no other process works on in this block.

        Raises:
            ValueError: one line, if another process does, or as the constructor.
        """
        with ExitStack() as held:
            try:
                root.mkdir(parents=True, exist_ok=True)
                _refuse_foreign(root)
                held.enter_context(locked(root))
            except OSError as error:
                raise ValueError(f"{root}: {error.strerror or error}, choose another --out") from error
            yield cls(root, manifest)

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

    def writing(self, cell: Cell) -> AbstractContextManager[Path]:
        """A directory to fill; it gets the cell's name when the block ends well, and vanishes when it does not.

        Raises:
            ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
        """
        return _as_a_whole(self.cell(cell))

    def keeping(self, cell: Cell) -> AbstractContextManager[Path]:
        """The same for what later cells need: it becomes :meth:`work` of the cell, as a whole."""
        return _as_a_whole(self.root / "work" / cell.path)

    def tidy(self) -> None:
        """Remove what killed workers left half-written. Only while none is at work."""
        for pattern in (f"{ASIDE}*", f"cells/*/{ASIDE}*", f"work/*/{ASIDE}*"):
            for aside in self.root.glob(pattern):
                shutil.rmtree(aside, ignore_errors=True)

    def finish(self) -> None:
        """Remove the work files of a finished run, all at once: half of them would look like all of them."""
        gone = self.root / f"{ASIDE}work"
        shutil.rmtree(gone, ignore_errors=True)
        if (self.root / "work").exists():
            (self.root / "work").replace(gone)
            shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _as_a_whole(final: Path) -> Iterator[Path]:
    """A directory beside ``final`` that takes its place. Its name is nobody else's, should two workers do one cell."""
    mark = f"{final.name}.{os.getpid()}-{secrets.token_hex(4)}"
    aside, old = (final.with_name(f"{ASIDE}{mark}{end}") for end in ("", ".old"))
    replaces = final.exists() and any(final.iterdir())
    try:
        aside.mkdir(parents=True)
        yield aside
        if replaces:
            final.replace(old)
        try:
            aside.replace(final)
        except OSError as error:
            # Another worker was first; both hold the same bytes.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    except OSError as error:
        raise unwritable(Path(error.filename or final), error) from error
    finally:
        for path in (aside, old):
            shutil.rmtree(path, ignore_errors=True)


def unwritable(path: Path, error: OSError) -> ValueError:
    """One line on a file that could not be written, by its final name, and what to do."""
    named = Path(*(_final_name(part) for part in path.parts))
    # numpy tells a short write by its length only.
    full = error.errno in FULL or (error.errno is None and _room(path) < 1 << 16)
    said = os.strerror(error.errno or errno.ENOSPC) if full else error.strerror or str(error).splitlines()[0]
    mend = "make room and give the same command again, it resumes" if full else "choose another --out"
    return ValueError(f"{named}: {said}, {mend}")


def _final_name(part: str) -> str:
    bare = part.removesuffix(".aside")
    return bare.removeprefix(ASIDE).rpartition(".")[0] if bare.startswith(ASIDE) else bare


def _room(path: Path) -> int:
    """Bytes free where a file was to be."""
    there = next(parent for parent in path.absolute().parents if parent.exists())
    return shutil.disk_usage(there).free


def _refuse_foreign(root: Path) -> None:
    """A directory with someone's files in it is left alone; what a run left that was killed at once is not."""
    ours = (root / "manifest.json").exists()
    if not ours and any(path.name not in (LOCK, "manifest.json.aside") for path in root.iterdir()):
        raise ValueError(f"{root}: not empty and not a run of ours, choose another --out")


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
    """Write JSON aside, then rename. NaN and infinities become null; numpy scalars and arrays become plain.

    Raises:
        ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    write_bytes(path, (json.dumps(plain(value), indent=1, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file aside, then rename; nothing is left of one that fails.

    Raises:
        ValueError: one line naming the file and what to do, if the disk is full or cannot be written.
    """
    aside = path.with_name(path.name + ".aside")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise unwritable(path, error) from error


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
