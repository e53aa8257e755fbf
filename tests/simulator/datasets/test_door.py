"""What a reader returned is checked before any model is built on it: each fault is one line with its row and value."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.datasets import READERS
from simulator.datasets.door import checked, read_log
from simulator.datasets.log import RealLog
from simulator.records import DAY
from tests.data import make_kuairand_tiny, make_recsys2017_tiny, make_taobao_ad_tiny
from tests.simulator.datasets.made_up import at, made_up, with_

LOG = made_up()
TINY = {"kuairand": make_kuairand_tiny, "recsys2017": make_recsys2017_tiny, "taobao-ad": make_taobao_ad_tiny}


def ms(log: RealLog, scale: int, **dates: Any) -> RealLog:
    """The log by a clock of another unit."""
    times = {name: getattr(log.impressions, name) * scale for name in ("time", "ready_at")}
    return replace(log, impressions=replace(log.impressions, **times), **dates)


def alone(log: RealLog, date: int, days: int) -> RealLog:
    """The log with its last row some days later, on ``date``."""
    moved = at(at(log, "impressions.time", -1, days * DAY), "impressions.ready_at", -1, days * DAY + 9)
    return at(moved, "date", -1, date)


FAULTS = {
    "blank user": (at(LOG, "impressions.user", 50, -1), r"impressions.user\[50\] == -1, must be 0 to 11; .*factorize"),
    "user beyond": (at(LOG, "impressions.user", 3, 12), r"impressions.user\[3\] == 12, must be 0 to 11"),
    "ad beyond": (at(LOG, "impressions.ad", 0, 8), r"impressions.ad\[0\] == 8, must be 0 to 7"),
    "hour beyond": (at(LOG, "impressions.context", (7, 0), 24), r"context of 'hour'\[7\] == 24, must be 0 to 23"),
    "blank feature": (
        at(LOG, "catalog.users.codes.kind", 2, -1),
        r"catalog.users.codes\['kind'\]\[2\] == -1, must be 0",
    ),
    "ids unordered": (at(LOG, "catalog.ads.codes.ad", [0, 1], [1, 0]), r"codes\['ad'\]\[0\] == 1, must be 0, 1, 2"),
    "sizes lack one": (with_(LOG, "catalog.users.sizes", {"user": 12}), "must have 'user' and the names of codes"),
    "no id": (with_(LOG, "catalog.ads.codes", {"kind": np.zeros(8, np.int32)}), "must have 'ad' and the names"),
    "blank category": (at(LOG, "catalog.category", 5, -1), r"catalog.category\[5\] == -1, must be 0 to 2"),
    "blank segment": (at(LOG, "catalog.segment", 5, -1), r"catalog.segment\[5\] == -1, must be 0 to 1"),
    "dense nan": (at(LOG, "catalog.users.dense", (4, 1), np.nan), r"users.dense\[4, 1\] == nan, must be finite"),
    "dense inf": (at(LOG, "catalog.ads.dense", (0, 0), np.inf), r"ads.dense\[0, 0\] == inf, must be finite"),
    "dense too large": (at(LOG, "catalog.ads.dense", (0, 0), 1e300, float), r"ads.dense\[0, 0\] == 1e\+300, must fit"),
    "dense not standardised": (
        at(LOG, "catalog.ads.dense", (3, 0), 1e6),
        r"ads.dense\[3, 0\] == 1000000.0, must be within 10000 of 0: standardise",
    ),
    "price not standardised": (at(LOG, "catalog.price", 2, -2e4), r"price\[2\] == -20000.0, must be within 10000 of 0"),
    "slot beyond": (at(LOG, "impressions.slot", 4, 64), r"impressions.slot\[4\] == 64, must be 0 to 63"),
    "vocabulary beyond memory": (
        with_(LOG, "catalog.ads.sizes", {"ad": 8, "kind": 2**31 - 1}),
        r"ads.sizes\['kind'\] == 2147483647, must be lower: at least 137.4 GB are needed",
    ),
    "microseconds since 1970 on one date": (
        replace(
            LOG,
            date=np.full(300, 20_220_501),
            impressions=replace(LOG.impressions, time=(LOG.impressions.time + 1_650_844_800) * 10**6),
        ),
        r"must be seconds from 0 to 4294967296 \(in microseconds\?\)",
    ),
    "minutes": (
        replace(LOG, impressions=replace(LOG.impressions, time=LOG.impressions.time // 60)),
        r"dates span 9 days, the times 0.2 days \(in minutes\?\)",
    ),
    "price nan": (at(LOG, "catalog.price", 1, np.nan), r"catalog.price\[1\] == nan"),
    "fewer features": (
        with_(LOG, "catalog.segment", np.zeros(11, np.int32)),
        r"segment.shape == \(11,\), must be \(12",
    ),
    "one user": (made_up(users=1), "catalog.users has 1 rows, must have at least 2"),
    "one ad": (made_up(ads=1), "catalog.ads has 1 rows, must have at least 2"),
    "history beyond": (
        at(LOG, "catalog.history.items", (0, 0, 0), 8),
        r"history.items\[0, 0, 0\] == 8, must be -1 to 7",
    ),
    "history of none": (with_(LOG, "catalog.history.items", np.zeros((0, 12, 2), np.int32)), "must have a day and a"),
    "base rate nan": (with_(LOG, "catalog.base_ctr", float("nan")), "base_ctr == nan, must be a rate from 0"),
    "categories a float": (with_(LOG, "catalog.categories", 3.0), "categories == 3.0, must be a whole number"),
    "click nan": (at(LOG, "impressions.label", 9, np.nan, float), r"impressions.label\[9\] == nan, must be 0 or 1"),
    "click 2": (at(LOG, "impressions.label", 9, 2, int), r"impressions.label\[9\] == 2, must be 0 or 1"),
    "click a word": (with_(LOG, "impressions.label", np.array(["yes"] * 300)), r"label.dtype == <U3, must be bool"),
    "all clicked": (
        with_(LOG, "impressions.label", np.ones(300, bool)),
        "label is True in all 300 rows, must be True in some",
    ),
    "none clicked": (with_(LOG, "impressions.label", np.zeros(300, int)), "label is False in all 300 rows"),
    "time goes back": (
        at(LOG, "impressions.time", 17, 0),
        r"impressions.time\[17\] == 0, must come after the row before",
    ),
    "time negative": (at(LOG, "impressions.time", 0, -5), r"impressions.time\[0\] == -5, must be seconds from 0"),
    "time a float": (
        with_(LOG, "impressions.time", LOG.impressions.time / 1.0),
        "time.dtype == float64, must be int64",
    ),
    "time nan": (at(LOG, "impressions.time", 4, np.nan, float), r"impressions.time\[4\] == nan, must be whole"),
    "time a date": (
        with_(LOG, "impressions.time", LOG.impressions.time.astype("M8[s]")),
        r"time.dtype == datetime64\[s\]",
    ),
    "time beyond int64": (
        at(LOG, "impressions.time", -1, 2**64 - 1, np.uint64),
        r"time\[299\] == 18446744073709551615, must fit",
    ),
    "milliseconds": (ms(LOG, 1000), r"dates span 9 days, the times 27 years \(in milliseconds\?\)"),
    "microseconds": (ms(LOG, 10**6), r"impressions.time\[\d+\] == .*\(in microseconds\?\)"),
    "milliseconds since 1970": (
        with_(
            with_(LOG, "impressions.time", 1_650_844_800_000 + LOG.impressions.time * 1000),
            "impressions.ready_at",
            1_650_844_801_800 + LOG.impressions.time * 1000,
        ),
        r"time\[0\] == 1650844800000, must be seconds from 0 to 4294967296 \(in milliseconds\?\)",
    ),
    "ready before shown": (
        at(LOG, "impressions.ready_at", 0, -1),
        r"ready_at\[0\] == -1, must be seconds, at or after",
    ),
    "ready goes back": (at(LOG, "impressions.ready_at", 8, 0), r"ready_at\[8\] == 0, must come after the row before"),
    "ready in a century": (
        at(LOG, "impressions.ready_at", -1, 2**62),
        r"ready_at\[299\] == 4611686018427387904, must be",
    ),
    "request twice": (at(LOG, "impressions.request", 6, 5), r"impressions.request\[6\] == 5, must come after"),
    "bid negative": (at(LOG, "impressions.bid", 2, -1.0), r"impressions.bid\[2\] == -1.0, must not be negative"),
    "pctr of 3": (at(LOG, "impressions.pctr", 2, 3.0), r"impressions.pctr\[2\] == 3.0, must be at most 1"),
    "rows differ": (
        with_(LOG, "impressions.ad", LOG.impressions.ad[:-1]),
        r"impressions.ad.shape == \(299,\), must be \(300,\)",
    ),
    "context flat": (
        with_(LOG, "impressions.context", np.zeros(300, np.int32)),
        r"context.shape == \(300,\), must be \(300, 1\)",
    ),
    "no row": (with_(LOG, "impressions", LOG.impressions[:0]), "impressions has no row, must have some"),
    "a list": (
        with_(LOG, "impressions.ad", [0] * 300),
        "impressions.ad is of type list, must be a numpy array of int32",
    ),
    "a series": (with_(LOG, "impressions.ad", pd.Series(LOG.impressions.ad)), "ad is of type Series, must be a numpy"),
    "masked": (with_(LOG, "impressions.ad", np.ma.masked_equal(LOG.impressions.ad, 2)), "is of type MaskedArray"),
    "nothing": (with_(LOG, "impressions.ad", None), "impressions.ad is of type NoneType"),
    "date of no calendar": (at(LOG, "date", 5, 20_220_431), r"date\[5\] == 20220431, must be a day as YYYYMMDD"),
    "date elsewhere": (
        at(LOG, "date", 5, 20_220_601),
        r"date\[5\] == 20220601 at time \d+, must go along with the time",
    ),
    "date far in the future": (
        at(LOG, "date", 5, 542_560_603),
        r"date\[5\] == 542560603, .*\(time in milliseconds\?\)",
    ),
    "no test day": (
        with_(LOG, "test_date", 20_220_601),
        "test_date == 20220601, must leave a row to test on: .* 20220504",
    ),
    "no day before": (
        with_(LOG, "test_date", 20_220_401),
        "must leave a row to learn from: the log begins on 20220425",
    ),
    "test date none": (with_(LOG, "test_date", 20_221_332), "test_date == 20221332, must be a day as YYYYMMDD"),
    "test date a word": (with_(LOG, "test_date", "2022-05-03"), "test_date == '2022-05-03', must be a whole number"),
    "one late row": (
        alone(LOG, 20_250_119, 1000),
        r"time\[299\] is 990.\d days after the row before .* leaves 1 of 300 rows",
    ),
    "one early row": (
        with_(
            with_(LOG, "impressions.time", LOG.impressions.time + np.where(np.arange(300), 50 * 365 * DAY, 0)),
            "impressions.ready_at",
            LOG.impressions.ready_at + np.where(np.arange(300), 50 * 365 * DAY, 0),
        ),
        r"time\[1\] is 50 years after the row before .*, which leaves 1 of 300 rows alone",
    ),
    "report of another": (with_(LOG, "report.kept", 5), "report.kept == 5, must be the number of impressions, 300"),
    "rate nan": (with_(LOG, "report.click_rate", float("nan")), "report.click_rate == nan, must be a rate"),
    "malformed a list": (with_(LOG, "report.malformed", []), "report.malformed is of type list, must be a tuple"),
    "no catalog": (with_(LOG, "catalog", None), "catalog is of type NoneType, must be a simulator.records.Catalog"),
    "a frame": (pd.DataFrame({"user": [1]}), "what it returned is of type DataFrame, must be a simulator.datasets.log"),
    "none at all": (None, "what it returned is of type NoneType"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_with_its_row_and_value(fault: str) -> None:
    log, said = FAULTS[fault]
    with pytest.raises(ValueError, match=said) as error:
        checked(log, "mine:read")
    assert str(error.value).startswith("mine:read: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", TINY)
def test_the_tiny_logs_pass_unchanged(name: str) -> None:
    found = read_log(name, TINY[name].FOLDER, label_wait=1800)
    again = checked(found, name)
    for f in fields(found.impressions):
        mine, theirs = getattr(again.impressions, f.name), getattr(found.impressions, f.name)
        assert mine is theirs or mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_arrays_of_another_make_become_ours() -> None:
    """Read-only, backwards, wider or of the other byte order: what loses nothing is put right."""
    time = LOG.impressions.time.astype(">i8")
    time.setflags(write=False)
    odd = with_(with_(LOG, "impressions.time", time), "impressions.user", LOG.impressions.user.astype(np.int64)[::-1])
    odd = with_(with_(odd, "impressions.label", LOG.impressions.label.astype(np.int64)), "catalog.price", np.zeros(8))
    whole = checked(odd, "mine:read")
    rows = whole.impressions
    assert (rows.time.dtype, rows.user.dtype, rows.label.dtype) == (np.int64, np.int32, np.bool_)
    assert whole.catalog.price.dtype == np.float32
    assert all(array.flags.writeable and array.flags.c_contiguous for array in (rows.time, rows.user, rows.label))
    np.testing.assert_array_equal(rows.time, LOG.impressions.time)
    np.testing.assert_array_equal(rows.user, LOG.impressions.user[::-1])
    np.testing.assert_array_equal(rows.label, LOG.impressions.label)


def raises(path: object, *, label_wait: int) -> None:
    raise KeyError("clicked")


def leaves(path: object, *, label_wait: int) -> None:
    sys.exit("no such table")


def no_wait(path: object) -> None:
    """Takes no label_wait."""


def talks(path: object, *, label_wait: int) -> RealLog:
    print("12 % read")  # noqa: T201
    return LOG


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("mine")
    vars(module).update(raises=raises, leaves=leaves, no_wait=no_wait, talks=talks)
    monkeypatch.setitem(sys.modules, "mine", module)
    return "mine"


def test_whatever_a_reader_raises_is_one_line(mine: str) -> None:
    with pytest.raises(ValueError, match=r"^data == 'mine:raises', its reader raised KeyError: 'clicked' "):
        read_log("mine:raises", ".", label_wait=1)
    with pytest.raises(ValueError, match=r"^data == 'mine:leaves', its reader left with 'no such table'"):
        read_log("mine:leaves", ".", label_wait=1)
    with pytest.raises(ValueError, match=r"^data == 'mine:no_wait', its reader raised TypeError: .*label_wait"):
        read_log("mine:no_wait", ".", label_wait=1)


def test_what_a_reader_prints_is_no_result(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    read_log("mine:talks", ".", label_wait=1)
    assert capsys.readouterr() == ("", "12 % read\n")


def test_our_own_readers_name_the_file(tmp_path: Any) -> None:
    for name in READERS:
        with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
            read_log(name, tmp_path, label_wait=1)


NUMBERS = [f"impressions.{f.name}" for f in fields(LOG.impressions)] + [
    "date", "catalog.category", "catalog.segment", "catalog.price", "catalog.users.dense", "catalog.ads.codes.kind",
    "catalog.history.items",
]  # fmt: skip
ODD = (-1, 0, 1, 2, 255, -(2**31), 2**31, 2**40, 2**62, -0.5, np.nan, np.inf, -np.inf, 1e300)
KINDS = (np.float64, np.float32, np.int64, np.int8, object, "U8")


@st.composite
def damaged(draw: st.DrawFn) -> RealLog:
    """A log of any size with up to three faults."""
    n, days = draw(st.integers(2, 40)), draw(st.integers(1, 12))
    log = made_up(n, draw(st.integers(1, 5)), draw(st.integers(1, 5)), days, draw(st.integers(0, 3)))
    for _ in range(draw(st.integers(0, 3))):
        where = draw(st.sampled_from(NUMBERS))
        array: Any = log
        for name in where.split("."):
            array = array[name] if isinstance(array, dict) else getattr(array, name)
        how = draw(st.sampled_from(["entry", "cut", "kind", "turned", "scaled", "list"]))
        if not isinstance(array, np.ndarray) or array.size == 0 or array.dtype.kind not in "biuf":
            continue
        if how == "entry":
            wide = array.astype(np.float64)
            wide.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(ODD))
            whole = array.dtype.kind in "iu" and np.isfinite(wide).all() and (np.abs(wide) < 2**63).all()
            log = with_(log, where, wide.astype(np.int64) if whole else wide)
        elif how == "kind":
            with np.errstate(all="ignore"):
                log = with_(log, where, np.nan_to_num(array).astype(draw(st.sampled_from(KINDS))))
        else:
            scaled = array.astype(np.float64 if array.dtype.kind == "f" else np.int64) * 1000
            changed = {"cut": array[1:], "turned": array[::-1], "scaled": scaled, "list": array.tolist()}
            log = with_(log, where, changed[how])
    return log


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_a_log_is_accepted_and_finite_or_refused_in_one_line(log: RealLog) -> None:
    try:
        found = checked(log, "mine:read")
    except ValueError as error:
        said = str(error)
    else:
        said, log = "", found
    if said:
        assert re.fullmatch(r"mine:read: [^\n]+ (must|leaves) [^\n]+", said)
        return
    rows, catalog = log.impressions, log.catalog
    assert (rows.user >= 0).all()
    assert (rows.user < catalog.users.rows).all()
    assert (rows.ad < catalog.ads.rows).all()
    assert (np.diff(rows.time) >= 0).all()
    assert (rows.ready_at >= rows.time).all()
    assert 0 < rows.label.sum() < len(rows)
    assert 0 < log.test.sum() < len(rows)
    for array in (catalog.users.dense, catalog.ads.dense, catalog.price, rows.bid):
        assert np.isfinite(array).all()
