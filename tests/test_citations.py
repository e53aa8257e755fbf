"""What a comment cites is in the repository: the page, and on the pages with numbers the section or the row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for name in ("baselines", "cs3", "reports", "simulator", "tests")
    for path in sorted((ROOT / name).rglob("*.py"))
]
CITED = re.compile(r"(\(?)((?:docs/)?[\w-]+\.md)((?: \d[\d,. ]*(?:and )?)*)")
"""A page, whether a parenthesis opens before it, and the numbers behind it."""
NUMBERED = {
    "docs/formulas.md": re.compile(r"^## (\d+)\. ", re.MULTILINE),
    "docs/testing.md": re.compile(r"^\| (\d+) \|", re.MULTILINE),
}


def unknown(text: str) -> list[str]:
    """Citations of a text that lead nowhere; one may run over the end of a line."""
    wrong = []
    for opened, page, numbers in CITED.findall(re.sub(r"\s+(?:#\s+)?", " ", text)):
        there, wanted = ROOT / page, re.findall(r"\d+(?:\.\d+)*", numbers)
        if not there.is_file():
            # A bare name may be a file that a study writes; in parentheses or with a number it is a source.
            wrong += [page] if page.startswith("docs/") or opened or wanted else []
        elif wanted:
            known = NUMBERED[page].findall(there.read_text(encoding="utf-8"))
            wrong += [f"{page} {number}" for number in wanted if number not in known]
    return wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("by the rule (docs/formulas.md 4)", []),
        ("(docs/formulas.md 1 and\n    2) and 3", []),
        ("(docs/formulas.md 3, 99).", ["docs/formulas.md 99"]),
        ("(docs/nowhere.md)", ["docs/nowhere.md"]),
        ("(models.md 3.2) and (models.md)", ["models.md", "models.md"]),
        ("see README.md, and docs/cs3.md. It writes tables.md.", []),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text, wrong):
    assert unknown(text) == wrong


def test_all_citations_lead_somewhere():
    assert len(SOURCES) > 100
    wrong = {path.relative_to(ROOT).as_posix(): unknown(path.read_text(encoding="utf-8")) for path in SOURCES}
    wrong.pop("tests/test_citations.py")
    assert {path: lost for path, lost in wrong.items() if lost} == {}
