"""The gallery is drawn from runs by the code of `cs3bench plot`; the one in docs shows what it says."""

from __future__ import annotations

import re

import pytest

from reports import load_run
from reports.studies.gallery import gallery, told
from tests.reports.schema_doc import PAGE


def test_every_figure_of_a_run_is_there(made_up, tmp_path):
    path = gallery(tmp_path, [made_up])
    text = path.read_text()
    names = load_run(made_up).figures.names
    assert re.findall(r"^### ab: (\S+)$", text, flags=re.M) == list(names)
    drawn = {file.name for file in (tmp_path / "figures" / "gallery").iterdir()}
    assert drawn == {f"ab-{name}.png" for name in names}
    assert "cs3bench ab --control dssm --treatment dssm+cs3" in text
    assert "Every metric's effect with its interval" in text
    with pytest.raises(ValueError, match="kind == 'ab', must be each kind once"):
        gallery(tmp_path, [made_up, made_up])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("cs3bench ab --out a/b --quiet --seed 3", "cs3bench ab --seed 3"),
        ("cs3bench ab --out=a/b --jobs 2", "cs3bench ab"),
        ("cs3bench sweep --path /a/b --dial k", "cs3bench sweep --path DIR --dial k"),
        ("cs3bench sweep --path=/a/b", "cs3bench sweep --path DIR"),
    ],
)
def test_a_command_without_places(typed, said):
    assert told(typed) == said


def test_the_one_in_the_docs_is_whole():
    text = (PAGE.parent / "gallery.md").read_text()
    shown = re.findall(r"\]\((figures/gallery/.+?)\)", text)
    assert len(shown) == len(set(shown)) > 15
    files = {file.relative_to(PAGE.parent).as_posix() for file in (PAGE.parent / "figures" / "gallery").iterdir()}
    assert set(shown) == files
    commands = re.findall(r"```console\n(.*)\n```", text)
    assert all(command.startswith("cs3bench ") for command in commands)
    assert not [command for command in commands if "/" in command]
