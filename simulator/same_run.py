"""Whether a directory holds the run that is asked for: the same question, and made of the same code and data.

A manifest's ``identity`` is the question. What the answer is made of stands beside it: versions in the identity,
digests of files in ``made_of``. A run that differs in these only is the same run gone stale, and is told by the names
of what changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MADE = ("version", "libraries", "rows_sha256")
"""Keys of an identity that say what the run is made of, not what is asked."""
NAMED = 3
"""Names of changed files in one line."""


@dataclass(frozen=True, kw_only=True)
class Resume:
    """What may be done with a run that is there.

    Attributes:
        fresh: make its cells anew, whatever they were made of.
        other_kernels: go on with it under kernels that may round otherwise.
    """

    fresh: bool = False
    other_kernels: bool = False


_allowed: ContextVar[Resume] = ContextVar("resume", default=Resume())  # noqa: B039  # it is frozen


@contextmanager
def resuming(*, fresh: bool = False, other_kernels: bool = False) -> Iterator[None]:
    """Runs that are opened in this block may be made anew, or go on under other kernels."""
    before = _allowed.set(Resume(fresh=fresh, other_kernels=other_kernels))
    try:
        yield
    finally:
        _allowed.reset(before)


def allowed() -> Resume:
    """What the block around allows (:func:`resuming`)."""
    return _allowed.get()


def refuse_other(root: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse a directory that does not hold the run, as it would be made today.

    Args:
        root: the directory.
        there: its manifest.
        here: the manifest of the run that is asked for.

    Raises:
        ValueError: one line, naming what differs and what to do.
    """
    if not same_question(there, here):
        raise ValueError(f"{root}: holds another run ({there.get('command')}), choose another --out")
    found = changed(there, here)
    if found:
        raise ValueError(f"{root}: {found}: choose another --out, or make its cells anew with --fresh")


def same_question(there: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether two manifests ask the same, whatever the answers are made of."""
    # Settings come from tables of ours, if one of them has changed.
    table = any(name.endswith(".toml") for name in files_changed(there.get("made_of"), here.get("made_of")))
    made = {*MADE, "settings"} if table else set(MADE)
    return bool(_question(there, made) == _question(here, made))


def _question(manifest: Mapping[str, Any], made: Set[str]) -> Any:
    identity = _plain(manifest.get("identity"))
    return {k: v for k, v in identity.items() if k not in made} if isinstance(identity, dict) else identity


def changed(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """What has changed between two manifests of the same question, in words; None for nothing."""
    was, now = (_plain(manifest.get("identity")) or {} for manifest in (there, here))
    versions = [
        f"{name} {_version(was, name)} is now {_version(now, name)}"
        for name in ("cs3-bench", *(now.get("libraries") or ()))
        if _version(was, name) != _version(now, name)
    ]
    files = files_changed(there.get("made_of"), here.get("made_of"))
    if files:
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        versions.append(f"{', '.join(files[:NAMED])}{more} changed since it was made")
    elif was.get("rows_sha256") != now.get("rows_sha256"):
        versions.append("the rows of its log changed since it was made")
    return "; ".join(versions) or None


def files_changed(there: Any, here: Any) -> list[str]:
    """Names of what differs between two ``made_of``, plug-ins first; nothing if the caller does not say its own."""
    if not here:
        return []
    if not isinstance(there, Mapping):
        return ["the code that made it is not known and may have"]
    was, now = dict(there), dict(_plain(here))
    if was.get("python") != now.get("python"):
        return [f"Python {was.get('python')} is now {now.get('python')}, which"]
    return [*_differ(was, now, "plugins"), *_data_changed(was.get("data"), now.get("data")), *_differ(was, now, "code")]


def _data_changed(was: Any, now: Any) -> list[str]:
    """Files of a log that differ, if what was read of them does."""
    if not now or _mapping(was).get("read") == now["read"]:
        return []
    folder = now["folder"]
    return [f"{folder}/{name}" for name in _differ(_mapping(was), now, "files")] or [f"what is read from {folder}"]


def _differ(was: Mapping[str, Any], now: Mapping[str, Any], part: str) -> list[str]:
    one, other = _mapping(was.get(part)), _mapping(now.get(part))
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _version(identity: Mapping[str, Any], name: str) -> Any:
    return identity.get("version") if name == "cs3-bench" else _mapping(identity.get("libraries")).get(name)


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of a manifest, which may be somebody's own."""
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    """As it comes back from a file: tuples are lists."""
    return json.loads(json.dumps(value))
