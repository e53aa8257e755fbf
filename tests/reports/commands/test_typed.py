"""Whatever is typed or written into a scenario file: one line before anything runs, or a run that ends well.

The bounded forms run always; ``-m slow`` runs 1,500 command lines and 3,000 scenario files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from reports.commands import ab as cli_ab
from reports.commands import lab as cli_lab
from reports.studies.ab.study import Plan, run_ab
from reports.studies.lab import study as lab
from simulator.scenario import Scenario, load
from tests.reports.command_lines import furnish, lines
from tests.reports.scenario_files import scenarios, toml

Typed = Callable[..., tuple[int, str, str]]
calm = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
NOTHING_SOLD = "revenue == 0 of "
"""What a study can know only after its run: a lift over nothing is none."""


@pytest.fixture
def furnished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cs3bench: Typed) -> Path:
    """A folder with what command lines name, a finished run among it."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    furnish(work)
    arms = ["--control", "random", "--treatment", "popularity"]
    assert cs3bench("ab", "--scenario", "tiny.toml", "--jobs", "1", *arms, "--out", "run", "--quiet")[0] == 0
    return work


def there(folder: Path) -> set[Path]:
    """Everything under a folder, but for what drawing a run's page again leaves in the run, and compiled modules."""
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {path for path in found if folder / "work" / "run" not in path.parents}


def is_well_said(cs3bench: Typed, base: Path, typed: Sequence[str]) -> None:
    """The exit code is a documented one, an error one line, and an error leaves nothing behind."""
    before = there(base)
    code, out, err = cs3bench(*typed)
    left = there(base) - before
    for path in sorted(left, reverse=True):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    assert code in (0, 2) or (code == 1 and typed[0] in ("check", "gate")), (code, err)
    assert "Traceback" not in out + err
    if code == 2:
        assert err.startswith("cs3bench: error: ")
        assert err.endswith("\n")
        assert err[:-1].isprintable()
        assert not left
    else:
        # With --json, stdout is for machines: where a figure or page went is said on stderr.
        assert not err or "--json" in typed


def typed_test(examples: int) -> Callable[[Typed, Path], None]:
    """The test of so many command lines."""

    def run(cs3bench: Typed, furnished: Path) -> None:
        @settings(calm, max_examples=examples)
        @given(lines())
        def one(typed: Sequence[str]) -> None:
            is_well_said(cs3bench, furnished.parent, typed)

        one()

    return run


def lived(s: Scenario, root: Path, number: int) -> None:
    """A study of the scenario: an A/B run, or every fourth time a laboratory; every fourth of these with its page."""
    page = number // 4 % 4 == 0
    if number % 4 == 3:
        worlds = s.run.model_copy(update={"worlds": max(s.run.worlds, 2)})
        both = lab.Plan(
            scenario=s.model_copy(update={"run": worlds}),
            meters=("interference",),
            designs=("user_split", "switchback", "two_sided"),
            tightness=(s.world.budget_clicks,),
            shares=(0.5,),
        )
        lab.run_lab(both, root, 1, quiet=True)
        if page:
            cli_lab.draw(root)
        return
    run_ab(
        Plan(scenario=s, control="oracle", treatment="popularity", small=False, command="drawn"), root, 1, quiet=True
    )
    if page:
        cli_ab.draw(root)


def file_test(examples: int) -> Callable[[Path], None]:
    """The test of so many scenario files."""

    def run(tmp_path: Path) -> None:
        number = 0

        @settings(calm, max_examples=examples)
        @given(scenarios())
        def one(content: dict[str, Any]) -> None:
            nonlocal number
            number += 1
            path, root = tmp_path / "drawn.toml", tmp_path / "run"
            shutil.rmtree(root, ignore_errors=True)
            path.write_text(toml(content), encoding="utf-8")
            said = ""
            try:
                lived(load(str(path)), root, number)
            except ValueError as error:
                said = str(error)
            assert "\n" not in said
            assert not (said and root.exists()) or NOTHING_SOLD in said

        one()

    return run


def test_some_command_lines(cs3bench: Typed, furnished: Path) -> None:
    typed_test(40)(cs3bench, furnished)


def test_some_scenario_files(tmp_path: Path) -> None:
    file_test(20)(tmp_path)


@pytest.mark.slow
def test_many_command_lines(cs3bench: Typed, furnished: Path) -> None:
    typed_test(1500)(cs3bench, furnished)


@pytest.mark.slow
def test_many_scenario_files(tmp_path: Path) -> None:
    file_test(3000)(tmp_path)
