"""KuaiRand -> Catalog and Impressions: real short-video exposures, clicked or not (Gao et al., CIKM 2022).

KuaiRand-Pure's "standard" log of 25 April to 8 May 2022, with its user and video features. A user is a user, a video is
an ad, an exposure is a request of its own with one impression in slot 0. There is no money in it: every bid is 1 and
nothing is paid.

What is read of the log is known at the exposure or is the label: user, video, date, time, tab and ``is_click``. The
columns that happen afterwards (likes, play time, stays, ``long_view``) are never parsed; rows that are equal in all
columns, and only those, are dropped as duplicates. Vocabularies and scales of features come from the feature files
alone, never from the log. The release's video statistics file averages labels over the whole month: it is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.datasets.delimited import (
    Malformed,
    integers,
    malformed,
    read_columns,
    read_lines,
    reals,
    split_columns,
)
from simulator.records import DAY, PAD, Catalog, Flags, Floats, History, Impressions, Ints, Keys, Money, Table

FIRST_DATE = 20220425
"""First day of the log; exposures of earlier days only make the behaviour history."""
TEST_DATE = 20220505
"""First test day. The click rate that models start from is that of the days before it, the fit period."""
UTC8 = 8 * 3600
"""Seconds that the log's days are ahead of UTC."""
HISTORY = 50
"""Earlier exposures kept per user, the latest ones."""
TABS = 15


class Layout(NamedTuple):
    """Names of the files of one KuaiRand release, without ``.gz``, which each may carry."""

    log: str
    users: str
    videos: str
    history: str


PURE = Layout(
    log="log_standard_*_pure.csv",
    users="user_features_pure.csv",
    videos="video_features_basic_pure.csv",
    history="user_history_before_4_25.csv",
)

_LOG = ("user_id", "video_id", "date", "time_ms", "is_click", "tab")
_USER_CODES = (
    "user_active_degree", "is_lowactive_period", "is_live_streamer", "is_video_author", "follow_user_num_range",
    "fans_user_num_range", "friend_user_num_range", "register_days_range", *(f"onehot_feat{i}" for i in range(18)),
)  # fmt: skip
_USER_COUNTS = ("follow_user_num", "fans_user_num", "friend_user_num", "register_days")
_VIDEO_CODES = ("author_id", "video_type", "upload_type", "music_type")
_VIDEO_REALS = ("video_duration", "server_width", "server_height")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the reader met; nothing is left out that is not counted here.

    Attributes:
        rows: rows of the log files.
        duplicates: rows that equal an earlier one in all columns; dropped.
        earlier: rows before :data:`FIRST_DATE`; used for the history only.
        kept: rows that became impressions.
        click_rate: share of the kept rows that were clicked.
        history_source: file that the history came from, ``"log"`` if from earlier rows, ``"none"`` without either.
        malformed: rows left out, by file and kind.
    """

    rows: int
    duplicates: int
    earlier: int
    kept: int
    click_rate: float
    history_source: str
    malformed: tuple[Malformed, ...]

    @property
    def refused(self) -> int:
        """Number of malformed rows over all files."""
        return sum(found.count for found in self.malformed)


@dataclass(frozen=True, kw_only=True)
class KuaiRand:
    """The log in the nouns of the road.

    Attributes:
        catalog: users, videos and the history before the log.
        impressions: event order; ``request`` counts rows from 0; times count from midnight (UTC+8) of the first row's
            day; ``pctr`` and ``logit`` are NaN and ``hidden`` is [n, 0], for no model of ours has seen them.
        date: int32 [n], the log's own day, YYYYMMDD. In some 1 % of the rows it is a day ahead of that of ``time``
            (they lie between 23:00 and midnight); splits go by it.
        report: what the reader met.
    """

    catalog: Catalog
    impressions: Impressions
    date: Keys
    report: Report

    @property
    def test(self) -> Flags:
        """Rows of the test days, 5 to 8 May: bool [n]."""
        return self.date >= TEST_DATE


class _Rows(NamedTuple):
    """Well-formed rows of the log, in event order; users and videos as rows of their feature files."""

    user: Keys
    video: Keys
    date: Keys
    second: Ints  # since 1970, UTC+8
    click: Flags
    tab: Keys


class _Side(NamedTuple):
    """One feature file: its ids in file order and its columns as strings."""

    ids: Ints
    columns: dict[str, pa.ChunkedArray]
    reals: dict[str, Money]


def read_kuairand(path: str | Path, *, label_wait: int = 1800) -> KuaiRand:
    """Read KuaiRand-Pure from a folder.

    Args:
        path: folder with the files of :data:`PURE` (or their parent, if they lie in ``data/``), gzipped or not.
            Where the history file is absent, as in the original release, the rows before 25 April make the history.
        label_wait: seconds after an exposure from which its label may be seen.

    Raises:
        ValueError: one line that names the file, if one is missing, empty, damaged or lacks a column.
    """
    if label_wait < 0:
        raise ValueError(f"label_wait == {label_wait}, must be at least 0 seconds")
    folder = _folder(Path(path), PURE)
    users, found_users = _side(_one(folder, PURE.users), "user_id", _USER_CODES, _USER_COUNTS)
    videos, found_videos = _side(
        _one(folder, PURE.videos), "video_id", (*_VIDEO_CODES, "tag", "upload_dt"), _VIDEO_REALS
    )
    rows, total, duplicates, found_log = _log(_logs(folder, PURE), users.ids, videos.ids)
    inside = rows.date >= FIRST_DATE
    if not inside.any():
        raise ValueError(f"{folder}: no well-formed row of the log on or after {FIRST_DATE}")
    items, seen, source, found_history = _history(folder, _pick(rows, ~inside), users.ids, videos.ids)
    kept = _pick(rows, inside)
    impressions = _impressions(kept, label_wait)
    return KuaiRand(
        catalog=_catalog(users, videos, items, seen, _base_ctr(kept)),
        impressions=impressions,
        date=kept.date,
        report=Report(
            rows=total,
            duplicates=duplicates,
            earlier=int((~inside).sum()),
            kept=len(impressions),
            click_rate=float(kept.click.mean()),
            history_source=source,
            malformed=(*found_users, *found_videos, *found_log, *found_history),
        ),
    )


def _folder(path: Path, layout: Layout) -> Path:
    """The folder that holds the log: ``path`` or its ``data``."""
    if not path.is_dir():
        raise ValueError(f"path == {str(path)!r}, must be a folder with {layout.log}")
    inner = path / "data"
    return inner if inner.is_dir() and not _found(path, layout.log) else path


def _found(folder: Path, pattern: str) -> list[Path]:
    """Files that fit the pattern, one per stem (plain text before gzip), by name."""
    both = {p.name.removesuffix(".gz"): p for p in [*folder.glob(pattern + ".gz"), *folder.glob(pattern)]}
    return [both[name] for name in sorted(both)]


def _one(folder: Path, name: str) -> Path:
    return next(iter(_found(folder, name)), folder / name)


def _logs(folder: Path, layout: Layout) -> list[Path]:
    return _found(folder, layout.log) or [folder / layout.log]


def _side(path: Path, key: str, names: tuple[str, ...], numbers: tuple[str, ...]) -> tuple[_Side, list[Malformed]]:
    """A feature file without its malformed rows: ids whole and unique, numbers at least 0 or blank."""
    columns, lines, found = read_columns(path, [key, *names, *numbers])
    ids, good = integers(columns[key])
    values = {}
    for name in numbers:
        values[name], fine = reals(columns[name])
        good &= fine & ~(values[name] < 0)
    found += malformed(path.name, "not a number", lines[~good])
    first = np.zeros_like(good)
    first[np.flatnonzero(good)[np.unique(ids[good], return_index=True)[1]]] = True
    found += malformed(path.name, f"repeated {key}", lines[good & ~first])
    mask = pa.array(first)
    return _Side(
        ids=ids[first],
        columns={name: columns[name].filter(mask) for name in names},
        reals={name: values[name][first] for name in numbers},
    ), found


def _places(ids: Ints, wanted: Ints) -> Keys:
    """Rows of ``wanted`` [n] in the feature file whose ids are ``ids``; -1 where it has none."""
    if ids.size == 0:
        return np.full(wanted.shape, PAD, dtype=np.int32)
    order = np.argsort(ids, kind="stable")
    at = np.minimum(np.searchsorted(ids[order], wanted), ids.size - 1)
    return np.where(ids[order][at] == wanted, order[at], PAD).astype(np.int32)


def _log(paths: list[Path], users: Ints, videos: Ints) -> tuple[_Rows, int, int, list[Malformed]]:
    """The log's well-formed rows, how many rows there were, how many were duplicates, what was malformed."""
    header, texts, sources, numbers = "", [], [], []
    for i, path in enumerate(paths):
        lines = read_lines(path)
        if i and str(lines[0]) != header:
            raise ValueError(f"{path}: header differs from that of {paths[0].name}")
        header = str(lines[0])
        texts.append(lines[1:])
        sources.append(np.full(len(lines) - 1, i))
        numbers.append(np.arange(2, len(lines) + 1))
    names = header.split(",")
    missing = [name for name in _LOG if name not in names]
    if missing:
        raise ValueError(f"{paths[0]}: no column {missing[0]!r} in its header")
    text = pa.chunked_array([chunk for lines in texts for chunk in lines.chunks], type=pa.string())
    total = len(text)
    if total == 0:
        raise ValueError(f"{paths[0]}: no rows, must hold at least one below its header")
    first = _first_of_each(text)
    source, number = np.concatenate(sources)[first], np.concatenate(numbers)[first]
    cells, whole = split_columns(text.take(pa.array(first)), len(names), [names.index(name) for name in _LOG])
    found: list[Malformed] = []

    def refuse(kind: str, bad: Flags, among: npt.NDArray[Any]) -> None:
        for i, path in enumerate(paths):
            found.extend(malformed(path.name, kind, number[among[bad & (source[among] == i)]]))

    refuse("wrong number of columns", ~whole, np.arange(first.size))
    among = np.flatnonzero(whole)
    parsed = [integers(cell) for cell in cells]
    user_id, video_id, date, time_ms, click, tab = (values for values, _ in parsed)
    user, video = _places(users, user_id), _places(videos, video_id)
    second = time_ms // 1000 + UTC8
    kinds = {
        "not a whole number": ~np.logical_and.reduce([good for _, good in parsed]),
        "unknown user_id": user == PAD,
        "unknown video_id": video == PAD,
        "is_click not 0 or 1": (click != 0) & (click != 1),
        "tab not 0 to 14": (tab < 0) | (tab >= TABS),
        "date more than a day from time_ms": np.abs(_day(date) - second // DAY) > 1,
    }
    good = np.ones(among.size, dtype=bool)
    for kind, bad in kinds.items():
        refuse(kind, good & bad, among)
        good &= ~bad
    # Files come by date, not strictly by time; ties keep the order of the file.
    order = np.flatnonzero(good)[np.argsort(time_ms[good], kind="stable")]
    rows = _Rows(user, video, date.astype(np.int32), second, click == 1, tab.astype(np.int32))
    return _pick(rows, order), total, total - first.size, found


def _first_of_each(text: pa.ChunkedArray) -> Ints:
    """Places of the first line of each set of equal lines, in order."""
    codes = text.combine_chunks().dictionary_encode().indices
    return np.sort(np.unique(np.asarray(codes), return_index=True)[1])


def _day(date: Ints) -> Ints:
    """Days since 1970 of YYYYMMDD [n]; a date that no calendar holds is far from all others."""
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    real = (year >= 1970) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = (np.where(real, year, 1970) - 1970) * 12 + np.where(real, month, 1) - 1
    return np.where(real, months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1, -(1 << 40))


def _pick(rows: _Rows, which: npt.NDArray[Any]) -> _Rows:
    return _Rows(*(column[which] for column in rows))


def _base_ctr(rows: _Rows) -> float:
    """Click rate of the fit period, of the whole log if it has none; within [0.001, 0.999]."""
    fit = rows.date < TEST_DATE
    return float(np.clip(rows.click[fit if fit.any() else slice(None)].mean(), 0.001, 0.999))


def _impressions(rows: _Rows, label_wait: int) -> Impressions:
    n = rows.user.size
    time = rows.second - rows.second[0] // DAY * DAY
    nothing = np.zeros(n)
    return Impressions(
        request=np.arange(n, dtype=np.int64),
        user=rows.user,
        ad=rows.video,
        slot=np.zeros(n, dtype=np.int8),
        time=time,
        context=np.stack([(time % DAY // 3600).astype(np.int32), rows.tab], axis=1),
        explored=np.zeros(n, dtype=bool),
        bid=np.ones(n),
        price=nothing,
        paid=nothing.copy(),
        pctr=np.full(n, np.nan, dtype=np.float32),
        logit=np.full(n, np.nan, dtype=np.float32),
        hidden=np.zeros((n, 0), dtype=np.float16),
        ready_at=time + label_wait,
        label=rows.click,
    )


def _history(folder: Path, earlier: _Rows, users: Ints, videos: Ints) -> tuple[Keys, Money, str, list[Malformed]]:
    """The last exposures before the log: int32 [U, L]; float64 [U], how many there were; whence; what was malformed.

    They are exposures, not clicks: what was shown, whether or not it was watched.
    """
    files = _found(folder, PURE.history)
    if not files:
        seen = np.bincount(earlier.user, minlength=users.size).astype(np.float64)
        return _latest(earlier.user, earlier.video, users.size), seen, "log" if earlier.user.size else "none", []
    columns, lines, found = read_columns(files[0], ["user_id", "history_len", "watch_seq"])
    ids, good = integers(columns["user_id"])
    length, fine = integers(columns["history_len"])
    user = _places(users, ids)
    kinds = {"not a whole number": ~(good & fine), "unknown user_id": user == PAD}
    cells = pc.split_pattern_regex(columns["watch_seq"].combine_chunks(), " +")
    count = np.asarray(pc.list_value_length(cells)).astype(np.int64)
    row = np.repeat(np.arange(ids.size), count)
    flat = cells.flatten()
    item, whole = integers(flat)
    video = _places(videos, item)
    blank = np.asarray(pc.equal(flat, ""), dtype=bool)
    strange = ~blank & (~whole | (video == PAD))
    kinds["unknown video_id in watch_seq"] = np.bincount(row[strange], minlength=ids.size) > 0
    usable = np.ones(ids.size, dtype=bool)
    for kind, bad in kinds.items():
        found += malformed(files[0].name, kind, lines[usable & bad])
        usable &= ~bad
    seen = np.zeros(users.size)
    seen[user[usable]] = np.maximum(length[usable], 0)
    keep = usable[row] & ~blank
    return _latest(user[row[keep]], video[keep], users.size), seen, files[0].name, found


def _latest(users: Keys, items: Keys, rows: int) -> Keys:
    """int32 [rows, L]: the last L items of each user, given in order of time; left-padded with -1."""
    order = np.argsort(users, kind="stable")
    end = np.cumsum(np.bincount(users, minlength=rows))
    # How far from her last: 0 is the latest and goes to the right.
    back = end[users[order]] - 1 - np.arange(order.size)
    late = back < HISTORY
    out = np.full((rows, HISTORY), PAD, dtype=np.int32)
    out[users[order][late], HISTORY - 1 - back[late]] = items[order][late]
    return out


def _catalog(users: _Side, videos: _Side, items: Keys, seen: Money, base_ctr: float) -> Catalog:
    U, A = users.ids.size, videos.ids.size
    user_codes, user_sizes = _codes(users, _USER_CODES, "user", U)
    ad_codes, ad_sizes = _codes(videos, _VIDEO_CODES, "ad", A)
    # The first of its tags is a video's category; blank is one of its own.
    category, categories = _vocabulary(pc.list_element(pc.split_pattern(videos.columns["tag"], ","), 0))
    ad_codes["category"], ad_sizes["category"] = category, categories
    groups = user_codes["user_active_degree"].astype(np.int64) * user_sizes["register_days_range"]
    pairs, segment = np.unique(groups + user_codes["register_days_range"], return_inverse=True)
    counts = [np.log1p(users.reals[name]) for name in _USER_COUNTS]
    duration = _log_or_nan(videos.reals["video_duration"])
    aspect = _log_or_nan(videos.reals["server_width"]) - _log_or_nan(videos.reals["server_height"])
    age = -_upload_day(videos.columns["upload_dt"])
    return Catalog(
        users=Table(codes=user_codes, sizes=user_sizes, dense=_dense([*counts, np.log1p(seen)])),
        ads=Table(codes=ad_codes, sizes=ad_sizes, dense=_dense([duration, aspect, age])),
        context={"hour": 24, "tab": TABS},
        category=category,
        categories=categories,
        segment=segment.astype(np.int32),
        segments=int(pairs.size),
        # Videos have no price level. Their length stands in: what a view costs its viewer.
        price=_standard(duration),
        history=History(items=items[None]),
        base_ctr=base_ctr,
    )


def _codes(side: _Side, names: tuple[str, ...], key: str, rows: int) -> tuple[dict[str, Keys], dict[str, int]]:
    """The id itself, then each named column by its own vocabulary."""
    codes = {key: np.arange(rows, dtype=np.int32)}
    sizes = {key: rows}
    for name in names:
        codes[name], sizes[name] = _vocabulary(side.columns[name])
    return codes, sizes


def _vocabulary(column: Any) -> tuple[Keys, int]:
    """Strings [n] -> int32 [n], places among the sorted distinct values (blank is a value), and how many those are."""
    values, codes = np.unique(np.asarray(column.to_numpy(zero_copy_only=False), dtype=str), return_inverse=True)
    return codes.astype(np.int32), int(values.size)


def _log_or_nan(values: Money) -> Money:
    """Logarithm where positive, NaN elsewhere."""
    return np.log(np.where(values > 0, values, np.nan))


def _upload_day(column: Any) -> Money:
    """Days since 1970 of YYYY-MM-DD [n], NaN where it is none."""
    text = pc.replace_substring(column, "-", "")
    values, good = integers(text)
    days = _day(values).astype(np.float64)
    return np.where(good & (days > 0), days, np.nan)


def _standard(values: Money) -> Floats:
    """float32 [n] with mean 0 and deviation 1 over the known values; 0 where unknown, or where all are equal."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(values.shape, dtype=np.float32)
    spread = values[known].std()
    scaled = (values - values[known].mean()) / (spread if spread > 0 else 1.0)
    return np.where(known, scaled, 0.0).astype(np.float32)


def _dense(columns: list[Money]) -> Floats:
    return np.stack([_standard(column) for column in columns], axis=1)
