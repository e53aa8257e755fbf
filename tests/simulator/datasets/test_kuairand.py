"""The KuaiRand reader: the tiny made-up log for the road, the real one (where it is at hand) for the facts."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.datasets.kuairand import HISTORY, KuaiRand, read_kuairand
from simulator.records import DAY
from tests.data.make_kuairand_tiny import EXPECTED, FOLDER, LOG, ROWS, USERS, VIDEOS

REPOSITORY = Path(__file__).parents[3]
REAL = Path(os.environ.get("CS3BENCH_DATA", str(REPOSITORY.parent / "shared" / "data"))) / "kuairand-pure"
LOG_NAME = "log_standard_4_25_to_5_08_pure.csv.gz"
COLUMNS = LOG.split(",")


@pytest.fixture(scope="module")
def tiny() -> KuaiRand:
    return read_kuairand(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "kuairand"))


def log_lines(folder: Path = FOLDER) -> list[str]:
    return gzip.decompress((folder / LOG_NAME).read_bytes()).decode().splitlines()


def write_log(folder: Path, lines: list[str]) -> None:
    (folder / LOG_NAME).write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))


def edited(line: str, **values: object) -> str:
    cells = line.split(",")
    for name, value in values.items():
        cells[COLUMNS.index(name)] = str(value)
    return ",".join(cells)


def test_every_row_is_accounted_for(tiny: KuaiRand) -> None:
    report = tiny.report
    assert report.rows == len(log_lines()) - 1
    assert (report.duplicates, report.refused) == (EXPECTED["duplicates"], EXPECTED["malformed"])
    assert report.kept == len(tiny.impressions) == report.rows - report.duplicates - report.refused - report.earlier
    assert report.kept == ROWS - EXPECTED["malformed"] + 1  # one of the malformed rows was inserted, four were spoilt


def test_malformed_rows_are_named_by_their_line(tiny: KuaiRand) -> None:
    found = {(m.kind, m.count, m.lines) for m in tiny.report.malformed}
    assert found == {
        ("wrong number of columns", 1, (12,)),
        ("not a whole number", 1, (23,)),
        ("unknown user_id", 1, (24,)),
        ("unknown video_id", 1, (25,)),
        ("is_click not 0 or 1", 1, (26,)),
    }


def test_of_many_malformed_rows_the_first_twenty_are_named(copy: Path) -> None:
    lines = log_lines()
    write_log(copy, [*lines[:101], *(edited(line, is_click="") for line in lines[101:131]), *lines[131:]])
    (found,) = [m for m in read_kuairand(copy).report.malformed if m.kind == "not a whole number" and m.count > 1]
    # Line 23 is spoilt in the tiny log itself; a duplicate among the thirty would count as a duplicate.
    assert found.count == 1 + len(set(lines[101:131]))
    assert len(found.lines) == 20
    assert found.lines[:3] == (23, 102, 103)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"tab": 15}, "tab not 0 to 14"),
        ({"date": 20221350}, "date more than a day from time_ms"),
        ({"date": 20220507}, "date more than a day from time_ms"),
        ({"user_id": -1}, "unknown user_id"),
        ({"video_id": "3.5"}, "not a whole number"),
        ({"time_ms": "1" * 40}, "not a whole number"),
        ({"date": 20220331, "time_ms": 1648692000000}, "date not 20220408 to 20220508"),
    ],
)
def test_spoilt_cells_are_refused(copy: Path, values: dict[str, object], kind: str) -> None:
    lines = log_lines()
    write_log(copy, [*lines[:40], edited(lines[40], **values), *lines[41:]])
    assert (kind, 41) in [(m.kind, line) for m in read_kuairand(copy).report.malformed for line in m.lines]


def test_an_empty_line_is_a_malformed_row(copy: Path) -> None:
    lines = log_lines()
    write_log(copy, [*lines[:40], "", *lines[40:]])
    assert [m.lines for m in read_kuairand(copy).report.malformed if m.kind == "wrong number of columns"] == [(12, 41)]


def test_windows_line_ends_change_nothing(copy: Path, tiny: KuaiRand) -> None:
    (copy / LOG_NAME).write_bytes(gzip.compress("\r\n".join([*log_lines(), ""]).encode()))
    read = read_kuairand(copy)
    assert read.report == tiny.report
    np.testing.assert_array_equal(read.impressions.time, tiny.impressions.time)


def test_rows_are_in_event_order_and_labels_wait(tiny: KuaiRand) -> None:
    rows = read_kuairand(FOLDER, label_wait=900).impressions
    assert (np.diff(rows.time) >= 0).all()
    np.testing.assert_array_equal(rows.ready_at, rows.time + 900)
    np.testing.assert_array_equal(tiny.impressions.ready_at, tiny.impressions.time + 1800)
    np.testing.assert_array_equal(rows.request, np.arange(len(rows)))


def test_rows_carry_what_the_log_says(tiny: KuaiRand) -> None:
    cells = [line.split(",") for line in log_lines()[1:9]]
    rows = tiny.impressions[:8]
    for name, column in (("user_id", rows.user), ("video_id", rows.ad), ("is_click", rows.label)):
        assert [int(c[COLUMNS.index(name)]) for c in cells] == column.astype(int).tolist()
    assert [int(c[COLUMNS.index("tab")]) for c in cells] == rows.context[:, 1].tolist()
    assert [int(c[COLUMNS.index("date")]) for c in cells] == tiny.date[:8].tolist()


def test_time_counts_from_midnight_of_the_first_day(tiny: KuaiRand) -> None:
    rows = tiny.impressions
    first = int(log_lines()[1].split(",")[COLUMNS.index("time_ms")]) // 1000
    assert rows.time[0] == (first + 8 * 3600) % DAY
    np.testing.assert_array_equal(rows.context[:, 0], rows.time % DAY // 3600)


def test_order_of_the_file_does_not_matter(copy: Path, tiny: KuaiRand) -> None:
    header, *lines = log_lines()
    write_log(copy, [header, *reversed(lines)])
    rows = read_kuairand(copy).impressions
    order = np.lexsort((tiny.impressions.ad, tiny.impressions.user, tiny.impressions.time))
    for name in ("time", "user", "ad", "label"):
        again = getattr(rows, name)[np.lexsort((rows.ad, rows.user, rows.time))]
        np.testing.assert_array_equal(again, getattr(tiny.impressions, name)[order])


def test_what_happens_after_the_exposure_is_never_read(copy: Path, tiny: KuaiRand) -> None:
    header, *lines = log_lines()
    seen = ("user_id", "video_id", "date", "time_ms", "is_click", "tab", "hourmin")
    poison = {name: "x" for name in COLUMNS if name not in seen}
    write_log(copy, [header, *(edited(line, **poison) if line.count(",") == 18 else line for line in lines)])
    read = read_kuairand(copy)
    np.testing.assert_array_equal(read.impressions.label, tiny.impressions.label)
    np.testing.assert_array_equal(read.catalog.users.dense, tiny.catalog.users.dense)


def test_models_find_nothing_that_no_model_wrote(tiny: KuaiRand) -> None:
    rows = tiny.impressions
    assert np.isnan(rows.pctr).all()
    assert np.isnan(rows.logit).all()
    assert rows.hidden.shape == (len(rows), 0)
    assert rows.hidden.dtype == np.float16
    assert (rows.bid == 1).all()
    assert not rows.paid.any()
    assert not rows.explored.any()


def test_codes_fit_their_vocabularies(tiny: KuaiRand) -> None:
    for side, key, rows in ((tiny.catalog.users, "user", USERS), (tiny.catalog.ads, "ad", VIDEOS)):
        assert side.rows == rows
        np.testing.assert_array_equal(side.codes[key], np.arange(rows))
        for name, codes in side.codes.items():
            assert codes.shape == (rows,)
            assert codes.min() >= 0
            assert codes.max() == side.sizes[name] - 1
        assert np.isfinite(side.dense).all()
        assert np.abs(side.dense).max() < 20
    assert tiny.catalog.category.max() < tiny.catalog.categories
    assert tiny.catalog.segment.max() < tiny.catalog.segments
    assert list(tiny.catalog.context) == ["hour", "tab"]


def test_blank_is_a_code_of_its_own_and_the_first_tag_is_the_category(tiny: KuaiRand) -> None:
    blank = tiny.catalog.users.codes["onehot_feat4"]
    assert (blank == blank[7]).sum() == 1
    category = tiny.catalog.category
    assert (category == category[3]).sum() == 1  # no tag
    assert category[5] == category[0] != category[1]  # "39,68" like "39"


def test_unknown_duration_is_the_mean(tiny: KuaiRand) -> None:
    assert tiny.catalog.price[4] == 0
    assert tiny.catalog.price.std() > 0.9


def test_history_ends_with_the_latest_exposure(tiny: KuaiRand) -> None:
    lines = gzip.decompress((FOLDER / "user_history_before_4_25.csv.gz").read_bytes()).decode().splitlines()
    items = tiny.catalog.history.items
    assert items.shape == (1, USERS, HISTORY)
    for u in (0, 2, 3):
        watched = [int(i) for i in lines[u + 1].split(",")[3].split()]
        assert items[0, u, HISTORY - len(watched) :].tolist() == watched
        assert (items[0, u, : HISTORY - len(watched)] == -1).all()
    assert (items[0, 55:] == -1).all()


def test_base_rate_is_that_of_the_fit_period(tiny: KuaiRand) -> None:
    assert tiny.catalog.base_ctr == pytest.approx(tiny.impressions.label[~tiny.test].mean())
    assert tiny.test.any()
    assert tiny.date[tiny.test].min() == 20220505


def test_flipping_test_labels_changes_nothing_else(copy: Path, tiny: KuaiRand) -> None:
    header, *lines = log_lines()
    date, click = COLUMNS.index("date"), COLUMNS.index("is_click")

    def flip(line: str) -> str:
        cells = line.split(",")
        late = len(cells) == len(COLUMNS) and cells[date] >= "20220505" and cells[date] != "today"
        return edited(line, is_click=1 - int(cells[click])) if late else line

    write_log(copy, [header, *map(flip, lines)])
    read = read_kuairand(copy)
    np.testing.assert_array_equal(read.impressions.label, tiny.impressions.label ^ tiny.test)
    assert read.catalog.base_ctr == tiny.catalog.base_ctr
    np.testing.assert_array_equal(read.catalog.ads.dense, tiny.catalog.ads.dense)


def test_original_layout_makes_the_history_from_earlier_rows(copy: Path, tmp_path: Path, tiny: KuaiRand) -> None:
    """Two plain logs under ``data/``, no history file: the first holds four earlier rows of user 3."""
    (copy / "user_history_before_4_25.csv.gz").unlink()
    header, *lines = log_lines()
    (copy / LOG_NAME).unlink()
    (copy / "log_standard_4_22_to_5_08_pure.csv").write_text("\n".join([header, *lines, ""]))
    whole = edited(lines[0], user_id=3, date=20220420)
    at = 1_650_420_000_000  # 20 April, 10:00 UTC+8
    earlier = [edited(whole, video_id=v, time_ms=at + 1000 * t) for v, t in ((8, 2), (6, 0), (7, 1), (9, 3))]
    (copy / "log_standard_4_08_to_4_21_pure.csv").write_text("\n".join([header, *earlier, ""]))
    root = tmp_path / "release"
    root.mkdir()
    copy.rename(root / "data")
    read = read_kuairand(root)
    assert (read.report.earlier, read.report.history_source) == (4, "log")
    assert read.catalog.history.items[0, 3, -5:].tolist() == [-1, 6, 7, 8, 9]
    assert (read.catalog.history.items[0, :3] == -1).all()
    np.testing.assert_array_equal(read.impressions.time, tiny.impressions.time)


def test_a_repeated_or_spoilt_feature_row_is_reported(copy: Path) -> None:
    path = copy / "video_features_basic_pure.csv"
    header, *lines = path.read_text().splitlines()
    spoilt = lines[11].replace("720.0", "wide")
    path.write_text("\n".join([header, *lines[:11], spoilt, *lines[12:], lines[0], "", "1,2"]) + "\n")
    read = read_kuairand(copy)
    found = {m.kind: m.lines for m in read.report.malformed if m.file == path.name}
    n = len(lines)
    assert found == {"wrong number of columns": (n + 4,), "not a number": (13, n + 3), "repeated video_id": (n + 2,)}
    assert read.catalog.ads.rows == VIDEOS - 1
    # Exposures and histories of the lost video are reported, not dropped in silence.
    unknown = {m.file: m.count for m in read.report.malformed if m.kind.startswith("unknown video_id")}
    assert unknown[LOG_NAME] > 1
    assert unknown["user_history_before_4_25.csv.gz"] >= 1


@pytest.mark.parametrize(
    "name",
    [LOG_NAME, "user_features_pure.csv", "video_features_basic_pure.csv"],
)
@pytest.mark.parametrize("harm", ["missing", "empty", "header only", "cut"])
def test_a_bad_file_is_one_clear_error(copy: Path, name: str, harm: str) -> None:
    path = copy / name
    packed = path.suffix == ".gz"
    if harm == "missing":
        path.unlink()
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "header only":
        text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).splitlines()[0] + b"\n"
        path.write_bytes(gzip.compress(text) if packed else text)
    else:
        # A plain file that is cut has a short header; a gzipped one has no end.
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if packed else b"user_id,video_id\n0,0\n")
    with pytest.raises(ValueError, match=r"log_standard|features") as caught:
        read_kuairand(copy)
    assert name.removesuffix(".gz").split("_")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder_and_negative_wait_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a folder"):
        read_kuairand(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="label_wait == -1, must be"):
        read_kuairand(FOLDER, label_wait=-1)


def release(folder: Path, suffix: str, names: list[str]) -> Path:
    """The tiny log in another published layout: plain files under ``data/``, rows dealt to the files of the log."""
    inner = folder / f"KuaiRand-{suffix}" / "data"
    inner.mkdir(parents=True)
    for side in ("user_features", "video_features_basic"):
        shutil.copy(FOLDER / f"{side}_pure.csv", inner / f"{side}_{suffix}.csv")
    header, *lines = log_lines()
    for i, name in enumerate(names):
        (inner / name).write_text("\n".join([header, *lines[i :: len(names)], ""]))
    # Neither is ever read.
    (inner / f"log_random_4_22_to_5_08_{suffix}.csv").write_text("x")
    (inner / f"video_features_statistic_{suffix}.csv").write_text("x")
    return inner.parent


RELEASES = {
    "pure": ["log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv"],
    "1k": ["log_standard_4_08_to_4_21_1k.csv", "log_standard_4_22_to_5_08_1k.csv"],
    "27k": [f"log_standard_{days}_27k_part{i}.csv" for days in ("4_08_to_4_21", "4_22_to_5_08") for i in (1, 2)],
}


@pytest.mark.parametrize("suffix", RELEASES)
def test_each_published_layout_is_found_by_its_files(tmp_path: Path, tiny: KuaiRand, suffix: str) -> None:
    """Rows of one millisecond may stand in another order, for they are dealt to several files."""
    read = read_kuairand(release(tmp_path, suffix, RELEASES[suffix]))
    assert (read.report.rows, read.report.duplicates, read.report.kept) == (
        tiny.report.rows,
        tiny.report.duplicates,
        tiny.report.kept,
    )
    assert read.report.history_source == "none"
    np.testing.assert_array_equal(read.impressions.time, tiny.impressions.time)
    for column in ("user", "ad", "label"):
        np.testing.assert_array_equal(
            np.sort(getattr(read.impressions, column)), np.sort(getattr(tiny.impressions, column))
        )
    assert {m.kind for m in read.report.malformed} == {m.kind for m in tiny.report.malformed}
    assert {m.file for m in read.report.malformed} <= set(RELEASES[suffix])


def test_a_folder_with_two_layouts_or_none_is_an_error(tmp_path: Path) -> None:
    root = release(tmp_path, "1k", RELEASES["1k"])
    shutil.copy(FOLDER / "user_features_pure.csv", root / "data")
    with pytest.raises(ValueError, match="must hold the files of one layout, found KuaiRand-Pure and KuaiRand-1K"):
        read_kuairand(root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"must hold the files of one layout \(.*27k_part.*\), found none"):
        read_kuairand(tmp_path / "empty")


def test_a_log_of_several_files_has_one_header(tmp_path: Path) -> None:
    root = release(tmp_path, "27k", RELEASES["27k"])
    path = root / "data" / RELEASES["27k"][1]
    path.write_text(path.read_text().replace("is_like", "liked", 1))
    with pytest.raises(ValueError, match=r"part2\.csv: header differs from that of log_.*part1\.csv"):
        read_kuairand(root)


CELL = st.sampled_from(["", "0", "1", "2", "999", "-1", "x", "20220426", "1650930000000", "15", "ä"])
GARBAGE = st.lists(st.lists(CELL, min_size=18, max_size=20).map(",".join), max_size=12)


@given(garbage=GARBAGE)
@settings(max_examples=25, deadline=None)
def test_whatever_stands_in_the_log_is_kept_or_counted(garbage: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(FOLDER, Path(scratch) / "log"))
        write_log(folder, [*log_lines()[:30], *garbage])
        report = read_kuairand(folder).report
    assert report.rows == 29 + len(garbage) == report.kept + report.earlier + report.duplicates + report.refused


@pytest.mark.skipif(not REAL.is_dir(), reason="the real KuaiRand-Pure log is not at hand (set CS3BENCH_DATA)")
def test_the_real_log_has_its_published_counts() -> None:
    data = read_kuairand(REAL)
    assert (data.report.rows, data.report.duplicates, data.report.refused) == (228_329, 5_460, 0)
    assert len(data.impressions) == 222_869
    assert data.report.click_rate == pytest.approx(0.4490, abs=5e-5)
    assert data.test.sum() == 55_588
    assert (~data.test).sum() == 167_281
    assert (data.catalog.users.rows, data.catalog.ads.rows) == (27_285, 7_583)
    assert (data.catalog.history.items[0] >= 0).any(axis=1).sum() == 26_469
    assert np.unique(data.impressions.user).size == 25_156
    assert np.unique(data.impressions.ad).size == 6_361
