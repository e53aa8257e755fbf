"""One process at a time works on a run; a process that is gone locks nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simulator.experiment import RunDirectory
from simulator.run_lock import LOCK, locked

MANIFEST = {"identity": {"a": 1}}
HOLDER = """
import sys, time
from pathlib import Path
from simulator.run_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_holds_it_is_named_and_killed_it_is_free(tmp_path, holder):
    said = rf"^{tmp_path}: process {holder.pid} on \S+ is at work on this run, wait for it or choose another --out$"
    with pytest.raises(ValueError, match=said), locked(tmp_path):
        pass
    with pytest.raises(ValueError, match=said), RunDirectory.alone(tmp_path, MANIFEST):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK], "whoever is refused leaves nothing"
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK).exists(), "a stale file"
    with RunDirectory.alone(tmp_path, MANIFEST):
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "seal.json"}


def test_it_is_free_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), locked(tmp_path):
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_removed_meanwhile_is_not_held(tmp_path, monkeypatch):
    """The holder ends between our open and our lock: then we hold a file without a name, and ask again."""
    import fcntl

    real, asked = fcntl.flock, []

    def flock(file, how):
        asked.append(file)
        if len(asked) == 1:
            (tmp_path / LOCK).unlink()
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        assert len(asked) == 2
        assert os.path.samestat(os.fstat(asked[1]), (tmp_path / LOCK).stat())


def test_a_directory_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ValueError, match="not empty and not a run of ours"), RunDirectory.alone(tmp_path, MANIFEST):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", flock)
    said = r"Operation not supported, choose another --out$"
    with pytest.raises(ValueError, match=said), RunDirectory.alone(tmp_path, MANIFEST):
        pass


@pytest.mark.parametrize("link", [os.symlink, os.link, lambda _, path: os.mkfifo(path)])
def test_a_lock_that_is_a_link_or_a_pipe_is_refused(tmp_path, link):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "run").mkdir()
    link(victim, tmp_path / "run" / LOCK)
    with pytest.raises(ValueError, match="a link or no plain file"), locked(tmp_path / "run"):
        raise AssertionError
    assert victim.read_text() == "precious"
