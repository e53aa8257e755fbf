"""KuaiRand -> Catalog and Impressions: real short-video exposures, clicked or not (Gao et al., CIKM 2022).

The "standard" log of 25 April to 8 May 2022 with its user and video features, in any of the three published layouts:
Pure, 1K and 27K (README of github.com/chongminggao/KuaiRand; the columns are the same in all, 27K's log comes in two
parts each). Which one it is follows from the files in the folder. A user is a user, a video is an ad, an exposure is a
request of its own with one impression in slot 0. There is no money in it: every bid is 1 and nothing is paid.
Measured on Pure; 1K and 27K are tested on their layout alone, on made-up files.

What is read of the log is known at the exposure or is the label: user, video, date, time, tab and ``is_click``. The
columns that happen afterwards (likes, play time, stays, ``long_view``) are never parsed; rows that are equal in all
columns, and only those, are dropped as duplicates. Vocabularies and scales of features come from the feature files
alone, never from the log. Two kinds of files are never read: ``video_features_statistic_*`` averages labels over the
whole month, and ``log_random_*`` was shown by another policy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from simulator.datasets.delimited import (
    WIDTH,
    Chunk,
    Malformed,
    Tally,
    column_blocks,
    files,
    integers,
    one_file,
    reasons,
    scan,
)
from simulator.datasets.features import Ids, Side, log_or_nan, read_side, standard
from simulator.datasets.history import Latest
from simulator.datasets.log import (
    ROW,
    Days,
    LogStream,
    RealLog,
    Report,
    calendar_days,
    checked_wait,
    found_by,
    mostly,
)
from simulator.datasets.spill import Intake
from simulator.records import DAY, PAD, Catalog, Flags, History, Ints, Keys, Money, Table

RELEASED = (20220408, 20220508)
"""First and last day of the release."""
FIRST_DATE = 20220425
"""First day of the log; exposures of earlier days only make the behaviour history."""
TEST_DATE = 20220505
"""First test day. The click rate that models start from is that of the days before it, the fit period."""
UTC8 = 8 * 3600
"""Seconds that the log's days are ahead of UTC."""
HISTORY = 50
"""Earlier exposures kept per user, the latest ones."""
TABS = 15

KuaiRand = RealLog
"""What :func:`read_kuairand` returns. In some 1 % of the rows ``date`` is a day ahead of that of ``time`` (they lie
between 23:00 and midnight); splits go by it. The test days are 5 to 8 May."""


class Layout(NamedTuple):
    """Names of the files of one KuaiRand release, without ``.gz``, which each may carry."""

    name: str
    log: str
    users: str
    videos: str
    history: str


def _layout(name: str, suffix: str, part: str = "") -> Layout:
    return Layout(
        name=name,
        log=f"log_standard_*_{suffix}{part}.csv",
        users=f"user_features_{suffix}.csv",
        videos=f"video_features_basic_{suffix}.csv",
        history="user_history_before_4_25.csv",
    )


PURE = _layout("KuaiRand-Pure", "pure")
LAYOUTS = (PURE, _layout("KuaiRand-1K", "1k"), _layout("KuaiRand-27K", "27k", "_part*"))

_LOG = ("user_id", "video_id", "date", "time_ms", "is_click", "tab")
_USER_CODES = (
    "user_active_degree", "is_lowactive_period", "is_live_streamer", "is_video_author", "follow_user_num_range",
    "fans_user_num_range", "friend_user_num_range", "register_days_range", *(f"onehot_feat{i}" for i in range(18)),
)  # fmt: skip
_USER_COUNTS = ("follow_user_num", "fans_user_num", "friend_user_num", "register_days")
_VIDEO_CODES = ("author_id", "video_type", "upload_type", "music_type")
_VIDEO_REALS = ("video_duration", "server_width", "server_height")


def read_kuairand(path: str | Path, *, label_wait: int = 1800) -> RealLog:
    """Read KuaiRand from a folder.

    Args:
        path: folder with the files of one of :data:`LAYOUTS` (or their parent, if they lie in ``data/``), gzipped or
            not. Where the history file, which is of our own making, is absent, as in the original releases, the rows
            before 25 April make the history.
        label_wait: seconds after an exposure from which its label may be seen.

    Raises:
        ValueError: one line that names the file, if one is missing, empty, damaged or lacks a column; or the folder, if
            it holds no layout or several.
    """
    with stream_kuairand(path, label_wait=label_wait) as stream:
        return stream.whole()


@contextmanager
def stream_kuairand(path: str | Path, *, label_wait: int = 1800) -> Iterator[LogStream]:
    """The same log for one that does not fit into memory: catalog first, impressions in blocks. Arguments as above."""
    checked_wait(label_wait)
    folder, layout = _found_layout(Path(path))
    users, found_users = read_side(one_file(folder, layout.users), "user_id", _USER_CODES, _USER_COUNTS)
    videos, found_videos = read_side(
        one_file(folder, layout.videos), "video_id", (*_VIDEO_CODES, "tag", "upload_dt"), _VIDEO_REALS, lists=("tag",)
    )
    logs = files(folder, layout.log) or [folder / layout.log]
    with tempfile.TemporaryDirectory(prefix="cs3bench-") as scratch:
        intake = Intake(Path(scratch), ROW, logs)
        for chunk in scan(logs, _LOG):
            _take(intake, chunk, users.ids, videos.ids)
        days = Days(Path(scratch) / "days", TEST_DATE)
        latest = Latest(len(users.ids), HISTORY)
        earlier = _sort(intake, days, latest)
        found_log = found_by(intake, logs[0])
        if not len(days.rows):
            raise ValueError(
                f"{folder}: no well-formed row of the log on or after {FIRST_DATE}, of {intake.rows:,} rows {earlier:,}"
                f" are earlier, the others malformed: {reasons(found_log)}"
            )
        mostly(logs[0] if len(logs) == 1 else folder, found_log, intake.rows)
        items, seen, source, found_history = _history(folder, layout, latest, users.ids, videos.ids)
        yield LogStream(
            catalog=_catalog(users, videos, items, seen, days.base_ctr),
            days=days,
            label_wait=label_wait,
            report=Report(
                rows=intake.rows,
                duplicates=intake.duplicates,
                earlier=earlier,
                kept=len(days.rows),
                click_rate=days.click_rate,
                history_source=source,
                malformed=(*found_users, *found_videos, *found_log, *found_history),
            ),
        )


def _found_layout(path: Path) -> tuple[Path, Layout]:
    """The folder that holds the log, ``path`` or its ``data``, and the layout that its files follow."""
    if not path.is_dir():
        raise ValueError(f"path == {str(path)!r}, must be a folder with {PURE.log}")
    for folder in (path, path / "data"):
        held = [layout for layout in LAYOUTS if any(files(folder, name) for name in layout[1:4])]
        if len(held) > 1:
            names = " and ".join(layout.name for layout in held)
            raise ValueError(f"path == {str(folder)!r}, must hold the files of one layout, found {names}")
        if held:
            return folder, held[0]
    wanted = ", ".join(layout.log for layout in LAYOUTS)
    raise ValueError(f"path == {str(path)!r}, must hold the files of one layout ({wanted}), found none")


def _take(intake: Intake, chunk: Chunk, users: Ids, videos: Ids) -> None:
    parsed = [integers(cell) for cell in chunk.cells]
    user_id, video_id, date, time_ms, click, tab = (values for values, _ in parsed)
    user, video = users.rows(user_id), videos.rows(video_id)
    ms = time_ms + UTC8 * 1000
    day = ms // (DAY * 1000)
    flaws = {
        "not a whole number": ~np.logical_and.reduce([good for _, good in parsed]),
        "unknown user_id": user == PAD,
        "unknown video_id": video == PAD,
        "is_click not 0 or 1": (click != 0) & (click != 1),
        "tab not 0 to 14": (tab < 0) | (tab >= TABS),
        "date more than a day from time_ms": np.abs(calendar_days(date) - day) > 1,
        f"date not {RELEASED[0]} to {RELEASED[1]}": (date < RELEASED[0]) | (date > RELEASED[1]),
    }
    columns = {"user": user, "ad": video, "ms": ms, "date": date, "place": tab, "label": click == 1}
    intake.take(chunk, flaws, day, columns)


def _sort(intake: Intake, days: Days, latest: Latest) -> int:
    """Well-formed rows by day: earlier ones into the history, the others into the log; how many were earlier.

    Files come by date, not strictly by time; ties keep the order of the file.
    """
    earlier = 0
    for day in intake.good.buckets:
        rows = intake.unique(day)
        rows = rows[np.argsort(rows["ms"], kind="stable")]
        before = rows["date"] < FIRST_DATE
        latest.add(rows["user"][before], rows["ad"][before])
        earlier += int(before.sum())
        days.add(day, rows[~before])
        intake.good.forget(day)
    return earlier


def _history(
    folder: Path, layout: Layout, latest: Latest, users: Ids, videos: Ids
) -> tuple[Keys, Money, str, list[Malformed]]:
    """The last exposures before the log: int32 [U, L]; float64 [U], how many there were; whence; what was malformed.

    They are exposures, not clicks: what was shown, whether or not it was watched.
    """
    held = files(folder, layout.history)
    if not held:
        return latest.items, latest.seen.astype(np.float64), "log" if latest.seen.any() else "none", []
    told = Latest(len(users), HISTORY)
    seen = np.zeros(len(users))
    tally = Tally(held[0].name)
    rows = 0
    for columns, lines, short in column_blocks(held[0], ["user_id", "history_len", "watch_seq"]):
        ids, good = integers(columns["user_id"])
        length, fine = integers(columns["history_len"])
        user = users.rows(ids)
        row, video, strange = _sequences(columns["watch_seq"], videos)
        kinds = {
            "not a whole number": ~(good & fine),
            "unknown user_id": user == PAD,
            "unknown video_id in watch_seq": np.bincount(row[strange], minlength=ids.size) > 0,
        }
        tally.add(WIDTH, short)
        usable = tally.sift(lines, kinds)
        seen[user[usable]] = np.maximum(length[usable], 0)
        told.add(user[row[usable[row]]], video[usable[row]])
        rows += ids.size
    if rows == 0:
        raise ValueError(f"{held[0]}: no rows, must hold at least one below its header")
    return told.items, seen, held[0].name, tally.found


def _sequences(column: Any, videos: Ids) -> tuple[Ints, Keys, Flags]:
    """Lists of ids [n] -> of each entry: its row, its video (-1 if unknown), whether it is none. Blanks are skipped."""
    cells = pc.split_pattern_regex(column, " +")
    count = np.asarray(pc.list_value_length(cells)).astype(np.int64)
    flat = cells.flatten()
    item, whole = integers(flat)
    video = videos.rows(item)
    entry = ~np.asarray(pc.equal(flat, ""), dtype=bool)
    strange = ~whole | (video == PAD)
    return np.repeat(np.arange(count.size), count)[entry], video[entry], strange[entry]


def _catalog(users: Side, videos: Side, items: Keys, seen: Money, base_ctr: float) -> Catalog:
    counts = [np.log1p(users.reals[name]) for name in _USER_COUNTS]
    duration = log_or_nan(videos.reals["video_duration"])
    aspect = log_or_nan(videos.reals["server_width"]) - log_or_nan(videos.reals["server_height"])
    upload = _upload_day(videos.values["upload_dt"])[videos.codes["upload_dt"]]
    degree, since = users.codes["user_active_degree"].astype(np.int64), users.codes["register_days_range"]
    pairs, segment = np.unique(degree * users.values["register_days_range"].size + since, return_inverse=True)
    # The first of its tags is a video's category; blank is one of its own.
    category, categories = videos.codes["tag"], int(videos.values["tag"].size)
    ads = videos.table("ad", _VIDEO_CODES, [duration, aspect, -upload])
    return Catalog(
        users=users.table("user", _USER_CODES, [*counts, np.log1p(seen)]),
        ads=Table(
            codes={**ads.codes, "category": category}, sizes={**ads.sizes, "category": categories}, dense=ads.dense
        ),
        context={"hour": 24, "tab": TABS},
        category=category,
        categories=categories,
        segment=segment.astype(np.int32),
        segments=int(pairs.size),
        # Videos have no price level. Their length stands in: what a view costs its viewer.
        price=standard(duration),
        history=History(items=items[None]),
        base_ctr=base_ctr,
    )


def _upload_day(dates: Any) -> Money:
    """Days since 1970 of YYYY-MM-DD [n], NaN where it is none."""
    values, good = integers(pc.replace_substring(list(dates), "-", ""))
    days = calendar_days(values).astype(np.float64)
    return np.where(good & (days > 0), days, np.nan)
