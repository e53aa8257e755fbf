"""The README's two commands are the ones that continuous integration runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = r"<!-- {name} -->\n```console\n(.*?)```"


def commands(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", ".ci/run", "--print"], cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_ci_runs_the_readmes_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    main_job, tests = (re.findall(BLOCK.format(name=name), readme, re.DOTALL) for name in ("main-job", "tests"))
    assert len(main_job) == len(tests) == 1
    assert commands(ROOT).stdout == f"{main_job[0].rstrip()} --small\n{tests[0]}"
    for line in main_job + tests:
        assert line.count("\n") == 1
        assert "-m venv" in line
        assert "-c constraints.txt" in line


@pytest.mark.parametrize(
    ("old", "new"),
    [("<!-- tests -->\n", ""), ("python3.11 -m venv .venv-tox && ", "python3.11 -m venv .venv-tox\n")],
    ids=["marker gone", "two lines"],
)
def test_ci_refuses_a_readme_without_one_line_per_command(checkout, old, new):
    readme = checkout / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert old in text
    readme.write_text(text.replace(old, new), encoding="utf-8")
    ran = commands(checkout)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == "README.md: the block under '<!-- tests -->' must be exactly one line\n"


def test_every_version_is_pinned_exactly():
    lines = [x for x in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not x.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    assert "torch==2.13.0" in lines
