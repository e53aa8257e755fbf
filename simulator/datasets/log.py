"""What a reader of a real log returns: one noun for the whole of it, and one for a log that does not fit into memory.

Every reader comes in two forms. ``read_x(path)`` returns a :class:`RealLog`: about 100 bytes per impression, nothing of
the text. ``stream_x(path)`` is a context: it goes through the files once, sorts what it keeps on disk (a temporary
folder, where ``TMPDIR`` says; some 40 bytes per row) and then hands out the catalog, and the impressions in blocks::

    with stream_taobao_ad("taobao") as log:
        for block in log.blocks(100_000):
            model.update(block.impressions)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simulator.datasets.delimited import Malformed, reasons
from simulator.datasets.spill import Intake, Rows, Spill, narrowed
from simulator.records import DAY, Catalog, Flags, Impressions, Ints, Keys

ROW = np.dtype(
    [
        ("user", np.int32),
        ("ad", np.int32),
        ("ms", np.int64),
        ("date", np.int32),
        ("place", np.int8),
        ("label", np.bool_),
    ]
)
"""An impression as it is kept on disk; ``ms`` counts milliseconds since 1970 by the log's own clock, ``place`` is the
code of the context field besides the hour."""
MOST = 0.5
"""Share of a file's rows that may be malformed."""
BLOCK_ROWS = 1 << 17
"""Impressions that a stream hands out at a time."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the reader met; nothing is left out that is not counted here.

    ``rows`` is the sum of ``duplicates``, ``earlier``, ``kept``, of ``aside`` and of the malformed rows of the log.

    Attributes:
        rows: rows of the log files.
        duplicates: rows that equal an earlier one in all columns; dropped.
        earlier: rows before the first day that is kept; used for the history only, if at all.
        kept: rows that became impressions.
        click_rate: share of the kept rows that were clicked.
        history_source: file that the history came from, ``"log"`` if from earlier rows, ``"none"`` without either.
        malformed: rows left out, by file and kind; of all files.
        aside: well-formed rows of the log that are no impressions, by what they are.
        without_features: impressions whose user has no row in the feature file; kept, with blank features.
    """

    rows: int
    duplicates: int
    earlier: int
    kept: int
    click_rate: float
    history_source: str
    malformed: tuple[Malformed, ...]
    aside: Mapping[str, int] = field(default_factory=dict)
    without_features: int = 0

    @property
    def refused(self) -> int:
        """Number of malformed rows over all files."""
        return sum(found.count for found in self.malformed)


@dataclass(frozen=True, kw_only=True)
class RealLog:
    """A real log, or a block of it, in the nouns of the road.

    Attributes:
        catalog: users, ads and the behaviour history.
        impressions: event order; ``request`` counts rows from 0; times count from midnight of the first row's day;
            ``pctr`` and ``logit`` are NaN and ``hidden`` is [n, 0], for no model of ours has seen them; every bid is 1
            and nothing is paid.
        date: int32 [n], the log's own day, YYYYMMDD.
        test_date: first test day.
        report: what the reader met.
    """

    catalog: Catalog
    impressions: Impressions
    date: Keys
    test_date: int
    report: Report

    @property
    def test(self) -> Flags:
        """Rows of the test days: bool [n]."""
        return self.date >= self.test_date

    @property
    def base_rate(self) -> float:
        """Click rate of the fit period, the days before the test; what models start from."""
        return self.catalog.base_ctr


class Days:
    """The impressions of a log on disk, sorted by time, a file per day; and what is counted on the way there."""

    def __init__(self, folder: Path, test_date: int) -> None:
        self.rows = Spill(folder, ROW)
        self.test_date = test_date
        self._shown = np.zeros(2, dtype=np.int64)  # fit, test
        self._clicked = np.zeros(2, dtype=np.int64)

    def add(self, day: int, rows: Rows) -> None:
        """Add the rows of a day, which is called once, in any order; ties keep the order given."""
        ordered = rows[np.argsort(rows["ms"], kind="stable")]
        packed = narrowed(ordered, ROW)
        self.rows.add(np.full(packed.size, day), packed)
        late = (packed["date"] >= self.test_date).astype(np.int64)
        self._shown += np.bincount(late, minlength=2)
        self._clicked += np.bincount(late[packed["label"]], minlength=2)

    @property
    def click_rate(self) -> float:
        """Share of all rows that were clicked."""
        return float(self._clicked.sum() / self._shown.sum())

    @property
    def base_ctr(self) -> float:
        """Click rate of the fit period, of the whole log if it has none; within [0.001, 0.999]."""
        rate = self._clicked[0] / self._shown[0] if self._shown[0] else self.click_rate
        return float(np.clip(rate, 0.001, 0.999))

    @property
    def origin(self) -> int:
        """Midnight of the first row's day, seconds since 1970 by the log's own clock."""
        return self.rows.buckets[0] * DAY


@dataclass(frozen=True, kw_only=True)
class LogStream:
    """A log whose impressions lie on disk. Lives as long as the context that gave it.

    Attributes:
        catalog: as in :class:`RealLog`.
        report: of the whole log.
        days: the impressions.
        label_wait: seconds after an impression from which its label may be seen.
    """

    catalog: Catalog
    report: Report
    days: Days
    label_wait: int

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[RealLog]:
        """The log in event order, at most ``rows`` impressions at a time; catalog and report are those of the whole.

        Raises:
            ValueError: if ``rows`` is not positive, or after the context was left.
        """
        if rows < 1:
            raise ValueError(f"rows == {rows}, must be at least 1")
        done = 0
        for day in self.days.rows.buckets:
            for part in self.days.rows.slices(day, rows):
                yield self._log(part, done)
                done += part.size

    def whole(self) -> RealLog:
        """The log as one."""
        rows = np.empty(len(self.days.rows), dtype=ROW)
        done = 0
        for day in self.days.rows.buckets:
            part = self.days.rows.load(day)
            rows[done : done + part.size] = part
            done += part.size
        return self._log(rows, 0)

    def _log(self, rows: Rows, begin: int) -> RealLog:
        fields = len(self.catalog.context)
        return RealLog(
            catalog=self.catalog,
            impressions=impressions(rows, begin, self.days.origin, self.label_wait, fields),
            date=rows["date"].copy(),
            test_date=self.days.test_date,
            report=self.report,
        )


def impressions(rows: Rows, begin: int, origin: int, label_wait: int, fields: int) -> Impressions:
    """Rows of :data:`ROW` [n] as impressions.

    Args:
        rows: in event order.
        begin: number of the first request.
        origin: seconds since 1970 at which time 0 is.
        label_wait: seconds.
        fields: context fields: 1 for the hour alone, 2 with ``place``.
    """
    n = rows.size
    time = rows["ms"] // 1000 - origin
    context = [(time % DAY // 3600).astype(np.int32), rows["place"].astype(np.int32)][:fields]
    return Impressions(
        request=np.arange(begin, begin + n, dtype=np.int64),
        user=rows["user"].copy(),
        ad=rows["ad"].copy(),
        slot=np.zeros(n, dtype=np.int8),
        time=time,
        context=np.stack(context, axis=1),
        explored=np.zeros(n, dtype=bool),
        bid=np.ones(n),
        price=np.zeros(n),
        paid=np.zeros(n),
        pctr=np.full(n, np.nan, dtype=np.float32),
        logit=np.full(n, np.nan, dtype=np.float32),
        hidden=np.zeros((n, 0), dtype=np.float16),
        ready_at=time + label_wait,
        label=rows["label"].copy(),
    )


def found_by(intake: Intake, path: object) -> tuple[Malformed, ...]:
    """The malformed rows of a log that has rows at all.

    Raises:
        ValueError: if there is none below the header.
    """
    if intake.rows == 0:
        raise ValueError(f"{path}: no rows, must hold at least one below its header")
    return tuple(intake.malformed())


def mostly(path: Path, found: Sequence[Malformed], rows: int) -> None:
    """Refuse a file of whose ``rows`` more than half are malformed: it is not written as its reader takes it.

    Raises:
        ValueError: one line with the reasons.
    """
    count = sum(one.count for one in found)
    if count > MOST * rows:
        raise ValueError(
            f"{path}: {count:,} of {rows:,} rows are malformed, must be at most half of them: {reasons(found)}"
        )


def checked_wait(label_wait: int) -> int:
    """``label_wait`` if it is one.

    Raises:
        ValueError: if it is negative.
    """
    if label_wait < 0:
        raise ValueError(f"label_wait == {label_wait}, must be at least 0 seconds")
    return label_wait


def calendar_days(date: Ints) -> Ints:
    """Days since 1970 of YYYYMMDD [n]; a date that no calendar holds is far from all others."""
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    real = (year >= 1970) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = (np.where(real, year, 1970) - 1970) * 12 + np.where(real, month, 1) - 1
    return np.where(real, months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1, -(1 << 40))


def calendar_dates(day: Ints) -> Ints:
    """YYYYMMDD of days since 1970 [n]; the inverse of :func:`calendar_days`."""
    date = day.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    months = month.astype(np.int64)
    of_month: Ints = (date - month).astype(np.int64) + 1
    return (months // 12 + 1970) * 10_000 + (months % 12 + 1) * 100 + of_month
