"""Question: how much does the answer on a real log depend on one dial?

``cs3bench sweep`` runs the offline study at each value of a dial and lays the results side by side. The decays
``alpha`` and ``beta`` are the mechanisms' own: one run holds an arm per value. ``label_wait`` and ``sync`` are the
study's: each value is a run of its own. Everything else is as in the study, with the settings found at the default: a
sweep shows sensitivity, it does not choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from reports.studies.offline import study as offline
from reports.studies.offline.fields import Seeds
from reports.studies.offline.study import OfflineConfig
from simulator.config import Section, validated
from simulator.experiment import read_json, remove_computed, write_json
from simulator.files import DamagedError, refuse_links
from simulator.plugins import nearest
from simulator.run_lock import locked
from simulator.same_run import allowed
from simulator.seal import seal_run


class Dial(NamedTuple):
    """One dial.

    Attributes:
        values: what a sweep tries.
        default: the study's own.
        arm: whom it moves, beside the base.
        unit: of the values.
        of_arm: it is a setting of the arm's modifier, not of the study.
    """

    values: tuple[float, ...]
    default: float
    arm: str
    unit: str
    of_arm: bool = False


BASE = "dssm"
DIALS = {
    "alpha": Dial((0.0, 0.5, 0.8, 0.95, 0.99), 0.8, "dssm+cts", "decay of the cross vectors", True),
    "beta": Dial((0.0, 0.5, 0.8, 0.95, 0.99), 0.8, "dssm+cms", "decay of the cascade vectors", True),
    "label_wait": Dial((0, 900, 1800, 3600, 21600), 1800, "dssm+cs3", "seconds"),
    "sync": Dial((300, 1800, 7200, 86400), 1800, "dssm+cs3", "seconds"),
}


class SweepConfig(Section):
    """What is swept.

    Attributes:
        dial: name of a dial.
        data: name of a reader.
        path: folder of the log.
        values: of the dial; its own where empty.
        seeds: of the models.
    """

    dial: str
    data: str = "kuairand"
    path: str
    values: tuple[float, ...] = ()
    seeds: Seeds = (11, 12, 13)


def run(config: SweepConfig, out: Path, *, jobs: int = 1, quiet: bool = False, command: str = "") -> dict[str, Any]:
    """Run the study at every value, or what is left of it, and write ``sweep.json``, a figure and a page.

    Args:
        config: what to sweep.
        out: the sweep's directory; one run directory per value inside.
        jobs: worker processes.
        quiet: no progress bar.
        command: what was typed, for the record.

    Raises:
        ValueError: for an unknown dial, or as the offline study does.
    """
    studies = studies_of(config)
    for study in studies.values():
        offline.checked(study)
    refuse_links(out)
    values = list(values_of(config))
    if allowed().fresh and _holds(out, config):
        _clear(out, studies)
    runs = [offline.run(one, out / name, jobs=jobs, quiet=quiet, command=command) for name, one in studies.items()]
    found = runs if len(runs) == len(values) else runs * len(values)
    results = assemble(config, values, found)
    write_json(out / "sweep.json", results)
    seal_run(out)
    from reports.pages.offline.page import write_sweep_page

    write_sweep_page(results, out)
    return results


def _clear(out: Path, runs: Iterable[str]) -> None:
    """Remove what was computed, of the runs inside too: one that is stopped now has no old numbers beside new ones."""
    with ExitStack() as held:
        there = [out / name for name in runs if (out / name).is_dir()]
        for root in there:
            held.enter_context(locked(root))
        for root in (out, *there):
            remove_computed(root)


def _holds(out: Path, config: SweepConfig) -> bool:
    """Whether a finished sweep of the same question is there, as far as its results tell."""
    if not (out / "sweep.json").exists():
        return False
    try:
        there = read_json(out / "sweep.json")
    except DamagedError:
        return True
    asked = {"dial": config.dial, "values": list(values_of(config)), "seeds": list(config.seeds)}
    return asked == {key: there.get(key) for key in asked}


def values_of(config: SweepConfig) -> tuple[float, ...]:
    """The values of the dial.

    Raises:
        ValueError: for an unknown dial, values that are spelled alike, or seconds that are not whole.
    """
    if config.dial not in DIALS:
        raise ValueError(f"dial == '{config.dial}', must be a dial{nearest(config.dial, DIALS)}")
    values = config.values or DIALS[config.dial].values
    spelled = [f"{value:g}" for value in values]
    for i, one in enumerate(spelled):
        if one in spelled[:i]:
            raise ValueError(f"values == {list(values)}, must differ in their first six digits: {one} is there twice")
    if not DIALS[config.dial].of_arm and any(value != int(value) for value in values):
        raise ValueError(f"values == {list(values)}, must be whole seconds")
    return values


def studies_of(config: SweepConfig) -> dict[str, OfflineConfig]:
    """Folder -> the study that is run in it: one for all values of an arm's dial, one per value of a study's.

    Raises:
        ValueError: as :func:`values_of`, or for a value that a study does not take.
    """
    values, dial = values_of(config), DIALS[config.dial]
    if dial.of_arm:
        return {"run": _study(config, [BASE, *(_at(config.dial, value) for value in values)])}
    return {
        f"{config.dial}-{value:g}": _study(config, [BASE, dial.arm], **{config.dial: int(value)}) for value in values
    }


def _study(config: SweepConfig, arms: Sequence[str], **given: Any) -> OfflineConfig:
    same = {"data": config.data, "path": config.path, "seeds": config.seeds, "noise": (), "panel": 0}
    return validated(OfflineConfig, {**same, "arms": tuple(arms), **given}, "sweep")


def _at(dial: str, value: float) -> str:
    """The arm at one value of its own dial."""
    return f"{DIALS[dial].arm}[{dial}={value:g}]"


def assemble(config: SweepConfig, values: Sequence[float], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The dict of ``sweep.json`` from the results at every value."""
    dial = DIALS[config.dial]
    arms: dict[str, dict[str, list[Any]]] = {}
    for value, results in zip(values, found, strict=True):
        rows = {row["name"]: row for row in results["rows"] if row["kind"] != "averages"}
        against = {pair["treatment"]: pair["users"] for pair in results["contrasts"] if pair["control"] == BASE}
        own = _at(config.dial, value) if dial.of_arm else dial.arm
        for name, spelling in {**{n: n for n in rows if n.startswith("ranker ")}, BASE: BASE, dial.arm: own}.items():
            one = arms.setdefault(name, {"auc": [], "users": []})
            one["auc"].append(rows[spelling]["auc"])
            one["users"].append(against.get(spelling))
    return {
        "schema": 1,
        "kind": "sweep",
        "dial": config.dial,
        "unit": dial.unit,
        "default": dial.default,
        "values": list(values),
        "base": BASE,
        "data": found[0]["data"],
        "seeds": list(config.seeds),
        "arms": arms,
    }
