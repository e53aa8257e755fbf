"""``load_run``: a finished run in a notebook. Its numbers, its tables as Arrow, pandas or polars, its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reports.drawing.lettering import file_name
from reports.runs import cells, tables
from reports.runs.kinds.kind import Kind, Parts, Rows, Said
from reports.runs.kinds.registry import files, kinds
from simulator.experiment import SCHEMA, read_json
from simulator.files import DamagedError, UnwritableError, filled, refuse_links
from simulator.plugins import nearest
from simulator.seal import SEAL, check_run, listed

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Backend = Literal["pandas", "polars", "pyarrow"]
BACKENDS: tuple[Backend, ...] = ("pandas", "polars", "pyarrow")
READS = (1, SCHEMA)
"""Layouts that are read; a run of the first has no digests, and only this version's is resumed."""
TEXTS = {"identity": dict, "config": dict, "versions": dict, "command": str, "created": str}
"""What parts of a manifest must be, where they are."""


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Whatever reading results raises that lack a part or have another in its place is one line with the file.

    Raises:
        DamagedError: that line.
    """
    try:
        yield
    except (DamagedError, UnwritableError, OSError):
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise DamagedError(f"{file}: damaged or incomplete ({type(error).__name__}: {said})") from error


@dataclass(frozen=True, kw_only=True)
class Run(Parts):
    """A finished run.

    Attributes:
        root: its directory.
        of: what is known of its kind.
        results: the dict of its results, null as None.
        timing: the dict of ``timing.json``; empty if this kind of run has none.
        manifest: the dict of ``manifest.json``; empty if this kind of run has none.
        beside: further results by file name, e.g. those of the laboratory below a power study.
    """

    @property
    def kind(self) -> str:
        """Of run: ``ab``, ``arena``, ``offline``, ``sweep``, ``lab``, ``power``, ``sensitivity``, ``latency``, ..."""
        return self.of.name

    @property
    def file(self) -> Path:
        """The file of the results."""
        return self.root / self.of.file

    def draw(self) -> Path:
        """Draw the page again, all of its files or none; its path.

        Raises:
            ValueError: one line: a kind without a page, results that lack a part, a disk that is full.
        """
        if self.of.page is None:
            raise ValueError(f"{self.root}: kind == '{self.kind}', {self.of.pageless}")
        with reading(self.file), filled(self.root, mend="it must be writable") as out:
            return self.root / self.of.page(self, out).relative_to(out)

    @property
    def text(self) -> str:
        """What a terminal is told with the page that was drawn; "" for a kind that says nothing there."""
        with reading(self.file):
            if self.of.text:
                return self.of.text(self)
            return (self.root / self.of.markdown).read_text(encoding="utf-8") if self.of.markdown else ""

    @property
    def command(self) -> str:
        """What was typed; of a run of several levels without a manifest of its own, as they say; "" if none does."""
        found = self.manifest.get("command") or self.results.get("command")
        pattern = self.of.levels
        for path in sorted(self.root.glob(f"{pattern}manifest.json")) if pattern and not found else ():
            found = found or read_json(path).get("command")
        return str(found or "")

    @property
    def verdict(self) -> Said:
        """What the run found: the word of an A/B test's rule, if it has one, and a sentence."""
        with reading(self.file):
            return self.of.said(self.results) if self.of.said else Said("", "")

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """An A/B test's metrics by key; empty for a run that has several arms or none (see ``frame("metrics")``)."""
        found: dict[str, dict[str, Any]] = self.results.get("metrics") or {}
        return found

    @property
    def figures(self) -> Figures:
        """The figures that this run has numbers for: ``run.figures.names``, ``run.figures.forest()``."""
        with reading(self.file):
            found = self.of.figures(self) if self.of.figures else {}
            return Figures(self.root, {file_name(name): draw for name, draw in found.items()})

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that this run has, those of its results first."""
        with reading(self.file):
            found = self._rows().items()
            given = tuple(name for name, rows in found if next(iter(rows()), None) is not None)
            there = self.cells()
            return (*given, *(name for name in cells.LOGS if cells.has(there, name)))

    def _rows(self) -> Mapping[str, Rows]:
        return self.of.tables(self) if self.of.tables else {}

    def table(self, name: str) -> pa.Table:
        """One table as Arrow.

        Args:
            name: one of ``tables``; ``impressions`` and ``ledger`` are the Parquet logs of all cells.

        Raises:
            ValueError: if the run has no such table, or a Parquet file is damaged.
        """
        if name not in self.tables:
            raise ValueError(f"{self.root}: no table '{name}'{nearest(name, self.tables)}")
        with reading(self.file):
            if name in cells.LOGS:
                return cells.logs(self.root, self.cells(), name)
            return tables.to_arrow(self._rows()[name]())

    def frame(self, name: str, backend: Backend = "pandas") -> Any:
        """One table as a data frame.

        Args:
            name: one of ``tables``.
            backend: ``pandas``, ``polars`` (if it is installed) or ``pyarrow``.

        Raises:
            ValueError: if the run has no such table, a Parquet file is damaged, or the backend is not there.
        """
        if backend not in BACKENDS:
            raise ValueError(f"backend == '{backend}', must be one of {', '.join(BACKENDS)}")
        found = self.table(name)
        if backend == "pyarrow":
            return found
        import narwhals as nw

        frame = nw.from_native(found, eager_only=True)
        try:
            return frame.to_pandas() if backend == "pandas" else frame.to_polars()
        except ImportError as error:
            raise ValueError(f"backend == '{backend}', not installed, run: pip install {backend}") from error


class Figures:
    """The figures of a run, by name: ``figures.forest()`` or ``figures["late-maxsim"]()`` gives a matplotlib Figure.

    Attributes:
        names: of the figures, in the page's order.
    """

    def __init__(self, root: Path, draw: Mapping[str, Callable[[], Figure]]) -> None:
        self._root = root
        self._draw = dict(draw)
        self.names = tuple(draw)

    def __getitem__(self, name: str) -> Callable[[], Figure]:
        """The figure's function; ``-`` of a name may be spelled ``_``.

        Raises:
            ValueError: naming the nearest figure, if this run has no such figure.
        """
        draw = self._draw.get(name) or self._draw.get(name.replace("_", "-"))
        if draw is None:
            raise ValueError(f"{self._root}: no figure '{name}'{nearest(name, self.names)}")

        def on_paper() -> Figure:
            from reports.drawing.strokes import PAPER

            try:
                figure = draw()
            except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
                raise ValueError(f"{self._root}: figure '{name}' lacks numbers ({error!r})") from error
            figure.set_facecolor(PAPER)
            return figure

        return on_paper

    def says(self, name: str) -> str:
        """What a figure shows, in the words of the function that draws it."""
        draw = self._draw[name]
        return " ".join((getattr(draw, "func", draw).__doc__ or "").split("\n\n")[0].split())

    def __getattr__(self, name: str) -> Callable[[], Figure]:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except ValueError as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name.replace("-", "_") for name in self.names)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Figures({', '.join(self.names)})"


def load_run(path: str | Path) -> Run:
    """Read a finished run.

    Args:
        path: a run directory, as ``cs3bench`` names it at the end of a study.

    Returns:
        The run. Tables and figures are made when they are asked for.

    Raises:
        ValueError: one line, if it is no run, is not finished, is damaged (naming the file) or of another schema.
    """
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"{root}: no such directory")
    refuse_links(root)
    manifest = manifest_of(root)
    file = next((root / name for name in files() if (root / name).exists()), None)
    if file is None:
        raise _unfinished(root, manifest)
    _layout(root, manifest)
    _whole(root, file, manifest)
    results = read_json(file)
    kind = kind_of(file, results, manifest)
    timing = read_json(root / "timing.json") if (root / "timing.json").exists() else {}
    beside = {one: read_json(root / one) for one in kind.beside}
    return Run(root=root, of=kind, results=results, timing=timing, manifest=manifest, beside=beside)


def manifest_of(root: Path) -> dict[str, Any]:
    """The content of ``manifest.json``; empty where there is none.

    Raises:
        DamagedError: one line naming the file, if it is damaged.
    """
    path = root / "manifest.json"
    found = read_json(path) if path.exists() else {}
    for key, kind in TEXTS.items():
        if not isinstance(found.get(key, kind()), kind):
            got = type(found[key]).__name__
            raise DamagedError(f"{path}: damaged or incomplete ({key} is a {got}, must be a {kind.__name__})")
    return found


def _whole(root: Path, file: Path, manifest: Record) -> None:
    """Hold the run against its digests; one of the first layout has none, and kinds without manifest had none."""
    if (root / SEAL).exists():
        if file.name not in listed(root):
            raise _unfinished(root, manifest)
        check_run(root)
    elif manifest.get("schema") == SCHEMA:
        raise DamagedError(f"{root / SEAL}: damaged or incomplete (missing); give the same command again")


def kind_of(file: Path, results: Record, manifest: Record) -> Kind:
    """The kind of some results, if this version reads them.

    Raises:
        ValueError: one line naming the file, for an unknown kind or another schema.
    """
    name = str(results.get("kind") or results.get("study") or manifest.get("identity", {}).get("kind"))
    kind = kinds().get(name)
    if kind is None:
        raise ValueError(f"{file}: kind == '{name}', must be one of {', '.join(kinds())}")
    if kind.schema is not None and results.get("schema") != kind.schema:
        again = str(manifest.get("command") or kind.command)
        raise ValueError(f"{file}: {_other_schema(results.get('schema'), kind.schema, again)}")
    lost = [key for key in kind.needs if key not in results]
    if lost:
        raise DamagedError(f"{file}: damaged or incomplete (no '{lost[0]}')")
    if file.name != kind.file:
        raise ValueError(f"{file}: kind == '{name}', its results lie in {kind.file}")
    return kind


def cells_done(root: Path) -> int:
    """How many cells of a run are complete, whatever its kind, and of the runs inside it."""
    return len(cells.cells_of(root, {kind.levels for kind in kinds().values()}))


def _layout(root: Path, manifest: Record) -> None:
    if manifest and manifest.get("schema") not in READS:
        raise ValueError(
            f"{root / 'manifest.json'}: {_other_schema(manifest.get('schema'), SCHEMA, manifest.get('command'))}"
        )


def _other_schema(found: Any, reads: int, command: str | None) -> str:
    if isinstance(found, int) and found > reads:
        return f"schema {found}, this version reads {reads}: install the newer cs3-bench that wrote it"
    again = f" ({command})" if command else ""
    return f"schema {found}, this version reads {reads}: run it again with another --out{again}"


def _unfinished(root: Path, manifest: Record) -> ValueError:
    if not manifest:
        return ValueError(f"{root}: not a run directory, it holds no manifest.json and none of {', '.join(files())}")
    return ValueError(f"{root}: not finished ({cells_done(root)} cells), resume it: {manifest.get('command')}")


__all__ = ["BACKENDS", "Figures", "Run", "cells_done", "kind_of", "load_run"]
