"""TaobaoAd -> Catalog and Impressions: display ads on Taobao, 6 to 13 May 2017, clicked or not (Tianchi data set 56).

Published layout: ``raw_sample.csv`` (26.6 M impressions: user, time_stamp, adgroup_id, pid, nonclk, clk),
``ad_feature.csv``, ``user_profile.csv`` (its last column is called ``new_user_class_level `` with a blank behind) and
``behavior_log.csv`` (723 M organic actions of 22 days: user, time_stamp, btag, cate, brand). Unpack the archives first;
each file may be gzipped. The data are not at hand: this reader is tested on made-up files in that layout alone.

- ``pid`` is where on the page an ad stood: context, never a feature of the ad (public scripts have it there).
- All users stay, also those who never clicked: public scripts drop these, a selection on the label. Some 6 % of the
  impressions are of users without a profile; they are kept, with blank features.
- Days are those of UTC+8. The test day is the last one, 13 May, as is usual with these data.
- ``behavior_log`` knows categories and brands, but no ads. An action stands in the history as the first ad (by place in
  ``ad_feature``) of its category and brand, or else of its category; actions in categories without an ad are counted.
- A click leaves a page view in ``behavior_log`` within seconds. The history of a day therefore holds what happened more
  than ``label_wait`` before its midnight: nothing that a label not yet ready could have caused.
- There are no bids in it: every bid is 1 and nothing is paid.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator.datasets.delimited import (
    PLAIN,
    WIDTH,
    Chunk,
    Malformed,
    Tally,
    files,
    integers,
    one_file,
    reasons,
    scan,
)
from simulator.datasets.features import Ids, Side, log_or_nan, read_side, standard, with_blanks
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
from simulator.datasets.spill import Intake, Spill, narrowed
from simulator.records import DAY, PAD, Catalog, History, Ints, Keys, Money

FIRST_DATE, LAST_DATE = 20170506, 20170513
"""First and last day of the impressions."""
BEHAVIOUR_DATE = 20170422
"""First day of the behaviour log, which ends with the impressions."""
TEST_DATE = LAST_DATE
UTC8 = 8 * 3600
HISTORY = 20
"""Actions kept per user and day; 1.1 M users x 8 days of them are 0.7 GB."""
PIDS = ("430539_1007", "430548_1007")
"""The two places on the page."""
BTAGS = ("pv", "cart", "fav", "buy")

_SAMPLE = ("user", "time_stamp", "adgroup_id", "pid", "nonclk", "clk")
_USER_CODES = (
    "cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation",
    "new_user_class_level",
)  # fmt: skip
_AD_CODES = ("cate_id", "campaign_id", "customer", "brand")
# A user is an id until all of the log has been seen, for the profiles do not name them all.
_SEEN = np.dtype([("user", np.int64), *ROW.descr[1:]])
_ACTION = np.dtype([("user", np.int32), ("ad", np.int32), ("second", np.int64)])


def read_taobao_ad(path: str | Path, *, label_wait: int = 1800) -> RealLog:
    """Read TaobaoAd from a folder.

    Args:
        path: folder with ``raw_sample.csv``, ``ad_feature.csv``, ``user_profile.csv`` and, if there is to be a history,
            ``behavior_log.csv``, each gzipped or not.
        label_wait: seconds after an impression from which its label may be seen.

    Raises:
        ValueError: one line that names the file, if one is missing, empty, damaged or lacks a column.
    """
    with stream_taobao_ad(path, label_wait=label_wait) as stream:
        return stream.whole()


@contextmanager
def stream_taobao_ad(path: str | Path, *, label_wait: int = 1800) -> Iterator[LogStream]:
    """The same log for one that does not fit into memory: catalog first, impressions in blocks. Arguments as above."""
    checked_wait(label_wait)
    folder = Path(path)
    if not folder.is_dir():
        raise ValueError(f"path == {str(path)!r}, must be a folder with raw_sample.csv")
    ads, found_ads = read_side(one_file(folder, "ad_feature.csv"), "adgroup_id", _AD_CODES, ("price",))
    profiles, found_users = read_side(one_file(folder, "user_profile.csv"), "userid", _USER_CODES, ())
    sample = one_file(folder, "raw_sample.csv")
    with tempfile.TemporaryDirectory(prefix="cs3bench-") as scratch:
        intake = Intake(Path(scratch), _SEEN, [sample])
        strangers = np.zeros(0, dtype=np.int64)
        for chunk in scan([sample], _SAMPLE):
            strangers = np.union1d(strangers, _take(intake, chunk, ads.ids, profiles.ids))
        users = with_blanks(profiles, strangers)
        days = Days(Path(scratch) / "days", TEST_DATE)
        blank = 0
        for day in intake.good.buckets:
            seen = intake.unique(day)
            rows = narrowed(seen, ROW)
            rows["user"] = users.ids.rows(seen["user"])
            blank += int((rows["user"] >= len(profiles.ids)).sum())
            days.add(day, rows)
            intake.good.forget(day)
        found_log = found_by(intake, sample)
        if not len(days.rows):
            raise ValueError(f"{sample}: no well-formed row: {reasons(found_log)}")
        mostly(sample, found_log, intake.rows)
        behaviour = next(iter(files(folder, "behavior_log.csv")), None)
        history, before, found_actions = _history(behaviour, Path(scratch), users, ads, label_wait, days.origin)
        yield LogStream(
            catalog=_catalog(users, ads, history, before, days.base_ctr),
            days=days,
            label_wait=label_wait,
            report=Report(
                rows=intake.rows,
                duplicates=intake.duplicates,
                earlier=0,
                kept=len(days.rows),
                click_rate=days.click_rate,
                history_source="none" if behaviour is None else behaviour.name,
                malformed=(*found_ads, *found_users, *found_log, *found_actions),
                without_features=blank,
            ),
        )


def _take(intake: Intake, chunk: Chunk, ads: Ids, profiles: Ids) -> Ints:
    """Judge a chunk of the log -> ids of its users who have no profile."""
    pid = pc.fill_null(pc.index_in(pc.ascii_trim_whitespace(chunk.cells[3]), pa.array(PIDS)), PAD)
    parsed = [integers(chunk.cells[i]) for i in (0, 1, 2, 4, 5)]
    user, stamp, adgroup, nonclk, clk = (values for values, _ in parsed)
    ad = ads.rows(adgroup)
    second = stamp + UTC8
    day = second // DAY
    first, last = calendar_days(np.array([FIRST_DATE, LAST_DATE])).tolist()
    flaws = {
        "not a whole number": ~np.logical_and.reduce([good for _, good in parsed]),
        "user below 0": user < 0,
        "unknown adgroup_id": ad == PAD,
        "unknown pid": np.asarray(pid) == PAD,
        "clk not 0 or 1": (clk != 0) & (clk != 1),
        "nonclk contradicts clk": nonclk != 1 - clk,
        f"time_stamp not in {FIRST_DATE} to {LAST_DATE}": (day < first) | (day > last),
    }
    bad = np.logical_or.reduce(list(flaws.values()))
    day = np.where(bad, 0, day)
    columns = {
        "user": user,
        "ad": ad,
        "ms": second * 1000,
        "date": calendar_dates(day),
        "place": np.asarray(pid),
        "label": clk == 1,
    }
    intake.take(chunk, flaws, day, columns)
    held: Ints = np.unique(user[~bad])
    strangers: Ints = held[profiles.rows(held) == PAD]
    return strangers


def _history(
    path: Path | None, scratch: Path, users: Side, ads: Side, label_wait: int, origin: int
) -> tuple[History, Money, list[Malformed]]:
    """The last actions as of each day; float64 [U], how many there were before the first; what was malformed."""
    first, last = calendar_days(np.array([FIRST_DATE, LAST_DATE])).tolist()
    actions = Spill(scratch / "actions", _ACTION)
    found = [] if path is None else _actions(path, actions, users.ids, ads, label_wait)
    latest = Latest(len(users.ids), HISTORY)
    days = range(first, last + 1) if path is not None else range(first, first + 1)
    items = np.empty((len(days), len(users.ids), HISTORY), dtype=np.int32)
    before = np.zeros(len(users.ids))
    due = actions.buckets
    for i, day in enumerate(days):
        while due and due[0] < day:
            rows = actions.load(due[0])
            rows = rows[np.argsort(rows["second"], kind="stable")]
            latest.add(rows["user"], rows["ad"])
            actions.forget(due.pop(0))
        items[i] = latest.items
        if i == 0:
            before = latest.seen.astype(np.float64)
    return History(items=items, start=first * DAY - origin), before, found


def _actions(path: Path, actions: Spill, users: Ids, ads: Side, label_wait: int) -> list[Malformed]:
    """Well-formed actions to disk by the day on which the wait after them ends; what was malformed."""
    stand_in = _StandIn(ads)
    first, last = calendar_days(np.array([BEHAVIOUR_DATE, LAST_DATE])).tolist()
    tally = Tally(path.name)
    for chunk in scan([path], ("user", "time_stamp", "btag", "cate", "brand"), prints=False):
        tally.add(PLAIN, chunk.line[~chunk.plain])
        tally.add(WIDTH, chunk.line[chunk.plain & ~chunk.whole])
        parsed = [integers(chunk.cells[i]) for i in (0, 1, 3, 4)]
        user_id, stamp, cate, brand = (values for values, _ in parsed)
        user, ad = users.rows(user_id), stand_in.rows(cate, brand)
        second = stamp + UTC8
        day = second // DAY
        flaws = {
            "not a whole number": ~np.logical_and.reduce([good for _, good in parsed]),
            "unknown user": user == PAD,
            "unknown btag": ~np.asarray(
                pc.is_in(pc.ascii_trim_whitespace(chunk.cells[2]), pa.array(BTAGS)), dtype=bool
            ),
            f"time_stamp not in {BEHAVIOUR_DATE} to {LAST_DATE}": (day < first) | (day > last),
            "cate without an ad": ad == PAD,
        }
        good = tally.sift(chunk.line[chunk.whole], flaws)
        rows = np.empty(int(good.sum()), dtype=_ACTION)
        rows["user"], rows["ad"], rows["second"] = user[good], ad[good], second[good]
        actions.add((rows["second"] + label_wait) // DAY, rows)
    return tally.found


class _StandIn:
    """The ad that stands for an action on a category and a brand."""

    def __init__(self, ads: Side) -> None:
        cate, brand = ads.codes["cate_id"], ads.codes["brand"].astype(np.int64)
        # "NULL" is no number; no action has that brand.
        self._cates, self._brands = (Ids(integers(pa.array(ads.values[n]))[0]) for n in ("cate_id", "brand"))
        brand[~integers(pa.array(ads.values["brand"]))[1][brand]] = PAD
        self._width = len(self._brands) + 1
        pairs, self._of_pair = np.unique(cate * self._width + brand + 1, return_index=True)
        self._pairs = Ids(pairs)
        places, self._of_cate = np.unique(cate, return_index=True)
        self._places = Ids(places.astype(np.int64))

    def rows(self, cate: Ints, brand: Ints) -> Keys:
        """int32 [n]: the first ad of the category and brand, else of the category, else -1."""
        c, b = self._cates.rows(cate).astype(np.int64), self._brands.rows(brand)
        pair, place = self._pairs.rows(c * self._width + b + 1), self._places.rows(c)
        exact = (pair != PAD) & (b != PAD)
        return np.where(exact, self._of_pair[pair], np.where(place != PAD, self._of_cate[place], PAD)).astype(np.int32)


def _catalog(users: Side, ads: Side, history: History, before: Money, base_ctr: float) -> Catalog:
    price = log_or_nan(ads.reals["price"])
    return Catalog(
        users=users.table("user", _USER_CODES, [np.log1p(before)]),
        ads=ads.table("ad", _AD_CODES, [price]),
        context={"hour": 24, "pid": len(PIDS)},
        category=ads.codes["cate_id"],
        categories=int(ads.values["cate_id"].size),
        # The micro group is a crossing of gender and age.
        segment=users.codes["cms_group_id"],
        segments=int(users.values["cms_group_id"].size),
        price=standard(price),
        history=history,
        base_ctr=base_ctr,
    )
