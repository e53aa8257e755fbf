"""Several runs beside each other: which of their arms can be compared, by which metric, and what differs between them.

Nothing is tested across runs: each interval is its run's own. What differs besides the arms is said, never silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reports.runs.load import Run, load_run, reading
from simulator.files import filled
from simulator.plugins import nearest

Record = Mapping[str, Any]
SCHEMA = 1
FIRST = "revenue"
"""The metric that is shown if none is chosen and the runs have it."""
MOST = 12
"""Fields of the configuration that are named where more than so many differ."""


class Entry(NamedTuple):
    """An arm of a run, as it was held against its control.

    Attributes:
        run: its name in the comparison.
        scenario: or log.
        arm: spelling, with the level of a study that has several.
        control: what it was held against.
        metrics: records as in ``results.json`` of an A/B test: label, unit, kind, better, effect, ci, p, n_worlds.
    """

    run: str
    scenario: str
    arm: str
    control: str
    metrics: Mapping[str, Record]


class Comparison(NamedTuple):
    """Arms of several runs by the metrics that the runs have in common.

    Attributes:
        metric: the chosen one.
        metrics: keys that every run has, in the first run's order.
        entries: arms, run by run.
        runs: name, kind and command of each run.
        notes: what differs between the runs besides the arms, a sentence each; empty if nothing does.
    """

    metric: str
    metrics: tuple[str, ...]
    entries: tuple[Entry, ...]
    runs: tuple[dict[str, str], ...]
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """The content of ``comparison.json``."""
        kept = [
            {**entry._asdict(), "metrics": {key: entry.metrics[key] for key in self.metrics if key in entry.metrics}}
            for entry in self.entries
        ]
        return {"schema": SCHEMA, "kind": "comparison", **self._asdict(), "entries": kept}


def compare(paths: Sequence[Path], metric: str | None = None, arms: Sequence[str] = ()) -> Comparison:
    """Read runs and put their arms beside each other.

    Args:
        paths: run directories.
        metric: that is shown; revenue, or the first common one, if None.
        arms: that are kept; all of them if empty.

    Raises:
        ValueError: one line, if a run cannot be read, the runs have no metric in common, or not the one that is asked
            for.
    """
    if not paths:
        raise ValueError("RUN is missing, must be at least one run directory")
    runs = [load_run(path) for path in paths]
    names = _names(paths)
    every = [entry for name, run in zip(names, runs, strict=True) for entry in entries_of(run, name)]
    for arm in arms:
        if arm not in {entry.arm for entry in every}:
            raise ValueError(f"--arm {arm}: in none of the runs{nearest(arm, {entry.arm for entry in every})}")
    kept = [entry for entry in every if not arms or entry.arm in arms]
    common = _common(names, runs, kept)
    chosen = metric or (FIRST if FIRST in common else common[0])
    if chosen not in common:
        raise ValueError(f"--metric {chosen}: not in every run{nearest(chosen, common)}")
    told = tuple(
        {"name": name, "kind": run.kind, "command": run.command} for name, run in zip(names, runs, strict=True)
    )
    return Comparison(chosen, tuple(common), tuple(kept), told, tuple(differences(names, runs)))


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each run: its directory's, with as much of the path before it as tells the runs apart."""
    parts = [path.resolve().parts for path in paths]
    if len(set(parts)) < len(parts):
        raise ValueError("RUN is given twice, must be different runs")
    for depth in range(1, max(len(one) for one in parts) + 1):
        found = ["/".join(one[-depth:]) for one in parts]
        if len(set(found)) == len(found):
            return found
    raise AssertionError


def _common(names: Sequence[str], runs: Sequence[Run], entries: Sequence[Entry]) -> list[str]:
    of: dict[str, list[str]] = {name: [] for name in names}
    for entry in entries:
        of[entry.run] += [key for key in entry.metrics if key not in of[entry.run]]
    first, *others = of.values()
    common = [key for key in first if all(key in other for other in others)]
    if common:
        return common
    has = [
        f"{name} ({run.kind}) has {', '.join(of[name][:5]) or 'no arm that was held against a control'}"
        for name, run in zip(names, runs, strict=True)
    ]
    raise ValueError(f"no metric in common: {'; '.join(has)}")


def entries_of(run: Run, name: str) -> list[Entry]:
    """The arms of a run that were held against a control; none for a kind of run without."""
    with reading(run.file):
        found = [Entry(name, *arm) for arm in run.of.compared(run)] if run.of.compared else []
        for entry in found:
            _refuse_odd(entry)
        return found


WORDS = ("label", "unit", "kind", "better")
NUMBERS = ("control", "treatment", "effect", "rel_effect", "p", "n_worlds", "n_users", "n_seeds", "n_requests")
"""What a metric says, where it does."""


def _refuse_odd(entry: Entry) -> None:
    """An arm of a received run may hold anything where words and numbers stand."""
    for word in (entry.scenario, entry.arm, entry.control):
        _must(word, str)
    for metric in entry.metrics.values():
        _must(metric, Mapping)
        _must(metric["label"], str)
        for key in WORDS:
            _must(metric.get(key, ""), str)
        for number in (*(metric.get(key) for key in NUMBERS), *_ends(metric.get("ci"))):
            _must(number, int | float | None)
            float(number or 0)


def _ends(ci: Any) -> list[Any]:
    _must(ci, list | None)
    if ci is not None and len(ci) != 2:
        raise ValueError(f"ci == {ci!r:.80}, must be two numbers")
    return ci or []


def _must(value: Any, kind: Any) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.80}, must be {getattr(kind, '__name__', kind)}")


# --- what differs ---------------------------------------------------------------------------------------------------


def differences(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """What differs between the runs besides the arms: a sentence for each field, empty if nothing does.

    Args:
        names: of the runs.
        runs: as many.
    """
    facts, configs = [], []
    for run in runs:
        with reading(run.file):
            facts.append(_facts(run))
            configs.append(_flat(run.manifest.get("config") or run.results.get("config") or {}))
    found = [_told(field, names, facts) for field in dict.fromkeys(key for one in facts for key in one)]
    if len({run.kind for run in runs}) == 1:
        fields = [key for key in dict.fromkeys(k for one in configs for k in one) if _differs(key, configs)]
        told = [key for key in fields if key not in COVERED]
        found += [_told(key, names, configs) for key in told[:MOST]]
        if len(told) > MOST:
            found.append(f"{len(told) - MOST} more fields of the configuration differ: {', '.join(told[MOST:])}.")
    return [sentence for sentence in found if sentence]


COVERED = (
    "name", "run.worlds", "run.seed", "run.days", "run.burn_in", "traffic.requests_per_day", "cascade.candidates",
    "auction.slots", "world.ads", "scenario",
)  # fmt: skip
"""Fields of a configuration that are told in words."""


def _facts(run: Run) -> dict[str, Any]:
    """What has to be equal for two runs to be read as one experiment."""
    r = run.beside.get("results.json", run.results)
    data, requests = r.get("data"), r.get("requests_per_world")
    config, days = (one if isinstance(one, Mapping) else {} for one in (r.get("config"), r.get("days")))
    versions = run.manifest.get("versions") or {}
    return {
        "Kind of run": run.kind,
        "Scenario": r.get("scenario") or ", ".join(r.get("scenarios") or ()) or config.get("scenario"),
        "Log": data.get("name") if isinstance(data, Mapping) else data,
        "Form": "small" if r.get("small") or config.get("small") else "full",
        "Worlds": r.get("worlds") or _of_scenarios(r, "worlds"),
        "Seeds": r.get("seeds"),
        "Days of burn-in": days.get("burn_in"),
        "Test days": days.get("test"),
        "Requests a world": requests.get("test") if isinstance(requests, Mapping) else requests,
        "K": r.get("k"),
        "Slots": r.get("slots"),
        "Ads": r.get("ads"),
        "Ranker": r.get("ranker"),
        "Control": r.get("control") or r.get("reference") or r.get("base"),
        "Tuning": _tuning(r) if run.of.settings else None,
        "Version": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _of_scenarios(results: Record, key: str) -> Any:
    found = [one.get(key) for one in (results.get("scenarios") or {}).values()]
    return found[0] if found and all(one == found[0] for one in found) else found or None


def _tuning(results: Record) -> str:
    """Whether the arms have settings that a search found."""
    given = results.get("settings")
    if not isinstance(given, Mapping):
        return "defaults"
    if isinstance(given.get("how"), str):
        return f"settings {given['how']}"
    return "each arm's own settings" if any(given.values()) else "defaults"


def _differs(field: str, facts: Iterable[Record]) -> bool:
    return len(Counter(repr(one.get(field)) for one in facts)) > 1


def _told(field: str, names: Sequence[str], facts: Sequence[Record]) -> str:
    """The sentence for one field; "" where all agree, or where but one run knows of it."""
    values = [one.get(field) for one in facts]
    known = [value for value in values if value not in (None, "", [])]
    if len({repr(value) for value in known}) < 2:
        return ""
    said = "; ".join(f"{name} {_spelled(value)}" for name, value in zip(names, values, strict=True))
    return f"{field}: {said}."


def _spelled(value: Any) -> str:
    from reports.drawing import wording

    if value in (None, "", []):
        return wording.MISSING
    return wording.numbers(value) if isinstance(value, list) else str(value)


def _flat(record: Record, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def write(comparison: Record, out: Path) -> Path:
    """Write a comparison's page, tables, figures and numbers into a directory of its own; the page's path.

    Args:
        comparison: as ``Comparison.record()`` returns it.
        out: the directory.

    Raises:
        ValueError: one line naming the file, if the directory holds something else or cannot be written; nothing is
            written then.
    """
    from reports.pages.comparison.page import write_page

    try:
        if out.exists() and any(out.iterdir()) and not (out / "comparison.json").exists():
            raise ValueError(f"{out}: not empty and not a comparison, choose another --out")
    except OSError as error:
        raise ValueError(f"{out}: {error.strerror or error}, choose another --out") from error
    with filled(out) as aside:
        write_page(comparison, aside)
    return out / "index.html"
