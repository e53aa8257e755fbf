"""Settings of each model, in words."""

from __future__ import annotations

import json
from typing import Any

from reports.drawing import wording
from reports.drawing.tables import table
from reports.pages.offline.looks import Record
from reports.pages.parts import Section


def section(results: Record) -> Section | None:
    """Hyper-parameters of every model."""
    found = results["settings"]
    keys = list(dict.fromkeys(key for one in found.values() for key in one))
    if not keys:
        return None
    rows = [
        (f"ranker {model[1:]}" if model.startswith("@") else model, *(spelled(one.get(key)) for key in keys))
        for model, one in found.items()
    ]
    return Section(
        key="settings",
        title="Settings of each model",
        lead="As they were built; n/a: the model's own default, or no such setting.",
        tables=(table("Settings", ("model", *keys), rows, shown=True),),
    )


def spelled(value: Any) -> str:
    """A hyper-parameter as text."""
    if value is None:
        return wording.MISSING
    if isinstance(value, (list, tuple)):
        return ", ".join(spelled(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
