"""What git says of the code, wherever it is started and whatever a hook has set: real repositories, tiny ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from reports.studies.machine.git import HOME, OF_A_REPOSITORY, checkout, commit, environment, git, revision
from tests.reports.repositories import committed, run_git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
PROJECT = '[project]\nname = "cs3-bench"\nversion = "0"\n'


@pytest.fixture
def ours(tmp_path):
    """A checkout of this project with a folder and one commit."""
    root = tmp_path / "ours"
    (root / "reports" / "gate").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "reports" / "gate" / "a.py").write_text("a = 1\n")
    committed(root)
    return root


@pytest.fixture
def theirs(tmp_path):
    """Somebody's repository, with something installed in it that they do not follow."""
    root = tmp_path / "theirs"
    (root / "venv" / "site-packages" / "reports").mkdir(parents=True)
    (root / ".gitignore").write_text("venv\n")
    (root / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    committed(root)
    return root


class TestCheckout:
    def test_from_its_folder_and_from_any_below(self, ours):
        assert [checkout(folder) for folder in (ours, ours / "reports", ours / "reports" / "gate")] == [ours] * 3

    def test_a_linked_worktree_is_a_checkout_of_its_own(self, ours, tmp_path):
        run_git(ours, "worktree", "add", "--quiet", str(tmp_path / "linked"))
        assert checkout(tmp_path / "linked" / "reports") == tmp_path / "linked"

    def test_the_project_may_lie_in_a_folder_of_the_repository(self, tmp_path):
        (tmp_path / "mono" / "bench" / "docs").mkdir(parents=True)
        (tmp_path / "mono" / "bench" / "pyproject.toml").write_text(PROJECT)
        committed(tmp_path / "mono")
        assert checkout(tmp_path / "mono" / "bench" / "docs") == tmp_path / "mono" / "bench"
        assert checkout(tmp_path / "mono") is None

    def test_a_copy_that_the_repository_does_not_follow_is_none(self, theirs):
        assert checkout(theirs) is None
        (theirs / "venv" / "pyproject.toml").write_text(PROJECT)
        assert checkout(theirs / "venv") is None
        assert revision(theirs / "venv") == {"commit": None, "dirty": None}

    @pytest.mark.parametrize("text", ["", "[project", "project = 1", "[project]", "\xff"])
    def test_any_pyproject(self, ours, text):
        (ours / "pyproject.toml").write_text(text, encoding="latin-1")
        assert checkout(ours) is None


class TestRevision:
    def test_a_clean_checkout_and_a_changed_one(self, ours):
        head = run_git(ours, "rev-parse", "HEAD").strip()
        assert revision(ours) == {"commit": head, "dirty": False}
        (ours / "new.py").write_text("git does not follow it\n")
        assert revision(ours) == {"commit": head, "dirty": False}
        (ours / "reports" / "gate" / "a.py").write_text("a = 2\n")
        assert revision(ours) == {"commit": head, "dirty": True}
        run_git(ours, "add", "reports")
        assert revision(ours) == {"commit": head, "dirty": True}

    def test_installed_below_somebodys_repository_it_is_not_their_commit(self, theirs):
        assert revision(theirs / "venv" / "site-packages") == {"commit": None, "dirty": None}

    def test_installed_within_the_checkout_it_is_the_commit_if_the_files_are(self, ours):
        packages = ours / "venv" / "site-packages"
        shutil.copytree(ours / "reports", packages / "reports")
        assert revision(packages) == {"commit": run_git(ours, "rev-parse", "HEAD").strip(), "dirty": False}
        (ours / "reports" / "gate" / "a.py").write_text("a = 2\n")
        assert revision(packages)["commit"] == run_git(ours, "rev-parse", "HEAD").strip()
        run_git(ours, "commit", "--quiet", "-a", "-m", "moved on")
        assert revision(packages) == {"commit": None, "dirty": None}
        (packages / "reports" / "gate" / "a.py").unlink()
        assert revision(packages) == {"commit": None, "dirty": None}

    def test_no_git(self, ours, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        assert revision(ours) == {"commit": None, "dirty": None}

    def test_a_git_that_hangs_is_not_waited_for(self, ours, monkeypatch, tmp_path):
        (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr("reports.studies.machine.git.PATIENCE", 0.2)
        assert revision(ours) == {"commit": None, "dirty": None}


class TestHooks:
    def test_all_variables_that_git_lists_are_dropped(self):
        assert set(git(HOME, "rev-parse", "--local-env-vars").stdout.split()) <= OF_A_REPOSITORY

    @pytest.mark.parametrize("name", sorted(OF_A_REPOSITORY))
    def test_none_of_them_misleads(self, ours, theirs, monkeypatch, name):
        before = (checkout(ours), commit(ours))
        monkeypatch.setenv(name, str(theirs / ".git"))
        assert name not in environment()
        assert (checkout(ours), commit(ours)) == before

    def test_in_a_pre_commit_hook_of_another_repository(self, ours, theirs, tmp_path):
        """The hook that git really runs sees our commit, and the commit that it belongs to is made."""
        told, code = tmp_path / "told.json", tmp_path / "told.py"
        code.write_text(
            "import json, os, sys\nfrom pathlib import Path\n"
            "from reports.studies.machine.git import checkout, revision\n"
            f"found = revision(Path({str(ours)!r})), str(checkout(Path({str(ours)!r})))\n"
            f"Path({str(told)!r}).write_text(json.dumps([*found, os.environ['GIT_INDEX_FILE']]))\n"
        )
        hook = theirs / ".git" / "hooks" / "pre-commit"
        hook.write_text(f'#!/bin/sh\nexport GIT_DIR="$PWD/.git"\nPYTHONPATH={HOME} exec {sys.executable} -P {code}\n')
        hook.chmod(0o755)
        (theirs / ".gitignore").write_text("venv\nmore\n")
        run_git(theirs, "commit", "--quiet", "-a", "-m", "hooked")
        found, where, index = json.loads(told.read_text())
        assert found == {"commit": run_git(ours, "rev-parse", "HEAD").strip(), "dirty": False}
        assert where == str(ours)
        assert index
        assert run_git(theirs, "log", "-1", "--format=%s").strip() == "hooked"


def test_what_is_interrupted_is_over(ours):
    with pytest.raises(subprocess.TimeoutExpired):
        git(ours, "-c", "alias.nap=!sleep 60", "nap", timeout=0.1)
