"""A study's run directory: its manifest, and cells that are written aside, then renamed. What is there is whole.

- ``DIR/manifest.json``: the whole resolved config, arms, seeds, versions: what the run is.
- ``DIR/cells/W/NAME/``: one cell of one world, complete since it has its name.
- ``DIR/work/W/NAME/``: what later cells need of it (weights, hidden vectors); removed when the run is finished.
- ``DIR/seal.json``, and one in every cell: digests of the files; see :mod:`simulator.seal`.
- ``DIR/results.json``: figures; byte-equal for equal identity, code, data and kernels, whatever the number of workers.
- ``DIR/timing.json``: whatever a clock measured.
- ``DIR/.lock``: there while a process works on the run; see :mod:`simulator.run_lock`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from simulator.files import ASIDE, plain, read_json, refuse_links, unwritable, write_bytes, write_json
from simulator.names import component
from simulator.run_lock import LOCK, locked
from simulator.same_run import allowed, refuse_other, same_question
from simulator.seal import SEAL, check, check_file, foreign, listed, seal, seal_run, whole

SCHEMA = 2
"""Version of the run directory's layout."""
MANIFEST = "manifest.json"
COMPUTED = (
    SEAL, "*.json", "tuned.toml", "index.html", *(f"{page}.md" for page in ("tables", "late", "latency", "growth")),
    "figures", "cells", "work", "points", "levels", "scenarios",
)  # fmt: skip
"""What a run computes and draws, in the order in which it is removed: all but its manifest, and files of others."""


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
        return Path(f"world-{self.world}") / component(f"{self.name}.{self.variant}" if self.variant else self.name)


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
        """The run, which no other process works on in this block; it is sealed when the block ends well.

        Raises:
            ValueError: one line, if another process does, if there is a link in the directory, or as the constructor.
        """
        with ExitStack() as held:
            try:
                root.mkdir(parents=True, exist_ok=True)
                refuse_links(root)
                _refuse_foreign(root)
                held.enter_context(locked(root))
            except OSError as error:
                raise ValueError(f"{root}: {error.strerror or error}, choose another --out") from error
            if allowed().fresh:
                _clear(root, manifest)
            run = cls(root, manifest)
            if (root / SEAL).exists():
                _check_kept(root)
            else:
                run.seal()
            yield run
            run.seal()

    def done(self, cell: Cell) -> bool:
        """Whether a cell is complete: one that lost a file is not, and is made anew."""
        return whole(self.cell(cell))

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those of some cells that are not complete, once the others are known to be what was written.

        Raises:
            DamagedError: one line, naming a damaged file of a complete cell and what to do.
        """
        left = []
        for cell in cells:
            if self.done(cell):
                check(self.cell(cell))
            else:
                left.append(cell)
        return left

    def cell(self, cell: Cell) -> Path:
        """Where a complete cell is."""
        return self.root / "cells" / cell.path

    def work(self, cell: Cell) -> Path:
        """Where a cell leaves what later cells need."""
        path = self.root / "work" / cell.path
        path.mkdir(parents=True, exist_ok=True)
        return path

    def kept(self, cell: Cell) -> bool:
        """Whether what a cell left for later ones is there, all of it."""
        return whole(self.root / "work" / cell.path)

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

    def seal(self) -> None:
        """Put down the digests of what is there; see :mod:`simulator.seal`."""
        seal_run(self.root)

    def finish(self) -> None:
        """Remove the work files of a finished run, all at once (half of them would look like all), and seal it."""
        gone = self.root / f"{ASIDE}work"
        shutil.rmtree(gone, ignore_errors=True)
        if (self.root / "work").exists():
            (self.root / "work").replace(gone)
            shutil.rmtree(gone, ignore_errors=True)
        self.seal()


@contextmanager
def _as_a_whole(final: Path) -> Iterator[Path]:
    """A directory beside ``final`` that takes its place. Its name is nobody else's, should two workers do one cell."""
    mark = f"{final.name}.{os.getpid()}-{secrets.token_hex(4)}"
    aside, old = (final.with_name(f"{ASIDE}{mark}{end}") for end in ("", ".old"))
    replaces = final.exists() and any(final.iterdir())
    try:
        aside.mkdir(parents=True)
        yield aside
        seal(aside)
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


def _refuse_foreign(root: Path) -> None:
    """A directory with someone's files in it is left alone; what a run left that was killed at once is not."""
    ours = (root / "manifest.json").exists()
    if not ours and any(
        not (path.name in (LOCK, "manifest.json.aside") or foreign(path.name)) for path in root.iterdir()
    ):
        raise ValueError(f"{root}: not empty and not a run of ours, choose another --out")


def _clear(root: Path, manifest: dict[str, Any]) -> None:
    """Remove what was computed of a run; the manifest changes last, so that one who is killed here begins again."""
    path = root / "manifest.json"
    there = read_json(path) if path.exists() else {}
    if there.get("schema") != SCHEMA or not same_question(there, manifest):
        return
    remove_computed(root)
    write_json(path, manifest | {"schema": SCHEMA})


def remove_computed(root: Path) -> None:
    """Remove what was computed of a run and drawn from it, at once: it is finished no more.

    Raises:
        UnwritableError: one line, if it cannot be removed.
    """
    gone = root / f"{ASIDE}.before"
    try:
        shutil.rmtree(gone, ignore_errors=True)
        gone.mkdir()
        # Renamed before any is removed: whoever is killed in between finds none of it under its name.
        for path in [path for name in COMPUTED for path in sorted(root.glob(name)) if path.name != MANIFEST]:
            if path.exists():
                path.replace(gone / path.name)
        shutil.rmtree(gone, ignore_errors=True)
    except OSError as error:
        raise unwritable(root, error) from error


def _check_kept(root: Path) -> None:
    """Hold those records against the seal that are not made again: what the run is, and what its clock measured."""
    check_file(root / "manifest.json", f"remove {root}, or choose another --out")
    clock = root / "timing.json"
    if clock.exists() and clock.name in listed(root):
        check_file(clock, f"remove {clock}, what it measured is lost")


def digest(identity: dict[str, Any]) -> str:
    """Eight hex digits that name a run's identity."""
    return hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=4).hexdigest()


def _same_run(path: Path, manifest: dict[str, Any]) -> None:
    there = read_json(path)
    if there.get("schema") != SCHEMA:
        found = there.get("schema")
        raise ValueError(f"{path}: schema {found}, this version reads {SCHEMA}: run again with another --out")
    refuse_other(path.parent, there, manifest)


__all__ = [
    "SCHEMA", "Cell", "RunDirectory", "digest", "plain", "read_json", "remove_computed", "unwritable", "write_bytes",
    "write_json",
]  # fmt: skip
