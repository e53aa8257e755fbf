"""The table in docs/testing.md names tests that exist, one row for each of the fifteen invariants."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = re.findall(
    r"^\| (\d+) \| .* \| (.*) \|$", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_there_are_fifteen():
    assert [int(number) for number, _ in ROWS] == list(range(1, 16))


def test_every_test_that_is_named_exists():
    named = 0
    for number, proof in ROWS:
        files = []
        for word in re.findall(r"`([^`]+)`", proof):
            if word.endswith(".py"):
                folder = Path(word).parent if "/" in word else files[-1].parent
                files.append(ROOT / folder / Path(word).name)
                assert files[-1].is_file(), (number, word)
                continue
            kind = "class" if word[0].isupper() else "def test"
            wanted = f"{kind} {word}" if kind == "class" else f"def test_{word}("
            assert any(wanted in file.read_text(encoding="utf-8") for file in files), (number, word)
            named += 1
        assert files, number
    assert named >= 20
