"""The reader of the RecSys Challenge 2017, on made-up files in the published layout; the real ones are not at hand."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.datasets.log import RealLog
from simulator.datasets.recsys2017 import HISTORY, KEPT_DAYS, TEST_DAYS, read_recsys2017
from simulator.records import DAY
from tests.data.make_recsys2017_tiny import DUPLICATES, EXPECTED, FOLDER, ITEMS, MIDNIGHT, ROWS, USERS

NAME = "interactions.csv.gz"
WAIT = 1800
Event = tuple[int, int, int, int]
"""second, user, item, type."""


@pytest.fixture(scope="module")
def tiny() -> RealLog:
    return read_recsys2017(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "xing"))


def lines_of(folder: Path = FOLDER) -> list[str]:
    return gzip.decompress((folder / NAME).read_bytes()).decode().splitlines()


def write(folder: Path, lines: list[str]) -> None:
    (folder / NAME).write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))


def events() -> list[Event]:
    bad = {line for lines in EXPECTED.values() for line in lines}
    rows = dict.fromkeys(text for i, text in enumerate(lines_of(), 1) if i > 1 and i not in bad)
    cells = [tuple(map(int, row.split("\t"))) for row in rows]
    return sorted((t, (u - 10) // 3, i - 700, kind) for u, i, kind, t in cells)


def first_day() -> int:
    return max(t for t, *_, kind in events() if kind == 0) // DAY + 1 - KEPT_DAYS


def labels(told: list[Event], wait: int) -> dict[tuple[int, int, int], bool]:
    """Impression (second, user, item) -> clicked, one click after another."""
    clicked = {(t, u, i): False for t, u, i, kind in told if kind == 0}
    for t, u, i, kind in told:
        if kind in (1, 2, 3):
            shown = [s for s, v, j, k in told if k == 0 and (v, j) == (u, i) and t - wait <= s <= t]
            if shown:
                clicked[max(shown), u, i] = True
    return clicked


def test_every_row_is_accounted_for_and_named_by_its_line(tiny: RealLog) -> None:
    report = tiny.report
    assert {m.kind: m.lines for m in report.malformed} == EXPECTED
    assert report.rows == len(lines_of()) - 1
    assert report.duplicates == DUPLICATES
    assert report.rows == DUPLICATES + len(EXPECTED) + report.earlier + report.kept + sum(report.aside.values())
    assert report.kept + report.earlier == ROWS
    told = [kind for *_, kind in events()]
    assert list(report.aside.values())[2:] == [told.count(4), told.count(5)]
    assert min(report.aside.values()) > 0


@pytest.mark.parametrize("wait", [0, 300, 1800, 90_000])
def test_a_click_belongs_to_the_latest_impression_of_the_pair_within_the_wait(wait: int) -> None:
    read = read_recsys2017(FOLDER, label_wait=wait)
    rows, origin = read.impressions, first_day() * DAY
    told = {key: y for key, y in labels(events(), wait).items() if key[0] >= origin}
    columns = zip(rows.time + origin, rows.user, rows.ad, rows.label, strict=True)
    got = {(int(t), int(u), int(a)): bool(y) for t, u, a, y in columns}
    assert got == told
    assert len(rows) == len(told)
    np.testing.assert_array_equal(rows.ready_at, rows.time + wait)


def test_a_later_impression_takes_the_click(copy: Path) -> None:
    """One pair: shown, shown, clicked, shown, and clicked again too late for the first two."""
    at = MIDNIGHT + 100
    rows = [(0, at), (0, at + 50), (1, at + 60), (0, at + 60 + 2 * WAIT), (2, at + 60 + 3 * WAIT), (3, at + 60)]
    write(copy, [lines_of()[0], *(f"10\t700\t{kind}\t{t}" for kind, t in rows)])
    read = read_recsys2017(copy)
    assert read.impressions.label.tolist() == [False, True, True]
    assert list(read.report.aside.values()) == [3, 0, 0, 0]
    assert read_recsys2017(copy, label_wait=WAIT - 1).impressions.label.tolist() == [False, True, False]


def test_clicks_that_were_never_shown_make_no_row(copy: Path) -> None:
    rows = ["10\t700\t0\t1483300000", "10\t701\t1\t1483300001", "13\t700\t1\t1483300001", "10\t700\t5\t1483300001"]
    write(copy, [lines_of()[0], *rows])
    read = read_recsys2017(copy)
    assert read.impressions.label.tolist() == [False]
    assert list(read.report.aside.values()) == [0, 2, 0, 1]


def test_the_last_week_is_the_test_and_four_are_kept(tiny: RealLog) -> None:
    day = tiny.impressions.time // DAY
    assert day[0] == 0
    assert day.max() == KEPT_DAYS - 1
    np.testing.assert_array_equal(tiny.test, day >= KEPT_DAYS - TEST_DAYS)
    assert tiny.base_rate == pytest.approx(tiny.impressions.label[~tiny.test].mean())
    assert (np.diff(tiny.impressions.time) >= 0).all()
    assert list(tiny.catalog.context) == ["hour"]
    np.testing.assert_array_equal(tiny.impressions.context[:, 0], tiny.impressions.time % DAY // 3600)


def test_history_is_what_users_wanted_the_wait_before_the_first_day(tiny: RealLog) -> None:
    items = tiny.catalog.history.items
    assert items.shape == (1, USERS, HISTORY)
    begin = first_day() * DAY
    held = 0
    for user in range(USERS):
        past = [(t, i) for t, u, i, kind in events() if u == user and kind in (1, 2, 3) and t + WAIT < begin]
        held += len(past)
        assert sorted(items[0, user][items[0, user] >= 0].tolist()) == sorted(i for _, i in past[-HISTORY:])
        assert (np.diff(items[0, user] >= 0) >= 0).all()
    assert held > 50


def test_what_users_do_in_the_days_kept_leaves_no_trace_in_the_catalog(copy: Path, tiny: RealLog) -> None:
    """Every click of the last four weeks becomes a deletion."""
    header, *rows = lines_of()
    begin = first_day() * DAY - WAIT

    def undone(row: str) -> str:
        cells = row.split("\t")
        late = len(cells) == 4 and cells[2] in "123" and int(cells[3]) >= begin
        return "\t".join([*cells[:2], "4", cells[3]]) if late else row

    write(copy, [header, *map(undone, rows)])
    read = read_recsys2017(copy)
    assert not read.impressions.label.any()
    assert tiny.impressions.label.any()
    assert read.catalog.base_ctr == 0.001
    for old, new in ((tiny.catalog.users, read.catalog.users), (tiny.catalog.ads, read.catalog.ads)):
        np.testing.assert_array_equal(old.dense, new.dense)
        for name, codes in old.codes.items():
            np.testing.assert_array_equal(codes, new.codes[name])
    np.testing.assert_array_equal(read.catalog.history.items, tiny.catalog.history.items)


def test_of_a_list_the_first_is_taken_and_unknown_is_the_mean(tiny: RealLog) -> None:
    catalog = tiny.catalog
    roles = [line.split("\t")[1].split(",")[0] for line in (FOLDER / "users.csv").read_text().splitlines()[1:]]
    codes = catalog.users.codes["jobroles"]
    assert len({(role, int(code)) for role, code in zip(roles, codes, strict=True)}) == len(set(roles))
    assert catalog.ads.rows == ITEMS
    assert (catalog.ads.dense[3] == 0).all()
    assert np.isfinite(catalog.ads.dense).all()
    assert catalog.category.max() == catalog.categories - 1
    assert catalog.price.std() == pytest.approx(1, abs=1e-5)


def test_spoilt_features_are_reported_with_the_rows_that_miss_them(copy: Path) -> None:
    path = copy / "users.csv"
    header, *rows = path.read_text().splitlines()
    cells = rows[4].split("\t")
    path.write_text("\n".join([header, *rows[:4], "\t".join([cells[0], "a;b", *cells[2:]]), *rows[5:], rows[0], ""]))
    found = {(m.file, m.kind): m for m in read_recsys2017(copy).report.malformed}
    assert found["users.csv", "not a list of numbers"].lines == (6,)
    assert found["users.csv", "repeated id"].lines == (USERS + 2,)
    assert found[NAME, "unknown user_id"].count > 1


@pytest.mark.parametrize("name", ["interactions", "users", "items"])
@pytest.mark.parametrize("harm", ["missing", "empty", "header only", "no column"])
def test_a_bad_file_is_one_clear_error(copy: Path, name: str, harm: str) -> None:
    path = next(copy.glob(f"{name}.csv*"))
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.unlink()
    header = text.splitlines()[0]
    plain = {"empty": b"", "header only": header + b"\n", "no column": header.rsplit(b"\t", 1)[0] + b"\n1\t2\n"}
    if harm != "missing":
        (copy / f"{name}.csv").write_bytes(plain[harm])
    with pytest.raises(ValueError, match=rf"{name}\.csv: (no|not)") as caught:
        read_recsys2017(copy)
    assert "\n" not in str(caught.value)


def test_a_log_without_impressions_is_an_error(copy: Path) -> None:
    write(copy, [lines_of()[0], "10\t700\t1\t1483300000"])
    with pytest.raises(ValueError, match=r"interactions\.csv\.gz: no well-formed impression"):
        read_recsys2017(copy)
    with pytest.raises(ValueError, match="must be a folder"):
        read_recsys2017(copy / "nowhere")


CELL = st.sampled_from(["", "0", "1", "3", "6", "-1", "x", "10", "13", "700", "701", str(MIDNIGHT), "ä", "\0"])
GARBAGE = st.lists(st.lists(CELL, max_size=5).map("\t".join), max_size=12)


@given(garbage=GARBAGE)
@settings(max_examples=25, deadline=None)
def test_whatever_stands_in_the_log_is_kept_or_counted(garbage: list[str]) -> None:
    header, *rows = lines_of()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(FOLDER, Path(scratch) / "log"))
        write(folder, [header, f"10\t700\t0\t{MIDNIGHT}", *rows[60:80], *garbage])
        report = read_recsys2017(folder).report
    refused = sum(m.count for m in report.malformed if m.file == NAME)
    assert report.rows == 21 + len(garbage)
    assert report.rows == report.kept + report.earlier + report.duplicates + refused + sum(report.aside.values())


@pytest.mark.parametrize(("days", "rows"), [(1300, 1), (9, 20)])
def test_a_few_impressions_long_after_all_others_are_named(copy: Path, days: int, rows: int) -> None:
    """By one wrong date the last four weeks would hold that row and no other."""
    lines = lines_of()
    last = max(t for t, *_, kind in events() if kind == 0)
    user, item, *_ = lines[-1].split("\t")
    write(copy, [*lines, *(f"{user}\t{item}\t0\t{last + days * 86_400 + i}" for i in range(rows))])
    named = f"line {len(lines) + 1}{' and 19 more' * (rows > 1)}"
    with pytest.raises(ValueError, match=rf"created_at of {named} is {days:,} days after the impression before"):
        read_recsys2017(copy)
