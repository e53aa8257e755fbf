"""Every scenario that ships loads, whole and small; a scenario that cannot run is refused before it runs."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from simulator.scenario import DEFAULT, Scenario, load, names


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", names())
def test_every_shipped_scenario_loads(name, small):
    s = load(name, small=small)
    assert s.name == name
    assert len(s.about.split()) > 10, "a paragraph on what it is and is not"
    assert s.all_days == s.run.burn_in + s.run.days + 1
    assert s.market.cascade is s.cascade
    assert s.market.traffic is s.traffic
    assert s.market.auction is s.auction
    assert s.market.feedback is s.feedback
    assert Scenario.model_validate(s.model_dump(mode="json")) == s


@pytest.mark.parametrize("name", names())
def test_the_small_form_is_smaller(name):
    whole, small = (load(name, small=form) for form in (False, True))

    def rows(s: Scenario) -> int:
        return s.traffic.requests_per_day * (s.run.burn_in + s.run.days) * s.cascade.candidates * s.run.worlds

    assert rows(small) < rows(whole) / 10


def test_the_default_ships():
    assert DEFAULT in names()


class TestLoad:
    def test_a_typo_in_the_small_form_is_seen_without_it(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text("[small.world]\nusrs = 90\n")
        with pytest.raises(ValueError, match=r"unknown key 'world\.usrs'; did you mean 'users'"):
            load(str(path))

    def test_a_joined_emoji_is_prose(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text("about = '\U0001f469\u200d\U0001f52c'\n", encoding="utf-8")
        assert load(str(path)).about == "\U0001f469\u200d\U0001f52c"

    def test_order_of_precedence(self, tmp_path):
        """Defaults, then the file, then its small table, then what was typed."""
        path = tmp_path / "mine.toml"
        path.write_text("about = 'x'\n[world]\nusers = 500\nads = 300\n[small.world]\nusers = 90\nads = 80\n")
        assert (load(str(path)).world.users, load(str(path)).world.ads) == (500, 300)
        small = load(str(path), small=True, sets=["world.ads=70"])
        assert (small.world.users, small.world.ads) == (90, 70)
        assert small.world.advertisers == Scenario(name="x").world.advertisers
        assert small.name == "mine"

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("[world", "scenario '{path}': "),
            ("[world]\nuser = 1\n", "scenario 'mine': unknown key 'world.user'; did you mean 'users'?"),
            ("small = 1\n", "scenario '{path}': small == 1, must be a table"),
            ("[run]\nworlds = 0\n", "scenario 'mine': run.worlds == 0, input should be greater than or equal to 1"),
        ],
    )
    def test_a_file_that_is_wrong(self, tmp_path, text, line):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        with pytest.raises(ValueError, match=f"^{re.escape(line.format(path=path))}") as caught:
            load(str(path))
        assert "\n" not in str(caught.value)

    def test_a_file_that_is_no_text(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(ValueError, match=r"^scenario '.*mine\.toml': 'utf-8' codec"):
            load(str(path))

    @pytest.mark.parametrize(
        ("item", "line"),
        [
            ("cascade.candidates=1001", "cascade.candidates == 1001, must be at most world.ads == 1000"),
            ("auction.slots=31", "auction.slots == 31, must be at most cascade.candidates == 30"),
            ("cascade.sync=1000", "cascade.sync == 1000, must be a multiple of cascade.tick == 900"),
            ("cascade.redesign_day=23", "cascade.redesign_day == 23, must be below the run's 23 days"),
            ("world.new_ads=1.0", "world.new_ads == 1.0, must be below 1: no ad would be there when the run begins"),
            (
                "world.new_users=1",
                "world.new_users == 1.0, must be below 1: no user would be there when the run begins",
            ),
            ("world.ocpc_share=0.5", "world.ocpc_share == 0.5, must be 0 while world.conversion_rate == 0"),
            ("world.users=0", "scenario 'quickstart': world.users == 0, input should be greater than or equal to 1"),
            (
                "world.budget_clicks=0",
                "scenario 'quickstart': world.budget_clicks == 0, input should be greater than 0",
            ),
        ],
    )
    def test_a_market_that_cannot_run(self, item, line):
        with pytest.raises(ValueError, match=rf"^{re.escape(line)}$"):
            load(DEFAULT, sets=[item])

    def test_an_unknown_name(self):
        with pytest.raises(ValueError, match=r"^scenario == 'quickstrat', must .*; did you mean 'quickstart'\?$"):
            load("quickstrat")


def test_only_scenarios_lie_among_the_scenarios():
    files = [f.name for f in resources.files("simulator.scenarios").iterdir() if f.name.endswith(".toml")]
    assert sorted(f.removesuffix(".toml") for f in files) == names()
