"""Every ``cs3bench`` line of README and docs is one that the command line takes: its command, options and values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from reports.commands.main import cs3bench

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "reference")]
BLOCK = re.compile(r"^```(?:console|bash|sh|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def lines(page: Path) -> list[str]:
    """What is typed in the page's blocks, behind ``cs3bench``."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            _, at, words = line.partition("cs3bench ")
            if at and not line.lstrip().startswith("#") and "/cs3bench" not in line.partition(" ab")[0]:
                found.append(words)
    return found


TYPED = [(page, line) for page in PAGES for line in lines(page)]


def test_there_are_lines_to_try() -> None:
    assert len(TYPED) > 40


@pytest.mark.parametrize(("page", "line"), TYPED, ids=[f"{page.stem}: {line[:40]}" for page, line in TYPED])
def test_a_line_of_the_docs_is_taken(page: Path, line: str) -> None:
    words = shlex.split(re.sub(r"\.\.\.|\bID\b", lambda m: "1" if m.group() == "ID" else "", line), comments=True)
    words = words[: next((i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&")), len(words))]
    name, *rest = words
    if name.startswith("-"):
        return
    command = cs3bench.commands.get(name)
    assert command is not None, f"{page.name}: no command {name}"
    try:
        command.make_context(name, rest)
    except click.exceptions.Exit:
        pass  # --list, --help: done while it was read
    except click.UsageError as error:
        pytest.fail(f"{page.name}: cs3bench {line}: {error.format_message()}")
