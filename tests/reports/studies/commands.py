"""The command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from reports.commands.main import main


def run_command(typed: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run what is typed behind ``cs3bench``: exit code, stdout, stderr."""
    before, sys.argv = sys.argv, ["cs3bench", *typed]
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    out, err = capsys.readouterr()
    return code, out, err
