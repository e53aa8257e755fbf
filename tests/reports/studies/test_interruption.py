"""Workers that outlive nobody, and a study that is interrupted in one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import reports
from reports.commands.main import main
from reports.studies.market.cells import Progress
from tests.reports.studies.tiny import arguments, hear_ctrl_c, start

ORPHAN = """
import sys, time
from pathlib import Path
from reports.studies.machine.workers import _deaf, _pool
from simulator.experiment import RunDirectory

if __name__ == "__main__":
    run = RunDirectory(Path(sys.argv[1]), {"identity": {}})
    with _pool(run, 1) as pool:
        with _deaf():
            busy = pool.submit(time.sleep, 600)
        while not busy.running():
            time.sleep(0.01)
        print(*pool._processes, flush=True)
        busy.result()
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def started(tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A process with one worker that sleeps, and the worker's id."""
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    home = str(Path(reports.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "run")],
        env=os.environ | {"PYTHONPATH": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
class TestWorker:
    def test_it_ends_with_its_parent_however_busy(self, tmp_path):
        process, worker = started(tmp_path)
        assert not gone(worker)
        process.kill()
        process.wait()
        limit = time.monotonic() + 60
        try:
            while not gone(worker):
                assert time.monotonic() < limit, "an orphan works on"
                time.sleep(0.05)
        finally:
            if not gone(worker):
                os.kill(worker, signal.SIGKILL)
            process.communicate()

    def test_ctrl_c_is_the_parent_s_to_answer(self, tmp_path):
        """A worker says nothing to a SIGINT, even one that comes while it is still importing."""
        process, worker = started(tmp_path)
        os.kill(worker, signal.SIGINT)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
        blocked = int(status["SigBlk"], 16)
        assert blocked >> (signal.SIGINT - 1) & 1
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert gone(worker)
        assert "SpawnProcess" not in err
        assert err.count("Traceback") == 1, "the script's own; it has no one line to say"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_terminated_or_hung_up_it_ends_as_by_ctrl_c(tmp_path, number):
    """One line, exit code 130, nothing half-written, no worker left."""
    root = tmp_path / "run"
    process = start(root, "--control", "random", "--treatment", "popularity", "--jobs", "2")
    limit = time.monotonic() + 300
    try:
        while not any(root.glob("cells/*/.aside.*")) and not any(root.glob("cells/*/burn-in")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < limit
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (130, "")
    assert err.strip() == "cs3bench: interrupted; the same command resumes the run"
    assert not [path for path in root.rglob("*") if "aside" in path.name or path.name in ("progress.bin", ".lock")]


def test_an_interrupted_cell_vanishes_and_the_rest_stays(tmp_path, monkeypatch, capsys):
    """Ctrl-C in the middle of an arm's cell, one process: one line, exit code 130, nothing half-written."""
    root, ticks = tmp_path / "run", []
    real = Progress.tick

    def tick(self, n):
        ticks.append(n)
        if len(list(root.glob("cells/*/burn-in/cell.json"))) == 1 and len(ticks) > 40:
            raise KeyboardInterrupt
        real(self, n)

    monkeypatch.setattr(Progress, "tick", tick)
    typed = ["--control", "random", "--treatment", "popularity", "--worlds", "1", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["cs3bench", *arguments(root, *typed)])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert stop.value.code == 130
    assert err.strip() == "cs3bench: interrupted; the same command resumes the run"
    assert out == ""
    cells = list(root.glob("cells/*/*"))
    assert root / "cells/world-1/burn-in" in cells
    assert all((cell / "cell.json").exists() for cell in cells)
    assert not (root / "results.json").exists()

    monkeypatch.setattr(Progress, "tick", real)
    main()
    assert (root / "results.json").exists()
