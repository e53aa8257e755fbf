"""The TaobaoAd reader, on made-up files in the published layout; the real ones are not at hand."""

from __future__ import annotations

import gzip
import itertools
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.datasets.log import RealLog
from simulator.datasets.taobao_ad import HISTORY, PIDS, read_taobao_ad
from simulator.records import DAY
from tests.data.make_taobao_ad_tiny import (
    ACTIONS_LEFT_OUT,
    ADS,
    DUPLICATES,
    EXPECTED,
    FOLDER,
    MIDNIGHT,
    PROFILES,
    ROWS,
    STRANGERS,
)

WAIT = 1800


@pytest.fixture(scope="module")
def tiny() -> RealLog:
    return read_taobao_ad(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "taobao"))


def lines_of(name: str, folder: Path = FOLDER) -> list[str]:
    return gzip.decompress((folder / f"{name}.csv.gz").read_bytes()).decode().splitlines()


def write(folder: Path, name: str, lines: list[str]) -> None:
    (folder / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))


def good_rows() -> list[list[str]]:
    bad = {line for lines in EXPECTED.values() for line in lines}
    held = dict.fromkeys(text for i, text in enumerate(lines_of("raw_sample"), 1) if i > 1 and i not in bad)
    return sorted((row.split(",") for row in held), key=lambda cells: int(cells[1]))


def ids(name: str) -> list[int]:
    return [int(line.split(",")[0]) for line in (FOLDER / name).read_text().splitlines()[1:]]


def test_every_row_is_accounted_for_and_named_by_its_line(tiny: RealLog) -> None:
    report = tiny.report
    of_log = {m.kind: m.lines for m in report.malformed if m.file == "raw_sample.csv.gz"}
    assert of_log == EXPECTED
    assert {m.kind: m.lines for m in report.malformed if m.file == "behavior_log.csv.gz"} == ACTIONS_LEFT_OUT
    assert report.rows == len(lines_of("raw_sample")) - 1
    assert report.duplicates == DUPLICATES
    assert report.kept == len(tiny.impressions) == ROWS == report.rows - DUPLICATES - len(EXPECTED)


def test_rows_carry_what_the_log_says_in_order_of_time(tiny: RealLog) -> None:
    rows, told = tiny.impressions, good_rows()
    assert (np.diff(rows.time) >= 0).all()
    np.testing.assert_array_equal(rows.time, [int(c[1]) - MIDNIGHT for c in told])
    np.testing.assert_array_equal(rows.ready_at, rows.time + WAIT)
    # Rows of one second may stand in any order.
    profiles, ads = ids("user_profile.csv"), ids("ad_feature.csv")
    strangers = sorted({int(c[0]) for c in told} - set(profiles))
    known = [*profiles, *strangers]
    got = zip(rows.time, rows.user, rows.ad, rows.context[:, 1], rows.label, strict=True)
    assert sorted((t, known[u], ads[a], PIDS[p], int(y)) for t, u, a, p, y in got) == sorted(
        (int(c[1]) - MIDNIGHT, int(c[0]), int(c[2]), c[3], int(c[5])) for c in told
    )
    np.testing.assert_array_equal(rows.context[:, 0], rows.time % DAY // 3600)
    np.testing.assert_array_equal(tiny.date, 20170506 + rows.time // DAY)


def test_users_without_a_profile_stay_with_blank_features(tiny: RealLog) -> None:
    users = tiny.catalog.users
    assert users.rows == PROFILES + STRANGERS
    assert tiny.report.without_features == (tiny.impressions.user >= PROFILES).sum() > 0
    for name in ("pvalue_level", "cms_group_id"):
        blank = users.codes[name][PROFILES:]
        assert np.unique(blank).size == 1
    # A blank in the file and no profile at all are the same to a model.
    assert users.codes["pvalue_level"][PROFILES] == users.codes["pvalue_level"][0]
    for side in (users, tiny.catalog.ads):
        for name, codes in side.codes.items():
            assert codes.min() >= 0
            assert codes.max() == side.sizes[name] - 1


def test_the_place_on_the_page_is_context(tiny: RealLog) -> None:
    assert list(tiny.catalog.context) == ["hour", "pid"]
    assert "pid" not in tiny.catalog.ads.codes
    assert tiny.catalog.ads.rows == ADS


def test_history_is_what_happened_the_wait_before_midnight(tiny: RealLog) -> None:
    """By a slow account of the behaviour log, for every user and day."""
    ads = [line.split(",") for line in (FOLDER / "ad_feature.csv").read_text().splitlines()[1:]]
    bad = {line for lines in ACTIONS_LEFT_OUT.values() for line in lines}
    told = [c.split(",") for i, c in enumerate(lines_of("behavior_log"), 1) if i > 1 and i not in bad]
    known = ids("user_profile.csv")
    known += sorted({int(c[0]) for c in good_rows()} - set(known))

    def stand_in(cate: str, brand: str) -> int:
        of_cate = [i for i, ad in enumerate(ads) if ad[1] == cate]
        return next((i for i in of_cate if ads[i][4] == brand), of_cate[0])

    seen = defaultdict(list)
    for user, stamp, _, cate, brand in told:
        seen[known.index(int(user))].append((int(stamp) - MIDNIGHT, stand_in(cate, brand)))
    items = tiny.catalog.history.items
    assert items.shape == (8, len(known), HISTORY)
    assert (items >= 0).sum() > 1000
    for day in range(8):
        for u in range(len(known)):
            past = [ad for t, ad in sorted(seen[u]) if t + WAIT < day * DAY][-HISTORY:]
            assert items[day, u, HISTORY - len(past) :].tolist() == past
            assert (items[day, u, : HISTORY - len(past)] == -1).all()
    user = tiny.impressions.user[:5]
    np.testing.assert_array_equal(tiny.catalog.history.as_of(user, 3 * DAY + np.arange(5)), items[3, user])


def test_an_action_within_the_wait_before_midnight_waits_a_day(copy: Path) -> None:
    user = ids("user_profile.csv")[0]
    stamps = [MIDNIGHT + DAY - WAIT - 1, MIDNIGHT + DAY - WAIT, MIDNIGHT + DAY - 1]
    rows = [f"{user},{t},pv,{cate},90" for t, cate in zip(stamps, (11, 22, 33), strict=True)]
    write(copy, "behavior_log", [lines_of("behavior_log")[0], *rows])
    read = read_taobao_ad(copy)
    counts = (read.catalog.history.items[:, 0] >= 0).sum(axis=1)
    assert counts.tolist() == [0, 1, 3, 3, 3, 3, 3, 3]


def test_without_a_behaviour_log_there_is_no_history(copy: Path, tiny: RealLog) -> None:
    (copy / "behavior_log.csv.gz").unlink()
    read = read_taobao_ad(copy)
    assert read.report.history_source == "none"
    assert (read.catalog.history.items == -1).all()
    np.testing.assert_array_equal(read.impressions.label, tiny.impressions.label)


def test_the_last_day_is_the_test(tiny: RealLog) -> None:
    assert set(tiny.date[tiny.test].tolist()) == {20170513}
    assert tiny.date[~tiny.test].max() == 20170512
    assert tiny.base_rate == tiny.catalog.base_ctr == pytest.approx(tiny.impressions.label[~tiny.test].mean())


def test_labels_leave_no_trace_in_the_catalog(copy: Path, tiny: RealLog) -> None:
    header, *rows = lines_of("raw_sample")

    def flipped(row: str) -> str:
        cells = row.split(",")
        fine = len(cells) == 6 and {*cells[4:]} == {"0", "1"}
        return ",".join([*cells[:4], cells[5], cells[4]]) if fine else row

    write(copy, "raw_sample", [header, *map(flipped, rows)])
    read = read_taobao_ad(copy)
    np.testing.assert_array_equal(read.impressions.label, ~tiny.impressions.label)
    assert read.catalog.base_ctr == pytest.approx(1 - tiny.catalog.base_ctr)
    for old, new in ((tiny.catalog.users, read.catalog.users), (tiny.catalog.ads, read.catalog.ads)):
        np.testing.assert_array_equal(old.dense, new.dense)
        for name, codes in old.codes.items():
            np.testing.assert_array_equal(codes, new.codes[name])
    np.testing.assert_array_equal(read.catalog.history.items, tiny.catalog.history.items)


def test_plain_files_and_gzipped_ones_read_alike(copy: Path, tiny: RealLog) -> None:
    for name in ("raw_sample", "behavior_log"):
        (copy / f"{name}.csv").write_text("\r\n".join([*lines_of(name), ""]))
        (copy / f"{name}.csv.gz").unlink()
    read = read_taobao_ad(copy)
    np.testing.assert_array_equal(read.impressions.user, tiny.impressions.user)
    np.testing.assert_array_equal(read.catalog.history.items, tiny.catalog.history.items)
    assert [m.lines for m in read.report.malformed] == [m.lines for m in tiny.report.malformed]


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *itertools.product(
            ["raw_sample", "ad_feature", "user_profile"], ["missing", "empty", "header only", "no column"]
        ),
        # A behaviour log may be missing or have no rows: a history is optional.
        *itertools.product(["behavior_log"], ["empty", "no column"]),
    ],
)
def test_a_bad_file_is_one_clear_error(copy: Path, name: str, harm: str) -> None:
    path = next(copy.glob(f"{name}.csv*"))
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.unlink()
    header = text.splitlines()[0]
    plain = {"empty": b"", "header only": header + b"\n", "no column": header.rsplit(b",", 1)[0] + b"\n1,2\n"}
    if harm != "missing":
        (copy / f"{name}.csv").write_bytes(plain[harm])
    with pytest.raises(ValueError, match=rf"{name}\.csv: (no|not)") as caught:
        read_taobao_ad(copy)
    assert "\n" not in str(caught.value)


def test_no_folder_and_negative_wait_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a folder"):
        read_taobao_ad(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="label_wait == -1, must be"):
        read_taobao_ad(FOLDER, label_wait=-1)


CELL = st.sampled_from(["", "0", "1", "2", "-1", "x", "1.5", "500", "507", "1000", str(MIDNIGHT), PIDS[0], "ä", "\0"])
GARBAGE = st.lists(st.lists(CELL, max_size=7).map(",".join), max_size=12)


@given(garbage=GARBAGE)
@settings(max_examples=25, deadline=None)
def test_whatever_stands_in_the_log_is_kept_or_counted(garbage: list[str]) -> None:
    header, *rows = lines_of("raw_sample")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(FOLDER, Path(scratch) / "log"))
        write(folder, "raw_sample", [header, *rows[20:40], *garbage])
        report = read_taobao_ad(folder).report
    refused = sum(m.count for m in report.malformed if m.file.startswith("raw_sample"))
    assert report.rows == 20 + len(garbage) == report.kept + report.duplicates + refused
