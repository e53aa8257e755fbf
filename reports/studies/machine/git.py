"""Git asked of the folder that is named, whatever a hook has set; and what it says of the code that runs.

Git tells a hook of its repository by variables, and they outrank the folder in which another git is started. So every
git of ours is started here, without them.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

PROJECT = "cs3-bench"
PACKAGES = ("simulator", "baselines", "cs3", "reports")
HOME = Path(__file__).parents[3]
"""The folder of the packages that run this."""
OF_A_REPOSITORY = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
    "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
})  # fmt: skip
"""What ``git rev-parse --local-env-vars`` lists, of any version of git, and the quarantine of a push's objects."""
PATIENCE = 5.0
"""Seconds that a run's manifest waits for git."""


def environment() -> dict[str, str]:
    """The parent's, without what names a repository; git takes no lock that it can do without, and asks nobody."""
    kept = {key: value for key, value in os.environ.items() if key not in OF_A_REPOSITORY}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def git(folder: Path, *words: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    """Runs git in a session of its own; interrupted, it is over before anybody cleans up behind it.

    Raises:
        OSError: git is not installed.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    command = ["git", "-C", str(folder), *words]
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        env=environment(),
        start_new_session=True,
    ) as process:
        try:
            said, complained = process.communicate(timeout=timeout)
        except BaseException:
            # `git worktree add` has a child that writes the files; the pipes end when both are gone.
            with suppress(ProcessLookupError):  # Ctrl-C came as git ended
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


def checkout(folder: Path, timeout: float | None = None) -> Path | None:
    """This project's folder in the repository that holds ``folder``; None if that repository's HEAD has none there.

    A folder of ours that git does not follow, such as site-packages below somebody's repository, is no checkout.

    Raises:
        OSError: git is not installed.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    found = git(folder, "rev-parse", "--show-toplevel", timeout=timeout)
    if found.returncode != 0:
        return None
    top, here = Path(found.stdout.removesuffix("\n")), folder.resolve()
    inside = (one for one in (here, *here.parents) if one.is_relative_to(top))
    ours = next((one for one in inside if is_ours(one)), None)
    if ours is None or git(ours, "cat-file", "-e", "HEAD:./pyproject.toml", timeout=timeout).returncode != 0:
        return None
    return ours


def is_ours(folder: Path) -> bool:
    """Whether the project of a folder is this one."""
    try:
        return bool(tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"] == PROJECT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def commit(root: Path, timeout: float | None = None) -> tuple[str | None, bool]:
    """Full id of a checkout's commit, and whether files that it follows differ from it."""
    head = git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", timeout=timeout).stdout.strip()
    changed = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", timeout=timeout).stdout.strip()
    return head or None, bool(changed)


def revision(home: Path = HOME) -> dict[str, Any]:
    """``commit`` and ``dirty`` of the checkout that the packages run from; both None if they run from none.

    Packages that were installed into a virtual environment within a checkout are of its commit if they equal it.
    """
    found: tuple[str | None, bool | None] = None, None
    with suppress(OSError, subprocess.TimeoutExpired):
        root = checkout(home, PATIENCE)
        if root == home.resolve():
            found = commit(root, PATIENCE)
        elif root is not None and holds(home, root):
            found = commit(root, PATIENCE)[0], False
    return dict(zip(("commit", "dirty"), found, strict=True))


def holds(home: Path, root: Path) -> bool:
    """Whether the packages in a folder are, to the byte, those of a checkout's commit."""
    listed = git(root, "ls-tree", "-r", "-z", "HEAD", "--", *PACKAGES, timeout=PATIENCE).stdout.split("\0")
    blobs = [line.split(maxsplit=3)[2:] for line in listed if line.endswith(".py")]
    return bool(blobs) and all((home / path).is_file() and blob == blob_of(home / path) for blob, path in blobs)


def blob_of(file: Path) -> str:
    """The name that git gives to a file's content."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
