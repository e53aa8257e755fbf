"""``load_run``: a finished run in a notebook. Its numbers, its tables as Arrow, pandas or polars, its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reports.kinds import FILES, KINDS, Kind, Parts, Said
from simulator.experiment import SCHEMA, read_json
from simulator.plugins import nearest

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Backend = Literal["pandas", "polars", "pyarrow"]
BACKENDS: tuple[Backend, ...] = ("pandas", "polars", "pyarrow")
BROKEN = (AttributeError, IndexError, KeyError, TypeError)
"""What reading results raises that lack a part."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        root: its directory.
        kind: ``ab``, ``arena``, ``offline``, ``sweep``, ``lab``, ``power``, ``sensitivity``, ``late``, ``latency``, ...
        results: the dict of its results, null as None.
        timing: the dict of ``timing.json``; empty if this kind of run has none.
        manifest: the dict of ``manifest.json``; empty if this kind of run has none.
        beside: further results by file name, e.g. those of the laboratory below a power study.
    """

    root: Path
    kind: str
    results: dict[str, Any] = field(repr=False)
    timing: dict[str, Any] = field(repr=False)
    manifest: dict[str, Any] = field(repr=False)
    beside: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def file(self) -> Path:
        """The file of the results."""
        return self.root / KINDS[self.kind].file

    @property
    def command(self) -> str:
        """What was typed; of a run of several levels without a manifest of its own, as they say; "" if none does."""
        found = self.manifest.get("command") or self.results.get("command")
        pattern = KINDS[self.kind].levels
        for path in sorted(self.root.glob(f"{pattern}manifest.json")) if pattern and not found else ():
            found = found or read_json(path).get("command")
        return str(found or "")

    @property
    def verdict(self) -> Said:
        """What the run found: the word of an A/B test's rule, if it has one, and a sentence."""
        said = KINDS[self.kind].said
        try:
            return said(self.results) if said else Said("", "")
        except BROKEN as error:
            raise _lacks(self.file, error) from error

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """An A/B test's metrics by key; empty for a run that has several arms or none (see ``frame("metrics")``)."""
        found: dict[str, dict[str, Any]] = self.results.get("metrics") or {}
        return found

    @property
    def figures(self) -> Figures:
        """The figures that this run has numbers for: ``run.figures.names``, ``run.figures.forest()``."""
        draw = KINDS[self.kind].figures
        try:
            return Figures(self.root, draw(Parts(self.results, self.timing, self.beside)) if draw else {})
        except BROKEN as error:
            raise _lacks(self.file, error) from error

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that this run has."""
        from reports.run_tables import names

        try:
            return names(self)
        except BROKEN as error:
            raise _lacks(self.file, error) from error

    def table(self, name: str) -> pa.Table:
        """One table as Arrow.

        Args:
            name: one of ``tables``; ``impressions`` and ``ledger`` are the Parquet logs of all cells.

        Raises:
            ValueError: if the run has no such table, or a Parquet file is damaged.
        """
        from reports.run_tables import table

        if name not in self.tables:
            raise ValueError(f"{self.root}: no table '{name}'{nearest(name, self.tables)}")
        try:
            return table(self, name)
        except BROKEN as error:
            raise _lacks(self.file, error) from error

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
            from reports.strokes import PAPER

            try:
                figure = draw()
            except BROKEN as error:
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
    manifest = read_json(root / "manifest.json") if (root / "manifest.json").exists() else {}
    file = next((root / name for name in FILES if (root / name).exists()), None)
    if file is None:
        raise _unfinished(root, manifest)
    _layout(root, manifest)
    results = read_json(file)
    name, kind = kind_of(file, results, manifest)
    timing = read_json(root / "timing.json") if (root / "timing.json").exists() else {}
    beside = {one: read_json(root / one) for one in kind.beside}
    return Run(root=root, kind=name, results=results, timing=timing, manifest=manifest, beside=beside)


def kind_of(file: Path, results: Record, manifest: Record) -> tuple[str, Kind]:
    """The kind of some results, if this version reads them.

    Raises:
        ValueError: one line naming the file, for an unknown kind or another schema.
    """
    name = str(results.get("kind") or results.get("study") or (manifest.get("identity") or {}).get("kind"))
    if name not in KINDS:
        raise ValueError(f"{file}: kind == '{name}', must be one of {', '.join(KINDS)}")
    kind = KINDS[name]
    if kind.schema is not None and results.get("schema") != kind.schema:
        raise ValueError(f"{file}: {_other_schema(results.get('schema'), kind.schema, manifest)}")
    if file.name != kind.file:
        raise ValueError(f"{file}: kind == '{name}', its results lie in {kind.file}")
    return name, kind


def cells_of(root: Path) -> list[Path]:
    """Directories of the complete cells of a run and of the runs inside it, in order of their paths."""
    levels = {kind.levels for kind in KINDS.values() if kind.levels != "*/" or not (root / "manifest.json").exists()}
    found = {path.parent for above in levels | {""} for path in root.glob(f"{above}cells/*/*/cell.json")}
    return sorted(cell for cell in found if not cell.name.startswith("."))  # a dot: still being written


def _layout(root: Path, manifest: Record) -> None:
    if manifest and manifest.get("schema") != SCHEMA:
        raise ValueError(f"{root / 'manifest.json'}: {_other_schema(manifest.get('schema'), SCHEMA, manifest)}")


def _other_schema(found: Any, reads: int, manifest: Record) -> str:
    if isinstance(found, int) and found > reads:
        return f"schema {found}, this version reads {reads}: install the newer cs3-bench that wrote it"
    command = manifest.get("command")
    again = f" ({command})" if command else ""
    return f"schema {found}, this version reads {reads}: run it again with another --out{again}"


def _unfinished(root: Path, manifest: Record) -> ValueError:
    if not manifest:
        return ValueError(f"{root}: not a run directory, it holds no manifest.json and none of {', '.join(FILES)}")
    cells = len(cells_of(root))
    return ValueError(f"{root}: not finished ({cells} cells), resume it: {manifest.get('command')}")


def _lacks(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file}: damaged or incomplete ({type(error).__name__}: {error})")


__all__ = ["BACKENDS", "Figures", "Run", "cells_of", "kind_of", "load_run"]
