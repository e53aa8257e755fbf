"""A log is the same log whoever wrote its files; files of which nothing can be used say why."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv
import pytest

from simulator.datasets import reader
from simulator.datasets.log import RealLog
from tests.data import make_kuairand_tiny, make_recsys2017_tiny, make_taobao_ad_tiny

LOGS = {"kuairand": make_kuairand_tiny, "recsys2017": make_recsys2017_tiny, "taobao-ad": make_taobao_ad_tiny}
LOG = {"kuairand": "log_standard", "recsys2017": "interactions", "taobao-ad": "raw_sample"}


def by_pyarrow(rows: pd.DataFrame, path: Path, sep: str) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    pv.write_csv(table, path, pv.WriteOptions(delimiter=sep))


def by_r(rows: pd.DataFrame, path: Path, sep: str) -> None:
    """As ``write.csv`` does: everything that is no number in quotes, and row names first."""
    named = rows.set_axis(pd.Index([str(i) for i in range(1, len(rows) + 1)]), axis=0)
    named.to_csv(path, sep=sep, quoting=csv.QUOTE_NONNUMERIC)


def by_pandas(rows: pd.DataFrame, path: Path, sep: str) -> None:
    rows.to_csv(path, sep=sep)


def by_excel(rows: pd.DataFrame, path: Path, sep: str) -> None:
    rows.to_csv(path, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")


def by_hand(rows: pd.DataFrame, path: Path, sep: str) -> None:
    """Everything in quotes, with a blank behind each number, gzipped."""
    padded = rows.map(lambda cell: f"{cell} " if cell.isdigit() and len(cell) > 2 else cell)
    with gzip.open(f"{path}.gz", "wt", newline="") as file:
        padded.to_csv(file, index=False, sep=sep, quoting=csv.QUOTE_ALL)


WRITERS = {"pyarrow": by_pyarrow, "R": by_r, "pandas": by_pandas, "Excel": by_excel, "by hand": by_hand}
NUMBERS = {
    "kuairand": ("user_id", "video_id", "date", "time_ms", "is_click", "tab"),
    "recsys2017": ("user_id", "item_id", "interaction_type", "created_at"),
    "taobao-ad": ("user", "time_stamp", "adgroup_id", "nonclk", "clk"),
}


def plain(name: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Without the rows that are malformed on purpose: those no writer would write."""

    def only(rows: pd.DataFrame) -> pd.DataFrame:
        known = [column for column in NUMBERS[name] if column in rows]
        whole = rows[known].apply(lambda column: column.str.fullmatch(r"-?\d+")).all(axis=1)
        return rows[whole] if known else rows

    return only


def rewritten(name: str, folder: Path, write: Callable[[pd.DataFrame, Path, str], None]) -> None:
    """The tiny log of that name, without its malformed lines, by another writer."""
    folder.mkdir()
    for path in LOGS[name].FOLDER.iterdir():
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        sep = "\t" if name == "recsys2017" else ","
        head, *lines = raw.decode("utf-8-sig", errors="replace").splitlines()
        cells = [line for line in csv.reader(lines, delimiter=sep) if len(line) == len(head.split(sep))]
        rows = pd.DataFrame(cells, columns=[one.split(".")[-1].strip().strip('"') for one in head.split(sep)])
        if path.name.startswith(LOG[name]):
            rows = plain(name)(rows)
        write(rows, folder / path.name.removesuffix(".gz"), sep)


def same(one: RealLog, other: RealLog) -> None:
    for f in fields(one.impressions):
        np.testing.assert_array_equal(getattr(one.impressions, f.name), getattr(other.impressions, f.name))
    np.testing.assert_array_equal(one.catalog.history.items, other.catalog.history.items)
    for mine, theirs in ((one.catalog.users, other.catalog.users), (one.catalog.ads, other.catalog.ads)):
        np.testing.assert_array_equal(mine.dense, theirs.dense)
        for field, codes in mine.codes.items():
            np.testing.assert_array_equal(codes, theirs.codes[field])
    mine, theirs = (replace(log.report, malformed=(), history_source="") for log in (one, other))
    assert mine == theirs


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_log_is_the_same_whoever_wrote_it(name: str, writer: str, tmp_path: Path) -> None:
    rewritten(name, tmp_path / "usual", lambda rows, path, sep: rows.to_csv(path, sep=sep, index=False))
    rewritten(name, tmp_path / "other", WRITERS[writer])
    usual, other = reader(name)(tmp_path / "usual"), reader(name)(tmp_path / "other")
    assert usual.report.duplicates + usual.report.kept > 600
    same(usual, other)


def tiny(folder: Path, name: str = "kuairand") -> Path:
    """A copy of a tiny log, unpacked."""
    folder.mkdir()
    for path in LOGS[name].FOLDER.iterdir():
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (folder / path.name.removesuffix(".gz")).write_bytes(raw)
    return next(path for path in folder.iterdir() if path.name.startswith(LOG[name]))


def change(log: Path, column: int, how: Callable[[str], str]) -> None:
    """Every cell of a column of a log's whole lines by another one; other lines go."""
    head, *lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split(",") for line in lines if line.count(",") == head.count(",")]
    for row in rows:
        row[column] = how(row[column])
    log.write_text("\n".join([head, *map(",".join, rows)]) + "\n", encoding="utf-8")


WHY = {
    "seconds": (4, lambda cell: cell[:10], "date more than a day from time_ms: "),
    "floats": (0, lambda cell: f"{cell}.0", "not a whole number: "),
    "dashes": (2, lambda cell: f"{cell[:4]}-{cell[4:6]}-{cell[6:]}", "not a whole number: "),
    "words": (5, lambda cell: str(cell == "1"), "not a whole number: "),
    "by Excel": (4, lambda cell: f"{float(cell):.5E}" if cell.isdigit() else cell, "not a whole number: "),
    "other ids": (1, lambda cell: f"9{cell}", "unknown video_id: "),
}


@pytest.mark.parametrize("fault", WHY)
def test_a_log_of_which_no_row_can_be_used_says_why(fault: str, tmp_path: Path) -> None:
    log = tiny(tmp_path / "log")
    column, how, why = WHY[fault]
    change(log, column, how)
    with pytest.raises(ValueError, match="no well-formed row of the log on or after 20220425") as error:
        reader("kuairand")(log.parent)
    said = str(error.value)
    assert why in said
    assert " (lines 2, 3, 4, ...)" in said
    assert "\n" not in said


def by_pandas_in_commas(rows: pd.DataFrame, path: Path, _: str) -> None:
    """Lists in quotes, names without; blanks spelled, cells padded."""
    spelled = rows.map(lambda cell: "NA" if cell == "" else f" {cell} " if cell.isdigit() else cell)
    spelled.to_csv(path, index=False)


def test_lists_in_quotes_under_plain_names_are_read(tmp_path: Path) -> None:
    rewritten("recsys2017", tmp_path / "usual", lambda rows, path, sep: rows.to_csv(path, sep=sep, index=False))
    rewritten("recsys2017", tmp_path / "other", by_pandas_in_commas)
    usual, other = (reader("recsys2017")(tmp_path / name) for name in ("usual", "other"))
    np.testing.assert_array_equal(usual.impressions.label, other.impressions.label)
    for mine, theirs in ((usual.catalog.users, other.catalog.users), (usual.catalog.ads, other.catalog.ads)):
        assert mine.rows == theirs.rows
        np.testing.assert_array_equal(mine.dense, theirs.dense)
    assert not [one for one in other.report.malformed if one.file != "interactions.csv"]


def test_a_feature_row_that_is_no_text_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tiny(tmp_path / "log").parent / "user_features_pure.csv"
    before = reader("kuairand")(path.parent).report.malformed
    head, first, second, *rest = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([head, first + b"\xff", second + b",\xfe", *rest, b""]))
    found = {one.kind: one.lines for one in reader("kuairand")(path.parent).report.malformed if one not in before}
    assert found["not plain text"] == (2,)
    assert 3 in found["wrong number of columns"]
    assert capfd.readouterr() == ("", "")


def test_features_all_of_a_wrong_width_say_so(tmp_path: Path) -> None:
    """As R's ``write.table(sep = ",")`` leaves them: the header has one column less than the rows."""
    path = tiny(tmp_path / "log").parent / "user_features_pure.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *(f'"{i}",{line}' for i, line in enumerate(lines, 1))]) + "\n", encoding="utf-8")
    said = r"no well-formed row: wrong number of columns: \d+ rows \(lines 2, 3, 4, ...\); R's write.table"
    with pytest.raises(ValueError, match=said):
        reader("kuairand")(path.parent)


def test_a_file_of_which_most_rows_are_malformed_is_refused(tmp_path: Path) -> None:
    log = tiny(tmp_path / "log")
    path = log.parent / "user_features_pure.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    most = [f"u{line}" if i % 3 else line for i, line in enumerate(lines)]
    path.write_text("\n".join([head, *most]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"of \d+ rows are malformed, must be at most half of them: not a number"):
        reader("kuairand")(log.parent)


def test_features_of_which_no_row_can_be_used_say_why(tmp_path: Path) -> None:
    log = tiny(tmp_path / "log")
    path = log.parent / "user_features_pure.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *("u" + line for line in lines)]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pure.csv: no well-formed row: not a number: 6\d rows \(lines 2, 3, 4"):
        reader("kuairand")(log.parent)


def test_what_r_writes_for_round_numbers_is_read(tmp_path: Path) -> None:
    """R spells 1650844800000 as 1.6508448e+12, and loses nothing."""
    log = tiny(tmp_path / "log")
    change(log, 4, lambda cell: cell[:8] + "00000" if cell.isdigit() else cell)
    plain = reader("kuairand")(log.parent)
    change(log, 4, lambda cell: np.format_float_scientific(float(cell), trim="-") if cell.isdigit() else cell)
    assert "e+12" in log.read_text(encoding="utf-8")
    same(plain, reader("kuairand")(log.parent))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (gzip.compress, r"gzipped, its name must end in \.gz"),
        (lambda raw: b"PK\x03\x04" + raw, "a zip archive or an Excel workbook"),
        (lambda raw: raw.decode(errors="replace").encode("utf-16"), "UTF-16, must be UTF-8"),
        (lambda raw: raw.replace(b"\n", b"\r"), "lines end in carriage returns alone"),
        (lambda raw: raw.replace(b"_id", b"id", 1), "no column 'user_id' in its header; did you mean 'userid'"),
        (lambda raw: raw.split(b"\n")[0] + b"\n", "no rows, must hold at least one below its header"),
        (lambda raw: b"", "not readable \\(empty, not even a header\\)"),
        (lambda raw: b"\n" + raw, "no column 'user_id' in its header"),
        (lambda raw: raw.replace(b",", b" "), "no column 'user_id' in its header"),
    ],
)
@pytest.mark.parametrize("file", ["log_standard_4_25_to_5_08_pure.csv", "video_features_basic_pure.csv"])
def test_a_file_that_is_no_text_of_ours_is_named(
    file: str, written: Callable[[bytes], bytes], said: str, tmp_path: Path
) -> None:
    path = tiny(tmp_path / "log").parent / file
    path.write_bytes(written(path.read_bytes()))
    wanted = said.replace("user", "video") if "video" in file else said
    with pytest.raises(ValueError, match=f"{file}: .*{wanted}"):
        reader("kuairand")(path.parent)
