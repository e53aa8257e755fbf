import re
from pathlib import Path

import torch

PAGE = Path(__file__).parents[2] / "docs" / "cs3.md"


def test_the_page_runs_from_top_to_bottom():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    with torch.random.fork_rng(devices=[]):
        names = {}
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), names)
    assert names["best"].shape == (1, 5)


def test_the_page_names_every_setting():
    from dataclasses import fields

    from cs3 import CS3Config

    text = PAGE.read_text(encoding="utf-8")
    assert [field.name for field in fields(CS3Config) if f"`{field.name}`" not in text] == []
