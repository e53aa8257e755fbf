"""The whole gate over a small repository of its own: real git, real processes, few pairs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports.gate.run import GateConfig, run
from reports.gate.trees import HEAD, base_tree, head_tree, installed
from tests.reports.studies.tiny import hear_ctrl_c

DRAWS = HEAD / "simulator" / "keyed_random.py"
SLOWER = """

_quick = uniforms


def uniforms(*args):
    return [_quick(*args) for _ in range(5)][0]
"""
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(root, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, "-C", str(root), *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Four packages, of which one has the draws; a commit before that is no project; a working tree that is slower."""
    root = tmp_path_factory.mktemp("project")
    git(root, "init", "--quiet")
    (root / "README").write_text("nothing yet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "nothing")
    git(root, "tag", "nothing")
    for name in ("simulator", "baselines", "cs3", "reports"):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text('"""Ours."""\n')
    points = '[project.entry-points."cs3bench.retrievers"]\nmine = "simulator:mine"\n'
    (root / "pyproject.toml").write_text(f'[project]\nname = "cs3-bench"\nversion = "0"\n{points}')
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "no draws")
    git(root, "tag", "without-draws")
    (root / "simulator" / "keyed_random.py").write_text(DRAWS.read_text())
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "draws")
    git(root, "tag", "quick")
    (root / "simulator" / "keyed_random.py").write_text(DRAWS.read_text() + SLOWER)
    return root


def worktrees(root):
    return git(root, "worktree", "list").strip().splitlines()


class TestTrees:
    def test_the_base_is_checked_out_beside_the_head_and_gone_afterwards(self, repository):
        with base_tree("quick", repository) as base, head_tree(repository) as head:
            folder = base.path[1]
            assert "_quick" not in (folder / "simulator/keyed_random.py").read_text()
            assert len(worktrees(repository)) == 2
            assert base.commit == git(repository, "rev-parse", "quick").strip()
            assert (head.commit, head.dirty, head.path[1]) == (base.commit, True, repository)
        assert not folder.exists()
        assert not folder.parent.exists()
        assert len(worktrees(repository)) == 1

    def test_it_is_gone_after_ctrl_c_too(self, repository):
        before = worktrees(repository)
        with pytest.raises(KeyboardInterrupt), base_tree("quick", repository) as base:
            raise KeyboardInterrupt
        assert not base.path[1].exists()
        assert worktrees(repository) == before

    def test_each_tree_brings_its_own_entry_points(self, repository):
        with base_tree("quick", repository) as base:
            asked = "from importlib.metadata import entry_points as e; print(*e(group='cs3bench.retrievers'))"
            env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, base.path))}
            said = subprocess.run(
                [sys.executable, "-P", "-c", asked], env=env, check=True, capture_output=True, text=True
            )
            assert "simulator:mine" in said.stdout
            assert "baselines.dssm" not in said.stdout

    @pytest.mark.parametrize(("ref", "words"), [
        ("no-such", "^--base no-such: must be a revision of "),
        ("--output=x", "^--base --output=x: must be a revision of "),
        ("nothing", "^--base nothing: has no pyproject.toml"),
    ])  # fmt: skip
    def test_a_revision_that_is_none(self, repository, ref, words):
        with pytest.raises(ValueError, match=words), base_tree(ref, repository):
            pass
        assert len(worktrees(repository)) == 1

    def test_no_repository_and_no_git(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        with pytest.raises(ValueError, match="must be in a git repository"), base_tree("HEAD", tmp_path):
            pass
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ValueError, match="git == not found"), base_tree("HEAD", tmp_path):
            pass
        with head_tree(tmp_path) as head:
            assert (head.path, head.commit, head.dirty) == ((tmp_path,), None, False)

    def test_an_installed_base(self, tmp_path):
        with installed(sys.executable) as tree:
            assert (tree.path, tree.python) == ((), sys.executable)
        with pytest.raises(ValueError, match="must be a Python interpreter"), installed(str(tmp_path / "python")):
            pass


def test_a_slower_head_is_caught_and_what_is_new_is_listed(repository):
    config = GateConfig(only=("draws/uniforms", "auction/gsp"), pairs=8, aa=False)
    with base_tree("quick", repository) as base, head_tree(HEAD) as quick, head_tree(repository) as slow:
        assert quick.path[1] == HEAD
        # The head has no auction either: that one fails, it is not new.
        found = {row["name"]: row for row in run(config, base, slow)["benchmarks"]}
        assert found["draws/uniforms"]["status"] == "failed", found
        assert found["draws/uniforms"]["confirmation"]["lo"] > 1.1
        assert found["auction/gsp"]["status"] == "failed"
        assert "the head cannot run it: ModuleNotFoundError" in found["auction/gsp"]["reason"]
        # The other way round nothing fails.
        found = {row["name"]: row for row in run(config, slow, base)["benchmarks"] if row["name"] == "draws/uniforms"}
        assert found["draws/uniforms"]["status"] == "passed"
        assert found["draws/uniforms"]["reason"] == "faster"
        # Against a head that has both, the base lacks one.
        found = {row["name"]: row for row in run(config, base, quick)["benchmarks"]}
        assert found["auction/gsp"]["status"] == "new"


def test_a_base_without_anything_is_bad_input(repository):
    config = GateConfig(only=("draws/uniforms",), pairs=8, aa=False)
    with (
        base_tree("without-draws", repository) as base,
        head_tree(HEAD) as head,
        pytest.raises(ValueError, match=r"^without-draws: nothing can be compared: .*simulator\.keyed_random"),
    ):
        run(config, base, head)


@pytest.mark.parametrize(("stop", "moment"), [(signal.SIGINT, "checkout"), (signal.SIGTERM, "workers")])
def test_an_interrupted_gate_leaves_nothing(tmp_path, stop, moment):
    """Ctrl-C in the middle of git's checkout, a runner's cancellation with all workers alive."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    typed = ["gate", "--base", "HEAD", "--only", "draws/*", "--pairs", "100000", "--json", str(tmp_path / "x.json")]
    process = subprocess.Popen(
        [sys.executable, "-m", "reports", *typed],
        cwd=HEAD,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,
    )

    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def workers():
        return children.read_text().split() if children.exists() else []

    def reached():
        there = list(temporary.glob("gate-base-*/tree/pyproject.toml"))
        return bool(there) and (moment == "checkout" or len(workers()) == 3)

    end = time.monotonic() + 400
    while process.poll() is None and time.monotonic() < end and not reached():
        time.sleep(0.02)
    started = workers()
    process.send_signal(stop)
    _, err = process.communicate(timeout=300)
    if "must be in a git repository" in err:
        pytest.skip("these files are not in a git repository")
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == "cs3bench: interrupted; workers and worktree are gone"
    assert not list(temporary.iterdir())
    assert not (tmp_path / "x.json").exists()
    assert str(temporary) not in git(HEAD, "worktree", "list")
    # One that was being started just then ends by itself: its requests have ended.
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < end
        time.sleep(0.1)
