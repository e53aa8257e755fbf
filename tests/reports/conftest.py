"""One finished study, made once; a made-up one; the command line in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reports.commands.main import main
from tests.reports import chromium, sample_run
from tests.reports.page_checks import check_page
from tests.reports.studies.tiny import arguments


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Iterator[Path]:
    """`ab` with its defaults in a tiny scenario, one process. Read only."""
    root = tmp_path_factory.mktemp("study") / "run"
    typed, sys.argv = sys.argv, ["cs3bench", *arguments(root, "--jobs", "1")]
    try:
        main()
        yield root
    finally:
        sys.argv = typed


@pytest.fixture(scope="session")
def made_up(tmp_path_factory) -> Path:
    """The made-up run of the page's tests, as a directory. Read only."""
    root = tmp_path_factory.mktemp("made-up") / "run"
    root.mkdir()
    for name, content in (
        ("results", sample_run.results()),
        ("timing", sample_run.timing()),
        ("manifest", sample_run.manifest() | {"schema": 1}),
    ):
        (root / f"{name}.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Tab]:
    """A tab of a real browser, the same for all tests."""
    if chromium.found() is None:
        pytest.skip("no chromium on PATH")
    with chromium.tab() as tab:
        yield tab


@pytest.fixture
def look(request) -> Callable[[Path], None]:
    """Holds a page that a test made against a real browser, if there is one; `test_browser` says if there is none."""

    def at(page: Path) -> None:
        if chromium.found() is not None:
            check_page(request.getfixturevalue("browser"), page)

    return at


@pytest.fixture
def cs3bench(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process -> (exit code, stdout, stderr)."""

    def run(*typed: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cs3bench", *typed])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return run
