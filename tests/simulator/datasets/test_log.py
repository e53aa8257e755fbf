"""What all readers share: a stream and the whole are one log, memory holds a day of it, names are looked up late."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from simulator.datasets import READERS, reader
from simulator.datasets.history import Latest
from simulator.datasets.kuairand import stream_kuairand
from simulator.datasets.log import calendar_dates, calendar_days
from simulator.datasets.recsys2017 import stream_recsys2017
from simulator.datasets.spill import Spill
from simulator.datasets.taobao_ad import stream_taobao_ad
from simulator.records import concatenate
from tests.data import make_kuairand_tiny, make_recsys2017_tiny, make_taobao_ad_tiny

LOGS = {
    "kuairand": (stream_kuairand, make_kuairand_tiny.FOLDER),
    "taobao-ad": (stream_taobao_ad, make_taobao_ad_tiny.FOLDER),
    "recsys2017": (stream_recsys2017, make_recsys2017_tiny.FOLDER),
}


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("rows", [1, 37, 100_000])
def test_the_blocks_of_a_stream_are_the_log(name: str, rows: int) -> None:
    stream, folder = LOGS[name]
    whole = reader(name)(folder)
    with stream(folder) as log:
        blocks = list(log.blocks(rows))
        assert log.report == whole.report
        assert log.catalog.base_ctr == whole.base_rate
    assert max(len(b.impressions) for b in blocks) <= rows
    joined = concatenate([b.impressions for b in blocks])
    for f in fields(joined):
        np.testing.assert_array_equal(getattr(joined, f.name), getattr(whole.impressions, f.name))
    np.testing.assert_array_equal(np.concatenate([b.test for b in blocks]), whole.test)


def test_a_stream_ends_with_its_context() -> None:
    with (
        stream_taobao_ad(make_taobao_ad_tiny.FOLDER) as log,
        pytest.raises(ValueError, match="rows == 0, must be at least 1"),
    ):
        next(log.blocks(0))
    with pytest.raises(ValueError, match="stream == closed, must be read inside"):
        next(log.blocks())


@pytest.mark.parametrize("make", [make_taobao_ad_tiny, make_recsys2017_tiny, make_kuairand_tiny])
def test_the_tiny_logs_are_what_their_scripts_write(
    make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = {p.name: p.read_bytes() for p in make.FOLDER.iterdir()}  # type: ignore[attr-defined]
    monkeypatch.setattr(make, "FOLDER", tmp_path / "again")
    make.main()  # type: ignore[attr-defined]
    again = {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()}
    assert again.keys() == committed.keys()
    for name, data in again.items():
        assert data == committed[name], name


def test_a_reader_is_found_by_name_and_imported_when_asked_for() -> None:
    assert set(LOGS) == set(READERS)
    with pytest.raises(ValueError, match="data == 'taobao', must name a reader; did you mean 'taobao-ad'"):
        reader("taobao")
    code = "import sys, simulator.datasets; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


MEASURED = """
import resource, sys
from simulator.datasets.taobao_ad import stream_taobao_ad

def peak(folder):
    rows = 0
    with stream_taobao_ad(folder) as log:
        for block in log.blocks(20_000):
            rows += len(block.impressions)
    return rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small, base = peak(sys.argv[1])
large, most = peak(sys.argv[2])
print(small, large, base, most)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Eight times the rows, 4 and 29 MB of text: the peak may grow by half the text (a day of impressions, sorted)."""
    folders = []
    for name, rows in (("small", 100_000), ("large", 800_000)):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("ad_feature.csv", "user_profile.csv"):
            (folder / file).write_bytes((make_taobao_ad_tiny.FOLDER / file).read_bytes())
        write_sample(folder / "raw_sample.csv", rows)
        folders.append(str(folder))
    text = (tmp_path / "large" / "raw_sample.csv").stat().st_size
    found = subprocess.run([sys.executable, "-c", MEASURED, *folders], check=True, capture_output=True, text=True)
    small, large, base, most = map(int, found.stdout.split())
    assert large > 7.9 * small
    assert text > 28e6
    assert (most - base) * 1024 < text / 2


def write_sample(path: Path, rows: int) -> None:
    """Rows in the layout of TaobaoAd's log, in no order of time."""
    rng = np.random.default_rng(rows)
    second = make_taobao_ad_tiny.MIDNIGHT + rng.integers(8 * 86_400, size=rows)
    user, ad, click = (
        1000 + rng.integers(100, size=rows),
        500 + 7 * rng.integers(25, size=rows),
        rng.integers(2, size=rows),
    )
    cells = np.stack([user, second, ad, 1 - click, click], axis=1)
    with path.open("w") as file:
        file.write(make_taobao_ad_tiny.SAMPLE + "\n")
        np.savetxt(file, cells, fmt="%d,%d,%d,430539_1007,%d,%d")


def test_latest_is_that_of_all_events_however_they_come() -> None:
    rng = np.random.default_rng(5)
    user, item = rng.integers(6, size=200).astype(np.int32), rng.integers(99, size=200).astype(np.int32)
    latest = Latest(8, 7)
    for cut in np.split(np.arange(200), [0, 1, 5, 90, 120]):
        latest.add(user[cut], item[cut])
    for u in range(8):
        past = item[user == u].tolist()[-7:]
        assert latest.items[u].tolist() == [-1] * (7 - len(past)) + past
        assert latest.seen[u] == (user == u).sum()


def test_a_spill_keeps_the_order_of_a_bucket(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "s", np.dtype([("x", np.int64)]))
    for begin in (0, 10):
        rows = np.arange(begin, begin + 10).astype(np.int64).view([("x", np.int64)])
        spill.add(rows["x"] % 3, rows)
    assert spill.buckets == [0, 1, 2]
    assert spill.load(1)["x"].tolist() == [1, 4, 7, 10, 13, 16, 19]
    spill.forget(1)
    assert (spill.buckets, len(spill), spill.load(1).size) == ([0, 2], 13, 0)


def test_dates_are_those_of_the_calendar() -> None:
    days = np.arange(0, 40_000, 13)
    dates = calendar_dates(days)
    assert dates[:2].tolist() == [19700101, 19700114]
    np.testing.assert_array_equal(calendar_days(dates), days)
    assert (calendar_days(np.array([20221350, 0, -5, 99999999])) < -1_000_000).all()
