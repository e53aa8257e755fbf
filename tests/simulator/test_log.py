"""The log: rows of the placed ads, labels that wait, Parquet there and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.log import LabelQueue, read_parquet, write_parquet
from simulator.records import Impressions, Ledger, concatenate


def rows(n: int, *, hidden: int = 4, ready: Any = None, **given: Any) -> Impressions:
    """A log of ``n`` made-up rows; ``given`` fixes a column to a value."""
    rng = np.random.default_rng(n)
    ready_at = np.arange(n, dtype=np.int64) * 10 if ready is None else np.asarray(ready, dtype=np.int64)
    columns: dict[str, np.ndarray] = {
        "request": np.arange(n, dtype=np.int64),
        "user": rng.integers(0, 50, n).astype(np.int32),
        "ad": rng.integers(0, 20, n).astype(np.int32),
        "slot": rng.integers(0, 4, n).astype(np.int8),
        "time": ready_at - 5,
        "context": rng.integers(0, 3, (n, 2)).astype(np.int32),
        "explored": rng.random(n) < 0.1,
        "bid": rng.lognormal(size=n),
        "price": rng.lognormal(size=n),
        "paid": rng.lognormal(size=n),
        "pctr": rng.random(n).astype(np.float32),
        "logit": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)).astype(np.float32),
        "hidden": rng.normal(size=(n, hidden)).astype(np.float16),
        "ready_at": ready_at,
        "label": rng.random(n) < 0.3,
    }
    for name, value in given.items():
        columns[name] = np.full_like(columns[name], value)
    return Impressions(**columns)


def same(a: Any, b: Any) -> bool:
    return all(
        np.array_equal(x, y, equal_nan=x.dtype.kind == "f") and x.dtype == y.dtype
        for x, y in ((getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    )


class TestLabelQueue:
    @given(
        st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=6),
        st.lists(st.integers(0, 200), min_size=1, max_size=8),
    )
    def test_each_row_once_in_order_and_never_before_its_time(self, gaps, nows):
        queue, put, ready = LabelQueue(), [], 0
        for gap in gaps:
            times = ready + np.cumsum(np.array(gap, dtype=np.int64))
            ready = int(times[-1]) if gap else ready
            put.append(rows(len(gap), ready=times))
            queue.put(put[-1])
        everything = concatenate(put) if put else rows(0)
        taken: list[Impressions] = []
        for now in sorted(nows):
            out = queue.matured(now)
            if out is not None:
                assert out.ready_at.max() <= now
                taken.append(out)
            n = int((everything.ready_at <= now).sum())
            got = concatenate([rows(0), *taken])
            assert same(got, everything[:n])

    def test_nothing_ready(self):
        queue = LabelQueue()
        assert queue.matured(10**9) is None
        queue.put(rows(3, ready=[5, 6, 7]))
        assert queue.matured(4) is None
        assert len(queue.matured(5) or []) == 1


class TestParquet:
    @pytest.mark.parametrize(("n", "hidden"), [(0, 4), (1, 4), (1000, 64), (50, 0)])
    def test_there_and_back(self, tmp_path, n, hidden):
        log = rows(n, hidden=hidden)
        write_parquet(log, tmp_path / "log.parquet")
        assert same(read_parquet(Impressions, tmp_path / "log.parquet"), log)
        assert [p.name for p in tmp_path.iterdir()] == ["log.parquet"]

    def test_a_ledger_too(self, tmp_path):
        n = 10
        ledger = Ledger(
            true_ctr=np.linspace(0, 1, n, dtype=np.float32),
            examine_p=np.ones(n, dtype=np.float32),
            examined=np.arange(n) % 2 == 0,
            click=np.arange(n) % 4 == 0,
            value=np.arange(n, dtype=float),
        )
        write_parquet(ledger, tmp_path / "ledger.parquet")
        assert same(read_parquet(Ledger, tmp_path / "ledger.parquet"), ledger)

    def test_equal_logs_make_equal_bytes(self, tmp_path):
        for name in ("a", "b"):
            write_parquet(rows(100), tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_missing_and_damaged_files_are_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"^.*gone\.parquet: not a readable Parquet file"):
            read_parquet(Impressions, tmp_path / "gone.parquet")
        (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
        with pytest.raises(ValueError, match=r"^.*bad\.parquet: not a readable Parquet file"):
            read_parquet(Impressions, tmp_path / "bad.parquet")


def test_rows_are_taken_and_joined_by_record():
    log = rows(10)
    assert same(log[2:5] + log[5:10], log[2:10])
    assert same(log[log.label], log[np.flatnonzero(log.label)])
    with pytest.raises(ValueError, match=r"^records == \[\], must hold at least one$"):
        concatenate([])
