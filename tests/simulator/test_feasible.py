"""What later steps assume of a scenario is checked before anything runs, in one line."""

from __future__ import annotations

import re

import pytest

from simulator import footprint
from simulator.config import overrides
from simulator.experiment import Cell
from simulator.feasible import check, check_worlds, worlds_of
from simulator.records import DAY, MOST_SLOTS
from simulator.scenario import DEFAULT, Scenario, load

SMALL_RUN = ["run.burn_in=1", "run.days=2"]


def refused(*sets: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load(DEFAULT, sets=[*SMALL_RUN, *sets])
    line = str(caught.value)
    assert "\n" not in line
    return line


class TestClocks:
    def test_a_wait_in_milliseconds_says_so(self):
        assert refused("feedback.label_wait=900000") == (
            "feedback.label_wait == 900000, must be below the run's 3 days, 259200 seconds: no label would ever be "
            "ready; it is in seconds: are these 900000 milliseconds?"
        )

    def test_a_sync_that_never_comes(self):
        line = refused("cascade.sync=1800000")
        assert line.startswith("cascade.sync == 1800000, must be below the run's 3 days")
        assert line.endswith(
            "nothing learned would ever be published; it is in seconds: are these 1800000 milliseconds?"
        )

    def test_a_first_label_after_the_last_sync(self):
        sets = [f"feedback.label_wait={2 * DAY + 900}", f"cascade.sync={2 * DAY}"]
        assert "must let the first label be published within the run's 3 days" in refused(*sets)
        load(DEFAULT, sets=[*SMALL_RUN, f"feedback.label_wait={2 * DAY}", f"cascade.sync={2 * DAY}"])

    def test_a_conversion_wait_in_seconds(self):
        sold = ["world.conversion_rate=0.05", "world.ocpc_share=0.5"]
        line = refused(*sold, "conversion.wait_hours=86400")
        assert line.startswith("conversion.wait_hours == 86400, must be below the run's 3 days, 72 hours")
        assert line.endswith("is it in seconds?")
        # Where nobody bids per conversion, nobody waits for one.
        load(DEFAULT, sets=[*SMALL_RUN, "conversion.wait_hours=86400"])


class TestSizes:
    def test_slots_are_as_many_as_models_keep(self):
        more = MOST_SLOTS + 1
        assert f"auction.slots == {more}, input should be less than or equal to {MOST_SLOTS}" in refused(
            f"auction.slots={more}", "cascade.candidates=100"
        )
        load(DEFAULT, sets=[f"auction.slots={MOST_SLOTS}", "cascade.candidates=100"])

    def test_vcg_divides_by_the_last_slot(self):
        dials = ["feedback.examine_decay=0.001", "auction.slots=30"]
        assert refused("auction.pricing=vcg", *dials).startswith("feedback.examine_decay == 0.001, must leave")
        load(DEFAULT, sets=dials)

    @pytest.mark.parametrize(
        "item",
        [
            "world.ads=99999999999999999999999",
            "run.seed=18446744073709551616",
            "world.base_logit=-40",
            "world.bid_sd=1e9",
            "world.history_days=1e308",
            "conversion.delay_sd=1e300",
            "feedback.label_wait=1e300",
            "logging.temperature=inf",
            "pacing.floor=5e-324",
        ],
    )
    def test_numbers_that_only_overflow(self, item):
        key = item.partition("=")[0]
        assert refused(item).startswith(f"scenario '{DEFAULT}': {key} == ")


class TestMemory:
    def test_what_cannot_fit_names_need_machine_and_dial(self):
        line = refused("world.users=2000000000")
        assert re.fullmatch(
            r"world\.users == 2000000000, 3 days, must be lower: the run needs at least [\d,.]+ GB, "
            r"[\d,.]+ GB of them for users, and this machine has [\d,.]+ GB",
            line,
        )

    @pytest.mark.parametrize(
        ("item", "key"),
        [
            ("traffic.requests_per_day=2000000000", "traffic.requests_per_day == 2000000000"),
            ("run.evaluation=2000000000", "run.panel, run.evaluation, run.latency == 2000000000 at most"),
            ("world.history_length=2000000000", "world.history_length == 2000000000"),
            ("world.ads=2000000000", "world.ads == 2000000000"),
            ("world.categories=2000000000", "world.segments == 8, world.categories == 2000000000"),
            ("run.days=36500", "world.users == 4000, world.history_length == 20, 36501 days"),
        ],
    )
    def test_every_size_is_seen(self, monkeypatch, item, key):
        monkeypatch.setattr(footprint, "memory", lambda: 4 * 10**9)
        assert key in refused(item)

    def test_a_floor_of_what_is_really_allocated(self):
        """The estimate must never refuse what would have fitted."""
        import tracemalloc

        from simulator.world import build

        s = load(DEFAULT, sets=[*SMALL_RUN, "world.users=20000", "world.history_days=1"])
        tracemalloc.start()
        build(s.world, 1, s.all_days)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        world = [n for what, n in footprint.needs(s).items() if what.split(":")[0] in ("users", "histories", "ads")]
        assert peak / 3 < sum(world) < peak

    def test_a_limit_of_the_process_counts(self, monkeypatch):
        whole = footprint.memory()
        monkeypatch.setattr(footprint.resource, "getrlimit", lambda _: (10**9, footprint.resource.RLIM_INFINITY))
        assert footprint.memory() == min(whole, 10**9)


class TestWorlds:
    @pytest.mark.parametrize(
        ("sets", "line"),
        [
            (["world.users=1", "world.new_users=0.999999"], "world.new_users == 0.999999, must leave a user"),
            (["world.new_ads=0.9999999"], "world.new_ads == 0.9999999, must leave an ad for the first tick"),
            (["auction.reserve=1e9"], "auction.reserve == 1000000000.0, must be at most the best bid"),
            (["world.budget_clicks=1e-9"], "world.budget_clicks == 1e-09, must pay for one click of some ad"),
        ],
    )
    def test_a_world_that_sells_nothing(self, sets, line):
        s = load(DEFAULT, sets=[*SMALL_RUN, "run.worlds=2", "world.users=50", "world.ads=60", *sets])
        with pytest.raises(ValueError, match=f"^{re.escape(line)}.*\\(world 1\\)$"):
            check_worlds(s, worlds_of(s))

    def test_a_copy_is_checked_like_a_file(self):
        s = load(DEFAULT)
        check(s)
        with pytest.raises(ValueError, match=r"^cascade\.candidates == 1001"):
            check(s.model_copy(update={"cascade": s.cascade.model_copy(update={"candidates": 1001})}))


class TestNames:
    @pytest.mark.parametrize("name", ["a/b", "", " ", ".", "..", ".a", "-a", "a\\\\b", "x" * 65, "a b ", "a:b", "a*"])
    def test_a_name_that_no_folder_may_have(self, name):
        with pytest.raises(ValueError, match="letters that a folder's name may have"):
            load(DEFAULT, sets=[f'name="{name}"'])

    @pytest.mark.parametrize("name", ["a", "my scenario", "größe-3", "a.b_c"])
    def test_a_name_that_one_may(self, name):
        assert load(DEFAULT, sets=[f'name="{name}"']).name == name
        assert len(Cell(world=1, name=name).path.parts) == 2

    def test_control_characters_reach_no_terminal(self, tmp_path):
        (tmp_path / "x.toml").write_text('about = "\\u001b[31mred"\n')
        with pytest.raises(ValueError, match=r"about == .*must be text without control characters"):
            load(str(tmp_path / "x.toml"))
        assert Scenario(name="x", about="two\nlines").about == "two\nlines"


class TestFiles:
    def test_a_mark_at_the_front_and_windows_lines_are_read(self, tmp_path):
        path = tmp_path / "bom.toml"
        path.write_bytes(b"\xef\xbb\xbf[world]\r\nusers = 77\r\n")
        assert load(str(path)).world.users == 77

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (b"x = " + b"[" * 100_000, "nested too deeply"),
            (b"x = " + b"9" * 5000, "integer string conversion"),
            (b"\x7fELF\x00", "TOML|Invalid"),
            (b"[world]\nusers = 1\nusers = 2\n", "Cannot overwrite a value"),
            (b"[wrld]\nusers = 1\n", "unknown key 'wrld'; did you mean 'world'"),
        ],
    )
    def test_a_file_that_is_none_is_one_line(self, tmp_path, content, line):
        path = tmp_path / "mine.toml"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=line) as caught:
            load(str(path))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize("name", ["x.toml", "a" * 300 + ".toml", "nul\0.toml", "quickstart.yaml"])
    def test_a_path_that_leads_nowhere(self, tmp_path, monkeypatch, name):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "x.toml").mkdir()
        with pytest.raises(ValueError, match=r"^scenario "):
            load(name)


class TestSets:
    @pytest.mark.parametrize(
        ("item", "line"),
        [
            ("run.days=2\nevil=1", "must be one line of printable characters"),
            ("run.days=", "must be section.key=value"),
            ("run.days= ", "must be section.key=value"),
            ("run.days=[1", "'[1', must be a TOML value"),
            ('name="x" y', "must be a TOML value"),
            ("a=" + "[" * 100_000, "nested too deeply"),
            ("a=" + "9" * 5000, "integer string conversion"),
        ],
    )
    def test_nothing_is_dropped(self, item, line):
        with pytest.raises(ValueError, match=re.escape(line)) as caught:
            overrides([item])
        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize("junk", ["1 2", "1,", "1, 2"])
    def test_junk_after_a_number_is_no_number(self, junk):
        with pytest.raises(ValueError, match=rf"run\.days == '{junk}', input should be a valid integer"):
            load(DEFAULT, sets=[f"run.days={junk}"])

    @pytest.mark.parametrize("items", [["a.b=1", "a.b.c=2"], ["a.b.c=2", "a.b=1"]])
    def test_a_value_that_is_also_a_section(self, items):
        with pytest.raises(ValueError, match=r"a\.b is a value and a section"):
            overrides(items)
