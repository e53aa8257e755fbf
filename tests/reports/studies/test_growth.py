"""Growth of a market at its smallest; the line by hand."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.commands.growth import growth
from reports.studies.serving.growth import GrowthConfig, _enough_memory, line, run
from simulator.experiment import read_json
from tests.reports.run_contract import check_run


def test_every_size_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    sets = ["--set=multiples=[1,8]", "--set=requests=300"]
    found = CliRunner().invoke(growth, ["--small", "--quiet", f"--out={tmp_path}", *sets])
    assert found.exception is None, found.output
    results = read_json(tmp_path / "results.json")
    assert [(row["dial"], row["size"]) for row in results["rows"]] == [
        ("users", 800), ("users", 6400), ("ads", 200), ("ads", 1600)
    ]  # fmt: skip
    assert all(row["bytes"] > 0 and row["requests_per_second"] > 0 for row in results["rows"])
    small, large = (row["bytes"] for row in results["rows"][:2])
    assert small < large < 8 * small
    assert "| users | 6,400 |" in (tmp_path / "growth.md").read_text(encoding="utf-8")
    check_run(tmp_path, "growth", "sizes", "fits")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError, r"^multiples == 8, must be lower: out of memory with so many times the ads$"),
        (BrokenProcessPool, r"^multiples == 8: the process with so many times the ads ended before it had measured"),
    ],
)
def test_a_process_that_ends_early_is_called_what_it_is(error: type[Exception], line: str) -> None:
    with pytest.raises(ValueError, match=line), _enough_memory("ads", 8):
        raise error


def test_the_line_and_its_exponent() -> None:
    fit = line([1, 4, 16], [10 + 2, 10 + 8, 10 + 32])
    assert fit["per_one"] == pytest.approx(2)
    assert fit["at_zero"] == pytest.approx(10)
    assert line([1, 4, 16], [3, 12, 48])["last_exponent"] == pytest.approx(1)
    assert line([1, 4, 16], [1, 16, 256])["last_exponent"] == pytest.approx(2)


def test_multiples_rise_from_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"multiples == \(4, 16\), must rise from 1"):
        run(GrowthConfig(multiples=(4, 16)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
