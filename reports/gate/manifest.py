"""What the manifest declares against what the registry holds: a benchmark does not vanish unnoticed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from reports.gate.process import SUITE


class Manifest(NamedTuple):
    """What must be there.

    Attributes:
        least: benchmark -> least seconds of one run.
        retired: benchmark -> why it is gone.
    """

    least: dict[str, float]
    retired: dict[str, str]


def declared(path: Path = SUITE / "manifest.toml") -> Manifest:
    """Read a manifest.

    Raises:
        ValueError: it is not one.
    """
    try:
        return of(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"manifest {path.name}: {error}") from None


def of(content: Mapping[str, Any]) -> Manifest:
    """A manifest of its tables.

    Raises:
        ValueError: a table or a value of it is wrong.
    """
    for table in content:
        if table not in ("benchmarks", "retired"):
            raise ValueError(f"manifest table == '{table}', must be 'benchmarks' or 'retired'")
    least, retired = dict(content.get("benchmarks", {})), dict(content.get("retired", {}))
    for name, micros in least.items():
        if isinstance(micros, bool) or not isinstance(micros, int | float) or not micros > 0:
            raise ValueError(f"manifest benchmarks.'{name}' == {micros!r}, must be microseconds over 0")
    for name, why in retired.items():
        if not isinstance(why, str) or not why.strip():
            raise ValueError(f"manifest retired.'{name}' == {why!r}, must be the reason")
        if name in least:
            raise ValueError(f"manifest: '{name}' is retired, must not be declared too")
    return Manifest({name: float(micros) / 1e6 for name, micros in least.items()}, retired)


def chosen(only: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that patterns pick (``auction/*``), in their own order; all without a pattern.

    Raises:
        ValueError: one line with the pattern that picks none and the nearest name.
    """
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = get_close_matches(pattern, names, n=1, cutoff=0.0)
            raise ValueError(f"--only {pattern}: must name a benchmark{f', e.g. {near[0]}' if near else ''}")
    return [name for name in names if not only or any(fnmatchcase(name, pattern) for pattern in only)]


def problems(manifest: Manifest, registry: Mapping[str, Mapping[str, Any]], base: Manifest | None) -> dict[str, str]:
    """Benchmark -> what is wrong with it before anything was timed.

    Args:
        manifest: of the head.
        registry: name -> what the head's worker says of it: ``threads``, ``disabled``.
        base: the base revision's, if it has one: what it declares may be retired, not dropped.
    """
    found = {}
    for name in manifest.least:
        if name not in registry:
            new = [other for other in registry if other not in manifest.least]
            near = get_close_matches(name, new, n=1)
            found[name] = f"declared, but missing{f'; renamed to {near[0]}?' if near else ''}"
        elif registry[name]["disabled"]:
            found[name] = f"disabled: {registry[name]['disabled']}"
        elif registry[name]["threads"] != 1:
            found[name] = f"threads == {registry[name]['threads']}, must be 1: workers have one each"
    found.update({name: "not declared in the manifest" for name in registry if name not in manifest.least})
    for name in base.least if base is not None else ():
        if name not in manifest.least and name not in manifest.retired and name not in found:
            found[name] = "declared by the base, dropped without a reason; name it in [retired]"
    return found


def too_short(seconds: float, least: float, floor: float) -> str:
    """Why a run is too short to be timed, or empty."""
    if seconds < floor:
        return f"too short: {1e6 * seconds:.2f} us a run, the clock's useful floor is {1e6 * floor:.2f} us"
    if seconds < least:
        return f"too short: {1e6 * seconds:.2f} us a run, the manifest declares at least {1e6 * least:.2f} us"
    return ""
