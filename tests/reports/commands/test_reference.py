"""The reference pages are those of the code as it is."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from reports.commands.reference import API, FOLDER, pages

ROOT = Path(__file__).parents[3]
MADE = pages()


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_page_is_as_fresh_as_the_code(name: str) -> None:
    path = ROOT / FOLDER / name
    assert path.read_text(encoding="utf-8") == MADE[name], f"{FOLDER / name} is old: run reports.commands.reference"


def test_every_command_and_every_dial_is_there() -> None:
    from reports.commands.main import cs3bench
    from simulator.world import WorldConfig

    assert all(f"## {name}\n" in MADE["commands.md"] for name in cs3bench.commands)
    assert all(f"| `{name}` |" in MADE["scenarios.md"] for name in WorldConfig.model_fields)
    assert "|  |\n" not in MADE["scenarios.md"], "a field without a description"


@pytest.mark.parametrize("module", sorted(API))
def test_every_public_name_is_there_with_a_docstring(module: str) -> None:
    found = importlib.import_module(module)
    names = API[module] or found.__all__
    text = MADE["api.md"].partition(f"## `{module}`\n")[2].partition("\n## `")[0]
    for name in names:
        assert f"### `{name}" in text, f"{module}.{name}"
        after = text.partition(f"### `{name}")[2].partition("\n### ")[0]
        assert len(after.splitlines()) > 2, f"{module}.{name} says nothing"
