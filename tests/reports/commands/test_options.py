"""What the commands of studies are handed: one noun of the shared options, whatever else they ask for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from reports.commands.options import StudyOptions, handed, resumable, study
from simulator.same_run import Resume, allowed


def called(decorated: Any, *typed: str) -> None:
    command = decorated if isinstance(decorated, click.Command) else click.command()(decorated)
    CliRunner().invoke(command, typed, standalone_mode=False, catch_exceptions=False)


def test_every_shared_option_is_in_one_noun() -> None:
    seen = []

    @click.command()
    @study("quickstart")
    @click.option("--dial")
    def command(asked: StudyOptions, scenario: str, dial: str | None) -> None:
        seen.append((asked, scenario, dial, allowed()))

    typed = "--small --worlds 3 --seed 7 --jobs 2 --out there --set a.b=1 --quiet --fresh --other-kernels --dial k"
    called(command, *typed.split())
    given = StudyOptions(
        small=True, worlds=3, seed=7, jobs=2, out=Path("there"), sets=("a.b=1",), quiet=True, fresh=True,
        other_kernels=True,
    )  # fmt: skip
    assert seen == [(given, "quickstart", "k", Resume(fresh=True, other_kernels=True))]
    assert given.overrides == ("a.b=1", "run.worlds=3", "run.seed=7")
    called(command)
    assert seen[1][0] == StudyOptions()
    assert seen[1][0].workers == os.cpu_count()
    assert allowed() == Resume()


def test_an_option_that_a_command_names_itself_is_its_own() -> None:
    seen = []

    @click.option("--seed", type=int, default=11)
    @click.option("--quiet", is_flag=True)
    @resumable
    def command(asked: StudyOptions, seed: int) -> None:
        seen.append((asked, seed, allowed().fresh))

    called(command, "--quiet", "--fresh")
    assert seen == [(StudyOptions(quiet=True, fresh=True), 11, True)]


def test_the_scenario_is_that_of_the_options() -> None:
    found = StudyOptions(small=True, worlds=4, seed=0, sets=("cascade.candidates=9",)).scenario("quickstart")
    assert (found.run.worlds, found.run.seed, found.cascade.candidates) == (4, 0, 9)
    with pytest.raises(ValueError, match="did you mean 'quickstart'"):
        StudyOptions().scenario("quickstar")


def test_a_command_without_shared_options_is_handed_the_defaults() -> None:
    seen = []
    called(handed(lambda asked: seen.append(asked)))
    assert seen == [StudyOptions()]
