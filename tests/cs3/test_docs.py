import re
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import torch

from cs3 import CS3Config

PAGE = Path(__file__).parents[2] / "docs" / "cs3.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python([^\n]*)\n(.*?)```", TEXT, flags=re.DOTALL)


def test_the_page_runs_from_top_to_bottom():
    assert len(BLOCKS) > 8
    names = {}
    with torch.random.fork_rng(devices=[]):
        for kind, block in BLOCKS:
            names = names if "continuation" in kind else {}
            exec(compile(block, PAGE.name, "exec"), names)
    assert not names["table"].live.any()


def test_the_quickstart_is_short_and_ends_with_five_items():
    names, code = {}, BLOCKS[0][1]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30
    with torch.random.fork_rng(devices=[]):
        exec(compile(code, PAGE.name, "exec"), names)
    assert names["best"].shape == (1, 5)


def test_the_page_names_every_setting():
    assert [field.name for field in fields(CS3Config) if f"`{field.name}`" not in TEXT] == []


def test_links_and_pictures_lead_somewhere():
    """A heading's anchor is its words in lower case, joined by hyphens, without punctuation."""
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("http"):
            assert (PAGE.parent / target).exists(), target
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", TEXT)
    assert len(pictures) == 3
    for alt, path in pictures:
        root = ElementTree.parse(PAGE.parent / path).getroot()
        assert len(alt) > 30
        assert {part.tag.split("}")[1] for part in root} >= {"title", "desc", "style"}
        assert "prefers-color-scheme: dark" in (PAGE.parent / path).read_text(encoding="utf-8")
