"""Digests of a run's files: what was changed, cut, added or taken away since it was written is seen.

- ``seal.json`` of a cell lists every other file in it with the BLAKE2b digest of its content.
- ``seal.json`` of a run lists its manifest and results, and the seals of the cells and runs in it.
- A point of a search carries its digest itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simulator.files import ASIDE, DamagedError, plain, read_json, write_json

SEAL = "seal.json"
"""File of a cell, and of a run."""
RECORDS = ("manifest.json", "power.json", "sweep.json", "tuning.json", "tuned.toml", "results.json", "timing.json")
"""Files of a run that its seal lists, where they are."""
PASSING = ("work", "points")
"""Directories of a run whose seals are not the run's: they come and go."""
DESKTOP = ("Thumbs.db", "desktop.ini")
BYTES = 16


def foreign(name: str) -> bool:
    """Whether a file is not of a run but of the system that shows or serves it: hidden, as ``.DS_Store``, or a picture.

    Nothing of a cell is hidden, and nobody reads what is.
    """
    return name.startswith(".") or name in DESKTOP


def seal(folder: Path) -> None:
    """Seal a cell: all of ours that is in it now."""
    write_seal(folder, (path.name for path in folder.iterdir() if not foreign(path.name)))


def seal_run(root: Path) -> None:
    """Seal a run: its records, and the seals below it."""
    write_seal(root, [*(name for name in RECORDS if (root / name).exists()), *seals_below(root)])


def write_seal(folder: Path, names: Iterable[str]) -> None:
    """List files of a folder with their digests."""
    files = {name: digest_of(folder / name) for name in sorted(names) if name != SEAL}
    write_json(folder / SEAL, {"files": files})


def seals_below(root: Path) -> list[str]:
    """The seals of the cells and runs in a run, each relative to it; not those of cells in the runs in it."""
    found: list[str] = []
    for folder, inner, names in os.walk(root):
        here = Path(folder)
        if here != root and SEAL in names:
            found.append((here / SEAL).relative_to(root).as_posix())
            inner.clear()
        inner[:] = [name for name in inner if not name.startswith(ASIDE) and not (here == root and name in PASSING)]
    return sorted(found)


def digest_of(path: Path) -> str:
    """32 hex digits of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=BYTES)).hexdigest()


def listed(folder: Path) -> dict[str, str]:
    """What a seal lists: digest by file.

    Raises:
        DamagedError: one line, if it is missing or no such list.
    """
    files = read_json(folder / SEAL).get("files")
    if not isinstance(files, dict) or not all(isinstance(mark, str) for mark in files.values()):
        raise DamagedError(f"{folder / SEAL}: damaged or incomplete (no list of files)")
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
        raise DamagedError(f"{folder / SEAL}: damaged or incomplete (lists files of other directories)")
    odd = [name for name in files if not name.isprintable()]
    if odd:
        raise DamagedError(f"{folder / SEAL}: damaged or incomplete (lists {odd[0]!r:.80}, no name of a file of ours)")
    return files


def whole(folder: Path) -> bool:
    """Whether a folder is sealed and no file that its seal lists is gone. What its files hold is not looked at."""
    if not (folder / SEAL).exists():
        return False
    try:
        return all((folder / name).is_file() for name in listed(folder))
    except DamagedError:
        # It was whole once: whoever reads it says what is wrong.
        return True


def check(folder: Path, mend: str = "") -> None:
    """Hold a cell against its seal: these files and no others, with these digests.

    Args:
        folder: of the cell.
        mend: what to do; to remove the cell, if empty.

    Raises:
        DamagedError: one line with the first file that differs and what to do.
    """
    mend = mend or f"remove {folder} to compute it again"
    files = _listed(folder, mend)
    for name in files:
        _check(folder, name, files, mend)
    for path in sorted(folder.iterdir()):
        if path.name != SEAL and path.name not in files and not foreign(path.name):
            _check(folder, path.name, files, f"remove {path}")


def check_file(path: Path, mend: str) -> None:
    """Hold one file of a sealed folder against its digest.

    Raises:
        DamagedError: one line with the file and what to do.
    """
    _check(path.parent, path.name, _listed(path.parent, mend), mend)


def check_run(root: Path) -> None:
    """Hold a run against its seal: its records, its cells and all their files, the runs in it.

    Raises:
        DamagedError: one line with the first file that differs and what to do.
    """
    again = f"give the same command again, or remove {root}"
    files = _listed(root, again)
    for name in dict.fromkeys((*files, *seals_below(root))):
        inner = (root / name).parent
        of_cell = name.startswith("cells/")
        mend = f"remove {inner} and give the same command again" if of_cell else again
        _check(root, name, files, mend)
        if of_cell:
            check(inner, mend)
        elif name.endswith(f"/{SEAL}"):
            check_run(inner)


def _listed(folder: Path, mend: str) -> dict[str, str]:
    try:
        return listed(folder)
    except DamagedError as error:
        raise DamagedError(f"{error}; {mend}") from error


def _check(folder: Path, name: str, files: dict[str, str], mend: str) -> None:
    path = folder / name
    wrong = f"{folder / SEAL} does not list it"
    if name in files:
        try:
            wrong = "" if digest_of(path) == files[name] else f"its digest is not the one in {folder / SEAL}"
        except OSError as error:
            wrong = error.strerror or str(error)
    if wrong:
        raise DamagedError(f"{path}: damaged or incomplete ({wrong}); {mend}")


def write_point(path: Path, value: dict[str, Any]) -> None:
    """Write a small JSON file that carries its own digest."""
    write_json(path, {**value, "digest": _mark(value)})


def read_point(path: Path) -> dict[str, Any]:
    """Read what :func:`write_point` wrote.

    Raises:
        DamagedError: one line naming the file and what to do.
    """
    mend = f"remove {path} to compute it again"
    try:
        found = read_json(path)
    except DamagedError as error:
        raise DamagedError(f"{error}; {mend}") from error
    if found.pop("digest", None) != _mark(found):
        raise DamagedError(f"{path}: damaged or incomplete (its digest is not the one in it); {mend}")
    return found


def _mark(value: dict[str, Any]) -> str:
    text = json.dumps(plain(value), sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=BYTES).hexdigest()
