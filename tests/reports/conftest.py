"""One finished study, made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.cli import main
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
