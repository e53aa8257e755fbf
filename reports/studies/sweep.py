"""Question: how much does the answer on a real log depend on one dial?

``cs3bench sweep`` runs the offline study at each value of a dial and lays the results side by side. The decays
``alpha`` and ``beta`` are the mechanisms' own: one run holds an arm per value. ``label_wait`` and ``sync`` are the
study's: each value is a run of its own. Everything else is as in the study, with the settings found at the default: a
sweep shows sensitivity, it does not choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from reports.studies import offline
from reports.studies.offline import OfflineConfig
from simulator.config import Section
from simulator.experiment import write_json
from simulator.plugins import nearest


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
    seeds: tuple[int, ...] = Field(default=(11, 12, 13), min_length=1)


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
    if config.dial not in DIALS:
        raise ValueError(f"dial == '{config.dial}', must be a dial{nearest(config.dial, DIALS)}")
    dial, values = DIALS[config.dial], list(config.values or DIALS[config.dial].values)
    if dial.of_arm:
        study = _study(config, [BASE, *(_at(config.dial, value) for value in values)])
        found = [offline.run(study, out / "run", jobs=jobs, quiet=quiet, command=command)] * len(values)
    else:
        found = [
            offline.run(
                _study(config, [BASE, dial.arm], **{config.dial: int(value)}),  # whole seconds
                out / f"{config.dial}-{value:g}",
                jobs=jobs,
                quiet=quiet,
                command=command,
            )
            for value in values
        ]
    results = assemble(config, values, found)
    write_json(out / "sweep.json", results)
    from reports.offline_page import write_sweep_page

    write_sweep_page(results, out)
    return results


def _study(config: SweepConfig, arms: Sequence[str], **given: Any) -> OfflineConfig:
    return OfflineConfig(
        data=config.data, path=config.path, arms=tuple(arms), seeds=config.seeds, noise=(), panel=0, **given
    )


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


def lines(results: Mapping[str, Any]) -> list[str]:
    """The sweep as a Markdown table."""
    arms = results["arms"]
    head = " | ".join(f"`{name}`" for name in arms)
    against = [name for name, one in arms.items() if any(one["users"])]
    head += "".join(f" | `{name}` - `{results['base']}`" for name in against)
    text = [f"| {results['dial']} ({results['unit']}) | {head} |", f"|---|{'---|' * (len(arms) + len(against))}"]
    for i, value in enumerate(results["values"]):
        cells = [f"{one['auc'][i]['mean']:.4f}" for one in arms.values()]
        for name in against:
            users = arms[name]["users"][i]
            cells.append(f"{users['effect']:+.4f} [{users['ci'][0]:+.4f}, {users['ci'][1]:+.4f}]")
        text.append(f"| {value:g} | {' | '.join(cells)} |")
    return text
