"""What a run says of itself, the same in every study: identity, command, seeds, versions, commit, when."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "scipy", "torch", "pyarrow", "pydantic")


def made_by() -> dict[str, Any]:
    """The part of an identity that says which code makes the numbers."""
    return {"version": version("cs3-bench"), "libraries": {name: version(name) for name in LIBRARIES}}


def manifest(identity: dict[str, Any], *, command: str, seeds: Sequence[int], **more: Any) -> dict[str, Any]:
    """The content of ``manifest.json``.

    Args:
        identity: what makes two runs the same run, with ``config`` and :func:`made_by` in it.
        command: what was typed.
        seeds: of the worlds, or of the models where there is no world.
        more: what else the study fixed before the run.
    """
    return {
        "identity": identity,
        "command": command,
        "config": identity["config"],
        "versions": {"cs3-bench": identity["version"], **identity["libraries"]},
        "seeds": list(seeds),
        **more,
        "commit": _commit(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _commit() -> str | None:
    """The checkout's commit, if the package runs from one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
