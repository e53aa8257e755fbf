"""Tiny git repositories for tests; a hook that runs the tests keeps its own repository to itself."""

from __future__ import annotations

import subprocess

from reports.studies.machine.git import environment

WHO = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main")


def run_git(root, *words):
    """What git says; an error of git is an error."""
    command = ["git", *WHO, "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout


def committed(root):
    """Make a folder a repository with one commit of all that is in it."""
    run_git(root, "init", "--quiet")
    run_git(root, "add", ".")
    run_git(root, "commit", "--quiet", "-m", "all")
