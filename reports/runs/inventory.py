"""The runs of a folder: what each is, when it was begun, how large it is, how far it got, what it found.

A run that cannot be read gets its line like any other, with what is wrong in place of what it found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reports.drawing.tables import table
from reports.drawing.terminal import on_one_line
from reports.runs.kinds.registry import files
from reports.runs.load import cells_done, load_run, manifest_of, reading
from simulator.files import DamagedError
from simulator.plugins import registered_only

Record = Mapping[str, Any]
PROGRESS = "progress.bin"
"""There while a run is at work, and after it was killed: eight bytes for each cell of the study."""
DAMAGED, UNREADABLE = "damaged", "unreadable"


class Entry(NamedTuple):
    """One run of a folder.

    Attributes:
        name: of its directory.
        path: of its directory.
        kind: of run; "?" where it does not say.
        scenario: or log; "" where it does not say.
        created: UTC, ISO 8601; "" where it does not say.
        bytes: on disk.
        cells: that are complete.
        of: cells of the study; None where that is not known.
        state: "complete", "incomplete", "damaged", or "unreadable": of another schema, or of no kind that is known.
        word: of the verdict, "" for a kind without.
        text: what it found, or what is wrong with it.
    """

    name: str
    path: str
    kind: str
    scenario: str
    created: str
    bytes: int
    cells: int
    of: int | None
    state: str
    word: str
    text: str


def inventory(folder: Path) -> list[Entry]:
    """The runs in a folder, or the run that the folder is, oldest first.

    Args:
        folder: of run directories.

    Raises:
        ValueError: one line, if there is no such folder or it cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    try:
        homes = [folder] if is_run(folder) else sorted(one for one in folder.iterdir() if is_run(one))
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror or error}") from error
    return sorted((entry(home) for home in homes), key=lambda one: (one.created, one.name))


def is_run(folder: Path) -> bool:
    """Whether a directory holds a run, finished or not."""
    return folder.is_dir() and any((folder / name).is_file() for name in ("manifest.json", *files()))


def entry(root: Path) -> Entry:
    """One run's line; never an exception for what is wrong inside it, never code that it names."""
    with registered_only("a list of runs imports nothing"):
        return _entry(root)


def _entry(root: Path) -> Entry:
    manifest: Record = {}
    kind, scenario, word, cells = "?", "", "", 0
    try:
        manifest = manifest_of(root)
        kind, scenario = str(manifest.get("identity", {}).get("kind") or "?"), _scenario({}, manifest)
        cells = cells_done(root)
        if any((root / name).exists() for name in files()):
            run = load_run(root)
            with reading(run.file):
                kind, scenario = run.kind, _scenario(run.results, manifest)
            # Work files and progress go when all is done: timing comes after the results.
            state = "incomplete" if _under_way(root) else "complete"
            word, text = run.verdict
        else:
            state, text = "incomplete", f"resume: {manifest.get('command')}"
    except (ValueError, OSError) as error:
        state = DAMAGED if isinstance(error, DamagedError) else UNREADABLE
        text = str(error).replace(f"{root}/", "")
    of = cells if state == "complete" else _planned(manifest)
    return Entry(
        name=root.resolve().name, path=str(root), kind=kind, scenario=scenario,
        created=str(manifest.get("created") or ""), bytes=size_of(root), cells=cells, of=of,
        state=state, word=word, text=text,
    )  # fmt: skip


def size_of(root: Path) -> int:
    """Bytes of all files below a directory; a file that goes while we look counts nothing."""
    total = 0
    for path in root.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _under_way(root: Path) -> bool:
    return (root / "work").exists() or next(root.rglob(PROGRESS), None) is not None


def _planned(manifest: Record) -> int | None:
    """Cells that the run will have, as its manifest says."""
    planned = manifest.get("cells")
    return planned if isinstance(planned, int) else None


def _scenario(results: Record, manifest: Record) -> str:
    """The scenario, or the log, of a run."""
    config = manifest.get("config") or {}
    data = results.get("data")
    for found in (
        results.get("scenario"),
        ", ".join(results.get("scenarios") or ()),
        data.get("name") if isinstance(data, Mapping) else data,
        (results.get("config") or {}).get("scenario"),
        *(config.get(key) for key in ("name", "scenario", "data")),
    ):
        if found and isinstance(found, str):
            return found
    return ""


def bytes_told(count: int) -> str:
    """Bytes in the unit that suits them: 812 B, 4.1 MB."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"


def lines(entries: list[Entry], width: int = 76) -> list[str]:
    """The inventory as a table for a terminal; ``width`` characters at most of what a run found."""
    rows = []
    for one in entries:
        cells = f"{one.cells}" if one.state == "complete" else f"{one.cells} of {'?' if one.of is None else one.of}"
        told = on_one_line(one.word.upper() or one.text)
        rows.append(
            (
                *map(on_one_line, (one.name, one.kind, one.scenario)),
                on_one_line(one.created.replace("T", " ").removesuffix("Z")[:16]),
                bytes_told(one.bytes), cells, one.state, told if len(told) <= width else f"{told[: width - 1]}…",
            )
        )  # fmt: skip
    return table("", ("run", "kind", "scenario", "begun (UTC)", "size", "cells", "state", "verdict"), rows).text()
