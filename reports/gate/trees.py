"""The head and the base revision beside it: a git worktree in a temporary folder, gone at the end."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from reports.gate.process import SUITE
from reports.studies.machine.git import HOME as HEAD
from reports.studies.machine.git import PROJECT, checkout, commit, git

STEP = re.compile(r"~\d*|\^")
BACK = re.compile(rf"(?P<start>.+?)(?P<steps>(?:{STEP.pattern})+)")
"""A revision by steps back from another: ``HEAD~3``, ``main^^``."""
OTHERWISE = "; or give --base-python"


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A revision that can be run.

    Attributes:
        name: as the user called it.
        path: folders in front of its worker's packages, the last one the tree's; empty for what ``python`` has.
        python: its interpreter.
        commit: full id, or None if it is not from git.
        dirty: whether files differ from the commit.
        suite: folder of the benchmarks that its worker runs: the head's, for the base too.
    """

    name: str
    path: tuple[Path, ...] = ()
    python: str = sys.executable
    commit: str | None = None
    dirty: bool = False
    suite: Path = SUITE


def head_root() -> Path:
    """The checkout that the current folder is in; else the folder of the packages that run this."""
    there = shutil.which("git") and checkout(current_folder())
    return there or HEAD


def current_folder() -> Path:
    """Where the user stands.

    Raises:
        ValueError: that folder is gone.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ValueError("the current folder is gone, must be one that is there") from None


def suite_of(root: Path) -> Path:
    """The benchmarks that a checkout brings; those of the packages that run this, if it has none."""
    own = root / "reports" / "gate" / "suite"
    return own if (own / "manifest.toml").is_file() else SUITE


@contextmanager
def head_tree(root: Path) -> Iterator[Tree]:
    """The packages of a folder as they are, committed or not."""
    with tempfile.TemporaryDirectory(prefix="gate-head-") as folder:
        path = _runnable(root, Path(folder)) if (root / "pyproject.toml").is_file() else (root,)
        at, dirty = commit(root) if shutil.which("git") and checkout(root) == root.resolve() else (None, False)
        yield Tree(name="head", path=path, commit=at, dirty=dirty, suite=suite_of(root))


@contextmanager
def base_tree(ref: str, root: Path) -> Iterator[Tree]:
    """A revision of the checkout ``root``, checked out in a temporary folder.

    Raises:
        ValueError: no git, no checkout of this project, no such revision.
    """
    home = _checkout(root)
    at = git(home, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").stdout.strip()
    if not at:
        raise ValueError(f"--base {ref}: {_lacks(ref, home)}")
    folder = Path(tempfile.mkdtemp(prefix="gate-base-"))
    try:
        tree = folder / "tree"
        made = git(home, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", "--quiet", str(tree), at)
        if made.returncode != 0:
            raise ValueError(f"--base {ref}: git cannot check it out: {_first_line(made.stderr)}")
        # The worktree is of the repository; the packages may live in a folder of it.
        inside = git(home, "rev-parse", "--show-prefix").stdout.removesuffix("\n")
        if not (tree / inside / "pyproject.toml").is_file():
            raise ValueError(f"--base {ref}: has no pyproject.toml, must be a revision of this project")
        yield Tree(name=ref, path=_runnable(tree / inside, folder / "metadata"), commit=at, suite=suite_of(home))
    finally:
        # Twice forced, and unlocked: git locks a worktree while it makes it, and an interrupted git leaves it locked.
        made_at = str(folder / "tree")
        git(home, "worktree", "remove", "--force", "--force", made_at)
        shutil.rmtree(folder, ignore_errors=True)
        git(home, "worktree", "unlock", made_at)
        git(home, "worktree", "prune")


def _checkout(root: Path) -> Path:
    """The checkout itself, or one line that says where to stand or what to install."""
    if shutil.which("git") is None:
        raise ValueError(f"git == not found, must be installed to build --base{OTHERWISE}")
    # Packages in a virtual environment within a clone are not that clone.
    if checkout(root) != root.resolve():
        here = current_folder()
        said = _first_line(git(here, "rev-parse", "--show-toplevel").stderr)
        why = f" ({said})" if said and "not a git repository" not in said else ""
        raise ValueError(
            f"{here}: must be in a git repository of {PROJECT} to build --base: clone it and stand in the clone{why}"
            f"{OTHERWISE}"
        )
    return root


def _lacks(ref: str, home: Path) -> str:
    """What is wrong with a revision that git does not find."""
    shallow = git(home, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"
    back = BACK.fullmatch(ref)
    depth = _depth(home, back["start"]) if back else 0
    if back and depth:
        wanted = 1 + sum(int(word[1:] or 1) if word[0] == "~" else 1 for word in STEP.findall(back["steps"]))
        run = f", run: git fetch --deepen={wanted - depth}{OTHERWISE}" if shallow else ""
        return f"{_called(home, shallow)} is {depth} deep from {back['start']}, must be {wanted} deep{run}"
    close = get_close_matches(
        ref, ["HEAD", *git(home, "for-each-ref", "--format=%(refname:short)").stdout.split()], n=1
    )
    hint = f"; did you mean '{close[0]}'?" if close else ""
    if not shallow:
        return f"must be a revision of {home}{hint or ', as git log and git branch --all show them'}"
    branch = shlex.quote(ref.removeprefix("origin/"))
    return (
        f"{_called(home, shallow)} is {_depth(home, 'HEAD')} deep from HEAD and has no such revision, run: git fetch "
        f"--unshallow; or: git fetch --depth=1 origin {branch}, and give --base FETCH_HEAD{OTHERWISE}{hint}"
    )


def _depth(home: Path, start: str) -> int:
    """Commits from a revision back along first parents; 0 if it is none."""
    counted = git(home, "rev-list", "--count", "--first-parent", "--end-of-options", start, "--")
    return int(counted.stdout) if counted.returncode == 0 else 0


def _called(home: Path, shallow: bool) -> str:
    return f"the shallow clone {home}" if shallow else str(home)


def _first_line(said: str) -> str:
    return said.strip().partition("\n")[0]


@contextmanager
def installed(python: str, root: Path = HEAD) -> Iterator[Tree]:
    """What another interpreter has installed, e.g. a wheel in a virtual environment.

    Args:
        python: the interpreter.
        root: folder of the head, whose benchmarks are run.

    Raises:
        ValueError: no such interpreter.
    """
    found = shutil.which(python)
    if found is None:
        raise ValueError(f"--base-python {python}: must be a Python interpreter that can be run")
    # Not resolved: the interpreter of a virtual environment is a link, and its place is what makes it one.
    yield Tree(name=python, python=str(Path(found).absolute()), suite=suite_of(root))


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
