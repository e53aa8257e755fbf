"""docs/run-directory.md held against a run: what is in one and not in the other.

A key of the page is spelled `arms.*.k_sweep.k`, `*` for a name that depends on the run, `[]` for each of a list of
records. Its type is a shape of the page's table of shapes, or a word; `object` is not looked into; `?`: may be absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import reports

PAGE = Path(reports.__file__).parents[1] / "docs" / "run-directory.md"
Path_ = tuple[str, ...]


def rows_of(title: str) -> list[list[str]]:
    """The cells of the tables below a heading, up to the next one of its level."""
    text = PAGE.read_text(encoding="utf-8")
    level = "###" if title.endswith(".parquet") else "##"
    (part,) = re.findall(rf"^{level} {re.escape(title)}$(.*?)(?=^##+ |\Z)", text, flags=re.M | re.S)
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def keys_of(title: str, file: str) -> dict[Path_, str]:
    """Key -> type, of one file of a kind of run: ``timing.json`` has a table of its own below the results'."""
    text = PAGE.read_text(encoding="utf-8")
    (part,) = re.findall(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, flags=re.M | re.S)
    before, _, after = part.partition("`timing.json`:\n")
    chosen = after if file == "timing.json" else before
    return {tuple(key.split(".")): kind for key, kind in re.findall(r"^\| `(.+?)` \| (.+?) \|", chosen, flags=re.M)}


def shapes() -> dict[str, tuple[set[str], set[str]]]:
    """Shape -> the keys that it must have, and those that it may have besides."""
    found = {}
    for name, keys, *_ in rows_of("Shapes"):
        every = [key.strip() for key in keys.split(",")]
        must = {key for key in every if not key.endswith("?")}
        found[name] = must, {key.rstrip("?") for key in every}
    return found


def disagreements(content: dict[str, Any], keys: dict[Path_, str]) -> list[str]:
    """Sentences, none if the page tells all of ``content`` and nothing else."""
    known, met = shapes(), set()
    wrong = list(_walk(content, (), keys, known, met))
    wrong += [
        f"{'.'.join(key)}: on the page, not in the file"
        for key, kind in keys.items()
        if not kind.endswith("?") and key not in met and not _below_empty(content, key)
    ]
    return list(dict.fromkeys(wrong))


def _walk(value: Any, path: Path_, keys: dict[Path_, str], known: Any, met: set[Path_]) -> Iterator[str]:
    key = next((k for k in sorted(keys, key=lambda k: k.count("*")) if _matches(path, k)), None)
    if key is not None:
        met.add(key)
        kind = keys[key].rstrip("?")
        if kind in known and value is not None:
            must, may = known[kind]
            if not isinstance(value, dict):
                yield f"{'.'.join(path)}: must be a {kind}"
            elif not must <= set(value) <= may:
                yield f"{'.'.join(path)}: a {kind} has not {sorted(must - set(value))}, has {sorted(set(value) - may)}"
        return
    if isinstance(value, dict) and any(len(k) > len(path) and _matches(path, k[: len(path)]) for k in keys):
        for name, inner in value.items():
            if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                listed = (*path, f"{name}[]")
                if any(_matches(listed, k[: len(listed)]) for k in keys):
                    for one in inner:
                        yield from _walk(one, listed, keys, known, met)
                    continue
            yield from _walk(inner, (*path, name), keys, known, met)
    elif value not in (None, [], {}):
        yield f"{'.'.join(path)}: in the file, not on the page"


def _matches(path: Path_, key: Path_) -> bool:
    return len(path) == len(key) and all(
        (k == p) or (k == "*" and not p.endswith("[]")) or (k == "*[]" and p.endswith("[]"))
        for p, k in zip(path, key, strict=True)
    )


def _below_empty(content: Any, key: Path_) -> bool:
    """Whether the way to a key ends at something empty or null, so that it could not be met."""
    for place, part in enumerate(key):
        if content is None or content in ([], {}):
            return True
        if part in ("*", "*[]"):
            inner = list(content.values()) if isinstance(content, dict) else []
            return all(
                _below_empty(one[0] if isinstance(one, list) and one else one, key[place + 1 :]) for one in inner
            )
        name = part.removesuffix("[]")
        if not isinstance(content, dict) or name not in content:
            return False
        content = content[name]
        if part.endswith("[]") and isinstance(content, list) and content:
            content = content[0]
    return content is None or content in ([], {})


def unknown_files(root: Path) -> list[str]:
    """Files of a run that the page does not name."""
    patterns = [row[0].strip("`") for row in rows_of("Files") if row[0].startswith("`")]
    found = []
    for path in root.rglob("*"):
        # A run inside the run, of a level or a scenario, has the same files.
        home = next((above for above in path.parents if (above / "manifest.json").exists()), root)
        inner = str(path.relative_to(home if home.is_relative_to(root) else root))
        if path.is_file() and not any(fnmatch(inner, p.replace("**", "*")) for p in patterns):
            found.append(str(path.relative_to(root)))
    return found


def columns_of(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Column -> type of a Parquet file, and of the page."""
    schema = pq.read_schema(file)
    types = {field.name: str(field.type).partition("<")[0].partition("[")[0] for field in schema}
    return types, {row[0].strip("`"): row[1] for row in rows_of(file.name) if row[0].startswith("`")}
