"""RecSys Challenge 2017 -> Catalog and Impressions: job postings shown to users of XING (2017.recsyschallenge.com).

Published layout, tab-separated without quotes: ``interactions.csv`` (user_id, item_id, interaction_type, created_at),
``users.csv`` and ``items.csv`` (lists of ids with commas between them); some exports put the table's name before each
column (``recsyschallenge_v2017_users_final_anonym_export_unique.id``), which is cut off. ``targetUsers.csv`` and
``targetItems.csv`` name whom and what the challenge's last week was about; they hold no outcome and are not read. The
data are not at hand: this reader is tested on made-up files in that layout alone.

An interaction is of type 0 (shown), 1 (clicked), 2 (bookmarked), 3 (replied), 4 (deleted) or 5 (a recruiter of the
item's company showed interest in the user). There are no labels: impressions and clicks are rows of their own.

- A type 1 to 3 row belongs to the latest type 0 row of the same user and item at or before it, if that is no more than
  ``label_wait`` ago; that impression's label is 1. So each impression is a row with one label, known when it is ready;
  a later click is a lost label. Raise ``label_wait`` (a day, say) for late clicks.
- Clicks without such an impression make no row: they are counted, and nothing else.
- Type 5 is what somebody else did, and later. Neither it nor type 4 ever touches a label or a feature.
- **A warning.** Public scripts make each pair one row and keep its strongest interaction, or add clicks that were never
  shown as positives. Then the time of a row, or its mere presence, tells its label: a pair that is clicked later is
  positive from its first impression on, and never-shown positives come at other times and places than negatives. An AUC
  far above 0.8 on these data is a sign of that before it is a sign of a good model.

What is kept are the last four weeks (UTC); the test is the last of them. Earlier clicks, bookmarks and replies make the
history, as of ``label_wait`` before the first day kept; it does not grow after that, as with KuaiRand. Of a list the
first entry is taken. There is no money in it: every bid is 1 and nothing is paid.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from simulator.datasets.delimited import Chunk, integers, one_file, reals, reasons, scan
from simulator.datasets.features import Ids, Side, read_side, standard
from simulator.datasets.history import Latest
from simulator.datasets.log import (
    ROW,
    Days,
    LogStream,
    RealLog,
    Report,
    calendar_dates,
    calendar_days,
    checked_wait,
    found_by,
    mostly,
)
from simulator.datasets.spill import Intake, Rows, Spill, narrowed
from simulator.records import DAY, PAD, Catalog, Flags, History

POSSIBLE = (20100101, 20201231)
"""Days outside which a time cannot be meant; the release says no more than that its clock is Unix time."""
KEPT_DAYS = 28
"""Days of impressions that are kept, the last ones."""
TEST_DAYS = 7
FEW = 0.1
"""Share of the impressions up to which those beyond a gap of a week are taken for a mistake."""
HISTORY = 20
"""Earlier clicks, bookmarks and replies kept per user, the latest ones."""
SHOWN, WANTED, DELETED, RECRUITER = 0, (1, 2, 3), 4, 5
PARTS = 64
"""Parts in which impressions and clicks are joined; a user is in one of them, and memory holds one at a time."""

_EVENT = np.dtype([("user", np.int32), ("ad", np.int32), ("second", np.int64), ("type", np.int8)])
_USER_LISTS = ("jobroles", "edu_fieldofstudies")
_USER_CODES = (
    "jobroles", "career_level", "discipline_id", "industry_id", "country", "region", "experience_n_entries_class",
    "experience_years_experience", "experience_years_in_current", "edu_degree", "edu_fieldofstudies", "wtcj", "premium",
)  # fmt: skip
_ITEM_LISTS = ("title", "tags")
_ITEM_CODES = (
    "title", "career_level", "discipline_id", "industry_id", "country", "is_payed", "region", "employment", "tags",
)  # fmt: skip


def read_recsys2017(path: str | Path, *, label_wait: int = 1800) -> RealLog:
    """Read the RecSys Challenge 2017 from a folder.

    Args:
        path: folder with ``interactions.csv``, ``users.csv`` and ``items.csv``, each gzipped or not.
        label_wait: seconds after an impression within which a click counts as its click, and from which its label may
            be seen.

    Raises:
        ValueError: one line that names the file, if one is missing, empty, damaged or lacks a column.
    """
    with stream_recsys2017(path, label_wait=label_wait) as stream:
        return stream.whole()


@contextmanager
def stream_recsys2017(path: str | Path, *, label_wait: int = 1800) -> Iterator[LogStream]:
    """The same log for one that does not fit into memory: catalog first, impressions in blocks. Arguments as above."""
    checked_wait(label_wait)
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(f"path == {str(path)!r}, must be a folder with interactions.csv")
    text: dict[str, Any] = {"delimiter": "\t", "quotes": False}
    users, found_users = read_side(one_file(folder, "users.csv"), "id", _USER_CODES, (), lists=_USER_LISTS, **text)
    items, found_items = read_side(
        one_file(folder, "items.csv"), "id", _ITEM_CODES, ("latitude", "longitude", "created_at"),
        lists=_ITEM_LISTS, signed=("latitude", "longitude"), **text,
    )  # fmt: skip
    log = one_file(folder, "interactions.csv")
    with tempfile.TemporaryDirectory(prefix="cs3bench-") as scratch:
        intake = Intake(Path(scratch), _EVENT, [log])
        shown_days = _merged(_take(intake, chunk, users.ids, items.ids) for chunk in scan([log], _COLUMNS, "\t"))
        if not shown_days:
            why = reasons(found_by(intake, log))
            raise ValueError(f"{log}: no well-formed impression (interaction_type 0), must hold at least one: {why}")
        last = _last_day(log, shown_days)
        first = last + 1 - KEPT_DAYS
        shown, wanted = Spill(Path(scratch) / "shown", ROW), Spill(Path(scratch) / "wanted", _EVENT)
        earlier, aside = _join(intake, shown, wanted, first, label_wait)
        test_date = int(calendar_dates(np.array([last + 1 - TEST_DAYS]))[0])
        days = Days(Path(scratch) / "days", test_date)
        for day in shown.buckets:
            days.add(day, shown.load(day))
            shown.forget(day)
        found_log = found_by(intake, log)
        mostly(log, found_log, intake.rows)
        latest = _latest(wanted, len(users.ids))
        yield LogStream(
            catalog=_catalog(users, items, latest, days.base_ctr),
            days=days,
            label_wait=label_wait,
            report=Report(
                rows=intake.rows,
                malformed=(*found_users, *found_items, *found_log),
                duplicates=intake.duplicates,
                earlier=earlier,
                kept=len(days.rows),
                click_rate=days.click_rate,
                history_source="log" if len(wanted) else "none",
                aside=aside,
            ),
        )


class _Day(NamedTuple):
    """Impressions of a day.

    Attributes:
        rows: how many.
        line: of the first.
    """

    rows: int
    line: int


_COLUMNS = ("user_id", "item_id", "interaction_type", "created_at")


def _take(intake: Intake, chunk: Chunk, users: Ids, items: Ids) -> dict[int, _Day]:
    """Judge a chunk of the log -> its impressions by day."""
    parsed = [integers(cell) for cell in chunk.cells]
    user_id, item_id, kind, second = (values for values, _ in parsed)
    user, item = users.rows(user_id), items.rows(item_id)
    day = second // DAY
    first, last = calendar_days(np.array(POSSIBLE)).tolist()
    flaws = {
        "not a whole number": ~np.logical_and.reduce([good for _, good in parsed]),
        "unknown user_id": user == PAD,
        "unknown item_id": item == PAD,
        "interaction_type not 0 to 5": (kind < SHOWN) | (kind > RECRUITER),
        f"created_at not in {POSSIBLE[0]} to {POSSIBLE[1]}": (day < first) | (day > last),
    }
    columns: dict[str, npt.NDArray[Any]] = {"user": user, "ad": item, "second": second, "type": kind}
    intake.take(chunk, flaws, user.astype(np.int64) % PARTS, columns)
    shown = ~np.logical_or.reduce(list(flaws.values())) & (kind == SHOWN)
    days, first_of, rows = np.unique(day[shown], return_index=True, return_counts=True)
    lines = chunk.line[chunk.whole][shown][first_of]
    return {d: _Day(n, line) for d, n, line in zip(days.tolist(), rows.tolist(), lines.tolist(), strict=True)}


def _merged(chunks: Iterable[dict[int, _Day]]) -> dict[int, _Day]:
    found: dict[int, _Day] = {}
    for chunk in chunks:
        for day, one in chunk.items():
            before = found.get(day, _Day(0, one.line))
            found[day] = _Day(before.rows + one.rows, before.line)
    return found


def _last_day(log: Path, shown: dict[int, _Day]) -> int:
    """The day from which the days that are kept are counted back.

    Raises:
        ValueError: if a few impressions come long after all others, by a wrong date: they would be all that is tested.
    """
    days = sorted(shown)
    after = 0
    for before, day in reversed(list(pairwise(days))):
        after += shown[day].rows
        if day - before > TEST_DAYS and after <= FEW * sum(one.rows for one in shown.values()):
            from_, to = calendar_dates(np.array([before, day])).tolist()
            more = f" and {after - 1} more" if after > 1 else ""
            raise ValueError(
                f"{log}: created_at of line {shown[day].line}{more} is {day - before:,} days after the impression"
                f" before ({from_} to {to}), must be put right or left out: the {KEPT_DAYS} days kept end with the last"
            )
    return days[-1]


def _join(intake: Intake, shown: Spill, wanted: Spill, first: int, label_wait: int) -> tuple[int, dict[str, int]]:
    """Impressions with their labels, by day; clicks for the history, by day; how many were earlier, how many aside."""
    earlier = 0
    counts = np.zeros(4, dtype=np.int64)
    for part in intake.good.buckets:
        events = intake.unique(part)
        intake.good.forget(part)
        events = events[np.lexsort((events["type"], events["second"], events["ad"], events["user"]))]
        impression, click = events["type"] == SHOWN, np.isin(events["type"], WANTED)
        label, joined = joined_labels(events, label_wait)
        counts += [
            int(joined.sum()),
            int((click & ~joined).sum()),
            int((events["type"] == DELETED).sum()),
            int((events["type"] == RECRUITER).sum()),
        ]
        day = events["second"] // DAY
        kept = impression & (day >= first)
        earlier += int((impression & ~kept).sum())
        rows = np.zeros(int(kept.sum()), dtype=ROW)
        rows["user"], rows["ad"], rows["label"] = events["user"][kept], events["ad"][kept], label[kept]
        rows["ms"], rows["date"] = events["second"][kept] * 1000, calendar_dates(day[kept])
        shown.add(day[kept], rows)
        ready = (events["second"] + label_wait) // DAY
        old = narrowed(events[click & (ready < first)], _EVENT)
        wanted.add(old["second"] // DAY, old)
    names = (
        "click, bookmark or reply within label_wait of an impression",
        "click, bookmark or reply without such an impression",
        "deletion",
        "interest of a recruiter",
    )
    return earlier, dict(zip(names, counts.tolist(), strict=True))


def joined_labels(events: Rows, label_wait: int) -> tuple[Flags, Flags]:
    """Clicks to impressions.

    Args:
        events: rows with ``user``, ``ad``, ``second`` and ``type`` [n], sorted by these.
        label_wait: seconds.

    Returns:
        bool [n], impressions that were clicked; bool [n], clicks that belong to an impression.
    """
    shown = events["type"] == SHOWN
    # Place of the latest impression so far; it may be another pair's.
    place = np.maximum.accumulate(np.where(shown, np.arange(events.size), PAD)) if events.size else np.zeros(0, int)
    before = events[place]
    same = (place >= 0) & (before["user"] == events["user"]) & (before["ad"] == events["ad"])
    joined = np.isin(events["type"], WANTED) & same & (events["second"] - before["second"] <= label_wait)
    label = np.zeros(events.size, dtype=bool)
    label[place[joined]] = True
    return label, joined


def _latest(wanted: Spill, users: int) -> Latest:
    latest = Latest(users, HISTORY)
    for day in wanted.buckets:
        rows = wanted.load(day)
        rows = rows[np.argsort(rows["second"], kind="stable")]
        latest.add(rows["user"], rows["ad"])
    return latest


def _catalog(users: Side, items: Side, latest: Latest, base_ctr: float) -> Catalog:
    place = [items.reals[name] for name in ("latitude", "longitude")]
    level, _ = reals(pa.array(items.values["career_level"].tolist(), pa.string()))
    return Catalog(
        users=users.table("user", _USER_CODES, [np.log1p(latest.seen.astype(np.float64))]),
        ads=items.table("ad", _ITEM_CODES, [*place, -items.reals["created_at"]]),
        context={"hour": 24},
        category=items.codes["discipline_id"],
        categories=int(items.values["discipline_id"].size),
        segment=users.codes["discipline_id"],
        segments=int(users.values["discipline_id"].size),
        # Postings have no price. The career level stands in: what the job pays.
        price=standard(level[items.codes["career_level"]]),
        history=History(items=latest.items[None]),
        base_ctr=base_ctr,
    )
