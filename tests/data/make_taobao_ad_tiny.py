"""Make the tiny made-up log in TaobaoAd's published layout: same files, same columns, no row of the real one.

Run ``python -m tests.data.make_taobao_ad_tiny`` from the root to write it again; the bytes are the same each time. Some
rows are duplicates and some are malformed on purpose; ``EXPECTED`` and ``ACTIONS_LEFT_OUT`` say which.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.data.make_kuairand_tiny import write

FOLDER = Path(__file__).parent / "taobao-ad-tiny"
PROFILES, STRANGERS, ADS, ROWS, ACTIONS = 40, 4, 25, 800, 600
MIDNIGHT = 1_494_000_000
"""6 May 2017, 00:00 UTC+8."""
SAMPLE = "user,time_stamp,adgroup_id,pid,nonclk,clk"
AD = "adgroup_id,cate_id,campaign_id,customer,brand,price"
PROFILE = (
    "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
    "new_user_class_level "
)
ACTION = "user,time_stamp,btag,cate,brand"
DUPLICATES = 3
EXPECTED = {
    "wrong number of columns": (12,),
    "not a whole number": (22,),
    "unknown adgroup_id": (32,),
    "unknown pid": (42,),
    "clk not 0 or 1": (52,),
    "nonclk contradicts clk": (62,),
    "time_stamp not in 20170506 to 20170513": (72,),
}
"""Malformed rows of the log: kind -> lines."""
ACTIONS_LEFT_OUT = {
    "wrong number of columns": (7,),
    "not a whole number": (8,),
    "unknown user": (9,),
    "unknown btag": (10,),
    "time_stamp not in 20170422 to 20170513": (11,),
    "cate without an ad": (12,),
}


def user_id(u: int) -> int:
    """Ids do not count from 0, nor in order."""
    return 1000 + u * 37 % 101


def ads() -> list[str]:
    """Rows of the ad features: five categories, a fifth of the ads without a brand."""
    return [
        f"{500 + a * 7},{(11, 22, 33, 44, 55)[a % 5]},{a // 2 + 1},{a // 3 + 1},{'NULL' if a % 5 == 4 else 90 + a % 3},"
        f"{float(10 + a * a)}"
        for a in range(ADS)
    ]


def profiles(rng: np.random.Generator) -> list[str]:
    """Rows of the user profiles; two columns have blanks, as in the real ones."""
    return [
        f"{user_id(u)},{rng.integers(5)},{1 + u % 12},{1 + u % 2},{rng.integers(7)},{('', 1, 2, 3)[u % 4]},"
        f"{1 + u % 3},{u % 2},{('', 2, 4)[u % 3]}"
        for u in range(PROFILES)
    ]


def sample(rng: np.random.Generator) -> list[str]:
    """Rows of the log, in no order of time, as in the real one."""
    second = MIDNIGHT + rng.integers(8 * 86_400, size=ROWS)
    user, ad = rng.integers(PROFILES + STRANGERS, size=ROWS), rng.integers(ADS, size=ROWS)
    logit = rng.normal(0, 1, PROFILES + STRANGERS)[user] + rng.normal(0, 1, ADS)[ad] - 1.5
    click = (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(int)
    pid = np.where(rng.random(ROWS) < 0.4, "430539_1007", "430548_1007")
    lines = [
        f"{user_id(int(u))},{t},{500 + a * 7},{p},{1 - c},{c}"
        for u, t, a, p, c in zip(user, second, ad, pid, click, strict=True)
    ]
    head = lines[0].split(",")
    bad = [
        "1001,1494000000",
        ",".join(["u1", *head[1:]]),
        ",".join([*head[:2], "9", *head[3:]]),
        ",".join([*head[:3], "430000_1007", *head[4:]]),
        ",".join([*head[:4], "0", "2"]),
        ",".join([*head[:4], "1", "1"]),
        ",".join([head[0], str(MIDNIGHT + 8 * 86_400), *head[2:]]),
    ]
    for i, line in enumerate(bad):
        lines.insert(10 + 10 * i, line)
    return [*lines, lines[100], lines[200], lines[200]]


def actions(rng: np.random.Generator) -> list[str]:
    """Rows of the behaviour log of 22 days."""
    second = MIDNIGHT - 14 * 86_400 + rng.integers(22 * 86_400, size=ACTIONS)
    tags = rng.choice(["pv", "cart", "fav", "buy"], p=[0.9, 0.04, 0.03, 0.03], size=ACTIONS)
    lines = [
        f"{user_id(int(rng.integers(PROFILES + STRANGERS)))},{t},{tag},{rng.choice([11, 22, 33, 44, 55])},"
        f"{90 + rng.integers(4)}"
        for t, tag in zip(second, tags, strict=True)
    ]
    return [
        *lines[:5],
        "1001,2",
        "1001,noon,pv,11,90",
        "7,1493800000,pv,11,90",
        f"{user_id(0)},1493800000,look,11,90",
        f"{user_id(0)},1400000000,pv,11,90",
        f"{user_id(0)},1493800000,pv,66,90",
        *lines[5:],
    ]


def main() -> None:
    """Write the four files."""
    rng = np.random.default_rng(20170506)
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER / "ad_feature.csv", AD, ads())
    write(FOLDER / "user_profile.csv", PROFILE, profiles(rng))
    write(FOLDER / "raw_sample.csv.gz", SAMPLE, sample(rng))
    write(FOLDER / "behavior_log.csv.gz", ACTION, actions(rng))


if __name__ == "__main__":
    main()
