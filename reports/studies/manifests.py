"""What a run says of itself, the same in every study: identity, command, seeds, versions, commit, when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from reports.git import revision

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
        **revision(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
