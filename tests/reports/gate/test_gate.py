"""The whole gate over a small repository of its own: real git, real processes, few pairs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reports.gate.process import SUITE
from reports.gate.run import GateConfig, run
from reports.gate.trees import HEAD, base_tree, head_root, head_tree, installed
from reports.studies.machine.git import OF_A_REPOSITORY
from tests.reports.repositories import run_git
from tests.reports.studies.commands import run_command
from tests.reports.studies.tiny import hear_ctrl_c

DRAWS = HEAD / "simulator" / "keyed_random.py"
SLOWER = """

_quick = uniforms


def uniforms(*args):
    return [_quick(*args) for _ in range(5)][0]
"""
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Four packages, of which one has the draws; a commit before that is no project; a working tree that is slower."""
    root = tmp_path_factory.mktemp("project")
    run_git(root, "init", "--quiet")
    (root / "README").write_text("nothing yet")
    run_git(root, "add", ".")
    run_git(root, "commit", "--quiet", "-m", "nothing")
    run_git(root, "tag", "nothing")
    for name in ("simulator", "baselines", "cs3", "reports"):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text('"""Ours."""\n')
    points = '[project.entry-points."cs3bench.retrievers"]\nmine = "simulator:mine"\n'
    (root / "pyproject.toml").write_text(f'[project]\nname = "cs3-bench"\nversion = "0"\n{points}')
    run_git(root, "add", ".")
    run_git(root, "commit", "--quiet", "-m", "no draws")
    run_git(root, "tag", "without-draws")
    (root / "simulator" / "keyed_random.py").write_text(DRAWS.read_text())
    run_git(root, "add", ".")
    run_git(root, "commit", "--quiet", "-m", "draws")
    run_git(root, "tag", "quick")
    (root / "simulator" / "keyed_random.py").write_text(DRAWS.read_text() + SLOWER)
    return root


def worktrees(root):
    return run_git(root, "worktree", "list").strip().splitlines()


class TestTrees:
    def test_the_base_is_checked_out_beside_the_head_and_gone_afterwards(self, repository):
        with base_tree("quick", repository) as base, head_tree(repository) as head:
            folder = base.path[1]
            assert "_quick" not in (folder / "simulator/keyed_random.py").read_text()
            assert len(worktrees(repository)) == 2
            assert base.commit == run_git(repository, "rev-parse", "quick").strip()
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
            assert "baselines.towers.dssm" not in said.stdout

    @pytest.mark.parametrize(("ref", "words"), [
        ("no-such", "^--base no-such: must be a revision of .*, as git log and git branch --all show them$"),
        ("HEAD~9", "^--base HEAD~9: .* is 3 deep from HEAD, must be 10 deep$"),
        ("without-draw", "^--base without-draw: must be a revision of .*; did you mean 'without-draws'\\?$"),
        ("--output=x", "^--base --output=x: must be a revision of "),
        ("nothing", "^--base nothing: has no pyproject.toml"),
    ])  # fmt: skip
    def test_a_revision_that_is_none(self, repository, ref, words):
        with pytest.raises(ValueError, match=words), base_tree(ref, repository):
            pass
        assert len(worktrees(repository)) == 1

    def test_no_repository_and_no_run_git(self, tmp_path, monkeypatch):
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


class TestWhereToStand:
    """The gate compares the checkout that the user stands in, wherever the packages that run it were installed."""

    @pytest.fixture
    def stand(self, monkeypatch):
        """Hooks of another repository are at work everywhere."""
        for name in OF_A_REPOSITORY:
            monkeypatch.setenv(name, "/nowhere")
        return monkeypatch.chdir

    def test_in_the_checkout_below_it_and_in_a_linked_worktree(self, repository, stand, tmp_path):
        stand(repository / "simulator")
        assert head_root() == repository
        linked = tmp_path / "linked"
        run_git(repository, "worktree", "add", "--quiet", "--detach", str(linked), "without-draws")
        try:
            stand(linked / "cs3")
            assert head_root() == linked
            with base_tree("quick", head_root()) as base:
                assert (base.path[1] / "simulator" / "keyed_random.py").is_file()
        finally:
            run_git(repository, "worktree", "remove", "--force", str(linked))

    def test_elsewhere_it_is_what_runs(self, stand, tmp_path):
        stand(tmp_path)
        assert head_root() == HEAD

    def test_elsewhere_without_a_checkout_it_says_where_to_stand(self, stand, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("reports.gate.trees.HEAD", tmp_path / "site-packages")
        stand(tmp_path)
        code, out, err = run_command(["gate", "--base", "HEAD", "--quiet"], capsys)
        assert (code, out) == (2, "")
        assert err == (
            f"cs3bench: error: {tmp_path}: must be in a git repository of cs3-bench to build --base: "
            "clone it and stand in the clone; or give --base-python\n"
        )

    def test_packages_in_an_environment_within_a_clone_are_not_that_clone(self, repository):
        said = r": must be in a git repository of cs3-bench"
        with pytest.raises(ValueError, match=said), base_tree("quick", repository / "reports"):
            pass
        with head_tree(repository / "reports") as head:
            assert (head.commit, head.dirty) == (None, False)

    def test_in_a_folder_that_is_gone(self, stand, tmp_path):
        (tmp_path / "gone").mkdir()
        stand(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with pytest.raises(ValueError, match=r"^the current folder is gone, must be one that is there$"):
            head_root()

    def test_installed_packages_compare_the_clone_that_the_user_stands_in(self, repository, tmp_path):
        """The packages that run lie in site-packages; the clone's own suite is what is run."""
        packages = tmp_path / "site-packages"
        for name in ("reports", "simulator"):
            shutil.copytree(HEAD / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        said = subprocess.run(
            [sys.executable, "-P", "-m", "reports", "gate", "--base", "quick", "--only", "draws/uniforms", "--quiet",
             "--no-aa", "--pairs", "8"],
            cwd=repository / "simulator",
            env={**os.environ, "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert (said.returncode, said.stderr) == (1, "")
        assert said.stdout.startswith(f"latency: {run_git(repository, 'rev-parse', 'quick')[:10]} with uncommitted")
        assert said.stdout.rstrip().endswith("0 passed, 1 failed")

    def test_a_suite_of_the_clones_own_is_the_one_that_is_run(self, tmp_path, repository):
        own = tmp_path / "reports" / "gate" / "suite"
        own.mkdir(parents=True)
        (own / "manifest.toml").touch()
        with head_tree(tmp_path) as head, installed(sys.executable, tmp_path) as other:
            assert head.suite == other.suite == own
        with head_tree(repository) as head:
            assert head.suite == SUITE

    @pytest.mark.parametrize(("ref", "words"), [
        ("HEAD~3", "1 deep from HEAD, must be 4 deep, run: git fetch --deepen=3; or give --base-python$"),
        ("HEAD^^", "1 deep from HEAD, must be 3 deep, run: git fetch --deepen=2;"),
        ("HEAD~^2~", "1 deep from HEAD and has no such revision, run: git fetch --unshallow;"),
        ("origin/dev", "1 deep .* or: git fetch --depth=1 origin dev, and give --base FETCH_HEAD;"),
        ("HAED", "1 deep .* no such revision, .*; did you mean 'HEAD'\\?$"),
    ])  # fmt: skip
    def test_a_shallow_clone_says_which_depth_is_missing(self, repository, tmp_path, ref, words):
        run_git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
        shallow = tmp_path / "shallow"
        said = rf"^--base {re.escape(ref)}: the shallow clone {shallow} is {words}"
        with pytest.raises(ValueError, match=said), base_tree(ref, shallow):
            pass
        with base_tree("HEAD", shallow) as base:
            assert base.path[1].is_dir()


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
    assert str(temporary) not in run_git(HEAD, "worktree", "list")
    # One that was being started just then ends by itself: its requests have ended.
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < end
        time.sleep(0.1)
