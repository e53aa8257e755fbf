"""How many cells a run that was cut off will have: read off the identity in its manifest, as the study itself would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulator.scenario import Scenario

Identity = Mapping[str, Any]


def planned_cells(kind: str, identity: Identity) -> int | None:
    """Cells of a run; None for a kind that is not known here, or an identity of another version.

    Args:
        kind: of run.
        identity: as ``manifest.json`` holds it.
    """
    count = COUNTS.get(kind)
    try:
        return count(identity) if count else None
    except Exception:
        return None


def _ab(identity: Identity) -> int:
    from reports.studies.ab import Plan, cells_of

    control, treatment = identity["control"], identity["treatment"]
    return len(
        cells_of(Plan(scenario=_of(identity), control=control, treatment=treatment, small=False, command="")).all()
    )


def _arena(identity: Identity) -> int:
    from reports.studies.arena import Plan, cells_of

    return len(cells_of(Plan(scenario=_of(identity), arms=tuple(identity["arms"]), small=False, command="")).all())


def _lab(identity: Identity) -> int:
    from reports.studies.lab import Plan, tasks_of

    lists = ("meters", "interference", "contamination", "designs", "tightness", "shares", "trainings")
    given: dict[str, Any] = {key: tuple(identity[key]) for key in lists}
    return len(tasks_of(Plan(scenario=_of(identity), **given), Path()))


def _offline(identity: Identity) -> int:
    from reports.studies.offline import OfflineConfig, models_of

    config = OfflineConfig(**identity["config"], path=".")
    return len(models_of(config)) * len(config.seeds)


def _of(identity: Identity) -> Scenario:
    return Scenario.model_validate(identity["config"])


def _ablation(identity: Identity) -> int:
    """A burn-in and all cells of every world, the base without counters in the fresh ones, one A/A a scenario."""
    fresh = [config["run"]["worlds"] for config in identity["config"].values()]
    each = 1 + len(identity["cells"])
    return sum(each * (len(identity["choosing"]) + worlds) + worlds + 1 for worlds in fresh)


COUNTS: Mapping[str, Callable[[Identity], int]] = {
    "ab": _ab, "ablation": _ablation, "arena": _arena, "lab": _lab, "offline": _offline,
}  # fmt: skip
"""Kind of run -> how its cells are counted."""
