"""What a run says of itself, the same in every study: identity, command, seeds, versions, commit, when."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reports.studies.arms import parse
from reports.studies.machine import sources
from reports.studies.machine.git import revision
from reports.studies.machine.kernels import kernels
from simulator.experiment import read_json
from simulator.plugins import MODIFIERS, RANKERS, RETRIEVERS, registered
from simulator.same_run import refuse_other

LIBRARIES = ("numpy", "scipy", "torch", "pyarrow", "pydantic")


def made_by() -> dict[str, Any]:
    """The part of an identity that says which code makes the numbers."""
    return {"version": version("cs3-bench"), "libraries": {name: version(name) for name in LIBRARIES}}


def made_of(modules: Iterable[str], data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Digests of all that decides the numbers besides the identity; see :mod:`reports.studies.machine.sources`.

    Args:
        modules: of plug-ins.
        data: what was read of a log: its ``folder``, its ``files`` and the digest of what was ``read``.
    """
    named = sorted(set(modules))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {"python": python, "modules": named, "plugins": sources.plugins(named), "code": sources.code()}
    return found | ({"data": dict(data)} if data else {})


def refuse_changed(root: Path, known: Mapping[str, str]) -> None:
    """Refuse to compute a cell by other code than the run's, which somebody may edit while it is at work.

    Args:
        root: the run directory.
        known: ``sources.known`` of the process that began the run, which spares this one the parsing.

    Raises:
        ValueError: one line with the names of what changed.
    """
    there = read_json(root / "manifest.json")
    told = there.get("made_of")
    if isinstance(told, dict) and isinstance(told.get("modules"), list):
        sources.known.update(known)
        made = made_of(map(str, told["modules"])) | {"data": told.get("data")}
        refuse_other(root, there, {"identity": there["identity"], "made_of": made})


def modules_of(arms: Iterable[str]) -> set[str]:
    """Modules of the parts of arms, as they are registered or spelled; ``@name`` is a ranker alone."""
    whole = (f"random{spelling}" if spelling.startswith("@") else spelling for spelling in arms)
    return {module for spelling in whole for module in _modules(spelling)}


def _modules(spelling: str) -> set[str]:
    parts = parse(spelling)
    named = [(parts.backbone, RETRIEVERS), (parts.learned.name, RANKERS)]
    named += [(name, MODIFIERS) for name in parts.modifiers]
    spelled = [name if ":" in name else getattr(registered(group).get(name), "value", "") for name, group in named]
    return {name.partition(":")[0] for name in spelled if name}


def manifest(
    identity: dict[str, Any],
    *,
    command: str,
    seeds: Sequence[int],
    cells: int | None = None,
    arms: Iterable[str] = (),
    reader: str = "",
    data: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The content of ``manifest.json``.

    Args:
        identity: what makes two runs the same run, with ``config`` and :func:`made_by` in it.
        command: what was typed.
        seeds: of the worlds, or of the models where there is no world.
        cells: how many the run will have, those of its levels among them; None if it shows on the way.
        arms: spellings whose plug-ins decide the numbers.
        reader: of a log, by name or ``module:function``.
        data: what was read of the log.
        more: what else the study fixed before the run.
    """
    return {
        "identity": identity,
        "command": command,
        "config": identity["config"],
        "versions": {"cs3-bench": identity["version"], **identity["libraries"]},
        "seeds": list(seeds),
        "cells": cells,
        **more,
        "kernels": [kernels()],
        "made_of": made_of(modules_of(arms) | ({reader.partition(":")[0]} if ":" in reader else set()), data),
        **revision(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
