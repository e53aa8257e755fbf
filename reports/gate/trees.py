"""The head and the base revision beside it: a git worktree in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HEAD = Path(__file__).parents[2]
"""The folder of the packages that run this."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A revision that can be run.

    Attributes:
        name: as the user called it.
        path: folders in front of its worker's packages, the last one the tree's; empty for what ``python`` has.
        python: its interpreter.
        commit: full id, or None if it is not from git.
        dirty: whether files differ from the commit.
    """

    name: str
    path: tuple[Path, ...] = ()
    python: str = sys.executable
    commit: str | None = None
    dirty: bool = False


@contextmanager
def head_tree(root: Path = HEAD) -> Iterator[Tree]:
    """The packages that run this, as they are, committed or not."""
    with tempfile.TemporaryDirectory(prefix="gate-head-") as folder:
        path = _runnable(root, Path(folder)) if (root / "pyproject.toml").is_file() else (root,)
        commit, dirty = None, False
        if shutil.which("git") and _git(root, "rev-parse", "--git-dir").returncode == 0:
            commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").stdout.strip() or None
            dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no").stdout.strip())
        yield Tree(name="head", path=path, commit=commit, dirty=dirty)


@contextmanager
def base_tree(ref: str, root: Path = HEAD) -> Iterator[Tree]:
    """A revision of the repository that holds ``root``, checked out in a temporary folder.

    Raises:
        ValueError: no git, no repository, no such revision.
    """
    if shutil.which("git") is None:
        raise ValueError("git == not found, must be installed to build --base; or give --base-python")
    if _git(root, "rev-parse", "--git-dir").returncode != 0:
        raise ValueError(f"{root}: must be in a git repository to build --base; or give --base-python")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").stdout.strip()
    if not commit:
        raise ValueError(f"--base {ref}: must be a revision of {root}; a shallow clone may lack it, fetch it first")
    folder = Path(tempfile.mkdtemp(prefix="gate-base-"))
    try:
        tree = folder / "tree"
        made = _git(root, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", "--quiet", str(tree), commit)
        if made.returncode != 0:
            raise ValueError(f"--base {ref}: git cannot check it out: {made.stderr.strip()}")
        # The worktree is of the repository; the packages may live in a folder of it.
        inside = _git(root, "rev-parse", "--show-prefix").stdout.strip()
        home = tree / inside
        if not (home / "pyproject.toml").is_file():
            raise ValueError(f"--base {ref}: has no pyproject.toml, must be a revision of this project")
        yield Tree(name=ref, path=_runnable(home, folder / "metadata"), commit=commit)
    finally:
        # Twice forced, and unlocked: git locks a worktree while it makes it, and an interrupted git leaves it locked.
        made_at = str(folder / "tree")
        _git(root, "worktree", "remove", "--force", "--force", made_at)
        shutil.rmtree(folder, ignore_errors=True)
        _git(root, "worktree", "unlock", made_at)
        _git(root, "worktree", "prune")


@contextmanager
def installed(python: str) -> Iterator[Tree]:
    """What another interpreter has installed, e.g. a wheel in a virtual environment.

    Raises:
        ValueError: no such interpreter.
    """
    found = shutil.which(python)
    if found is None:
        raise ValueError(f"--base-python {python}: must be a Python interpreter that can be run")
    # Not resolved: the interpreter of a virtual environment is a link, and its place is what makes it one.
    yield Tree(name=python, python=str(Path(found).absolute()))


def _runnable(root: Path, folder: Path) -> tuple[Path, ...]:
    """The folders to put on a path: the tree, and its entry points as if it were installed."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        name, version, groups = project["name"], project.get("version", "0"), project.get("entry-points", {})
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise ValueError(f"{root / 'pyproject.toml'}: must name a project: {error}") from None
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    points = [
        line for group, names in groups.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in names.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join([*points, ""]), encoding="utf-8")
    return folder, root


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs git in a session of its own; interrupted, it is over before anybody cleans up behind it."""
    command = ["git", "-C", str(root), *words]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said, complained = process.communicate()
        except BaseException:
            # `git worktree add` has a child that writes the files; the pipes end when both are gone.
            with suppress(ProcessLookupError):  # Ctrl-C came as git ended
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)
