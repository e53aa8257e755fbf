"""What `load_run` promises of every kind of run; each study's own test holds its tiny run against it."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from reports import load_run
from tests.reports.schema_doc import disagreements, keys_of, unknown_files

NAN = re.compile(rb"(?<![A-Za-z.])nan(?![A-Za-z(])", re.IGNORECASE)


def check_run(root: Path, kind: str, *tables: str) -> None:
    """The run is read and documented, every table is a data frame, and its figures are those that its page drew."""
    run = load_run(root)
    assert run.kind == kind
    assert disagreements(run.results, keys_of("tune" if kind == "market-tune" else kind, "results.json")) == []
    if run.timing:
        assert disagreements(run.timing, keys_of("lab" if kind == "power" else kind, "timing.json")) == []
    if run.manifest:
        assert disagreements(run.manifest, keys_of("manifest.json", "manifest.json")) == []
    assert unknown_files(root) == []
    assert set(tables) <= set(run.tables)
    for name in run.tables:
        table = run.table(name)
        assert table.num_rows > 0, name
        assert not any(pa.types.is_null(column.type) for column in table.columns), name
        frame = run.frame(name)
        assert (len(frame), list(frame.columns)) == (table.num_rows, table.column_names)
    drawn = {path.stem for path in (root / "figures").glob("*.svg")}
    assert drawn <= set(run.figures.names)
    if drawn:
        assert set(run.figures.names) == drawn
    for name in run.figures.names:
        width, height = run.figures[name]().get_size_inches()
        assert width > 0, name
        assert height > 0, name
    assert isinstance(run.verdict.text, str)
    check_redrawn(root)


def check_redrawn(root: Path) -> None:
    """``report`` draws the same page again, or says why there is none; none of its files holds a NaN as text."""
    run = load_run(root)
    kind = run.of
    before = pages(root)
    if kind.page is None:
        with pytest.raises(ValueError, match=f"kind == '{run.kind}', {kind.pageless}"):
            run.draw()
        return
    page = run.draw()
    assert page.is_file()
    assert not before or pages(root) == before, "byte for byte what the study itself had drawn"
    assert not kind.markdown or (root / kind.markdown).is_file()
    assert bool(run.text) == bool(kind.text or kind.markdown)
    for path, content in pages(root).items():
        told = re.sub(rb"<script.*?</script>", b"", content, flags=re.DOTALL)
        assert path.suffix == ".png" or not NAN.search(told), path


def pages(root: Path) -> dict[Path, bytes]:
    """Every file of a run's page."""
    drawn = [*root.glob("index.html"), *root.glob("*.md"), *root.glob("figures/*")]
    return {path: path.read_bytes() for path in drawn}
