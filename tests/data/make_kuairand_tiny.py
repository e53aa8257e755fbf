"""Make the tiny made-up log in KuaiRand-Pure's layout: same files, same columns, no row of the real one.

Run ``python -m tests.data.make_kuairand_tiny`` from the root to write it again; the bytes are the same each time.
Some rows are duplicates and some are malformed on purpose; ``EXPECTED`` says how many.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "kuairand-tiny"
USERS, VIDEOS, ROWS = 60, 40, 1_400
EXPECTED = {"duplicates": 6, "malformed": 5}
DAYS = [20220425 + i for i in range(6)] + [20220501 + i for i in range(8)]
MIDNIGHT_MS = 1_650_816_000_000
"""25 April 2022, 00:00 UTC+8."""
LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
USER = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,"
    "follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,"
    "register_days_range," + ",".join(f"onehot_feat{i}" for i in range(18))
)
VIDEO = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag"
)


def users(rng: np.random.Generator) -> list[str]:
    """Rows of the user features; user 7 has blank encrypted categories."""
    lines = []
    for u in range(USERS):
        follow, fans, friend, days = (int(x) for x in rng.lognormal(3, 1.5, size=4))
        blank = u == 7
        feats = ["" if blank and i in (4, *range(12, 18)) else str(int(rng.integers(3))) for i in range(18)]
        degree = ("full_active", "high_active", "UNKNOWN")[int(rng.integers(3))]
        lines.append(
            f'{u},{degree},0,{(-124, 1)[u % 2]},{u % 2},{follow},"(0,10]",{fans},"[10,100)",{friend},"[1,5)",'
            f"{days},{('730+', '61-90')[u % 3 == 0]},{','.join(feats)}"
        )
    return lines


def videos(rng: np.random.Generator) -> list[str]:
    """Rows of the video features; video 3 has no tag, video 4 no duration and no music type, video 5 two tags."""
    lines = []
    for v in range(VIDEOS):
        tag = {3: "", 5: '"39,68"'}.get(v, str((39, 3, 9)[v % 3]))
        duration = "" if v == 4 else f"{float(rng.integers(5_000, 200_000))}"
        lines.append(
            f"{v},{1000 + v // 2},{('NORMAL', 'AD')[v == 9]},2022-04-{9 + v % 3:02d},Web,0.0,{duration},720.0,"
            f"{(1280.0, 960.0)[v % 2]},{9_000_000_000 + v},{'' if v == 4 else 9.0},{tag}"
        )
    return lines


def log(rng: np.random.Generator) -> list[str]:
    """Rows of the log in order of time; clicks depend on user, video and tab, so that there is something to learn."""
    ms = MIDNIGHT_MS - 3_000_000 + np.sort(rng.integers(14 * 86_400_000, size=ROWS))
    user, video = rng.integers(USERS, size=ROWS), rng.integers(VIDEOS, size=ROWS)
    tab = rng.choice([0, 1, 4], p=[0.2, 0.7, 0.1], size=ROWS)
    logit = rng.normal(0, 1.2, USERS)[user] + rng.normal(0, 1.0, VIDEOS)[video] - 2.0 * (tab == 0)
    click = rng.random(ROWS) < 1 / (1 + np.exp(-logit))
    lines = []
    for i in range(ROWS):
        # The first rows lie before midnight but bear the next day's date, as in the real log.
        day = max(0, int((ms[i] - MIDNIGHT_MS) // 86_400_000))
        hour = int(ms[i] - MIDNIGHT_MS) // 3_600_000 % 24
        lines.append(
            f"{user[i]},{video[i]},{DAYS[day]},{hour * 100},{ms[i]},{int(click[i])},0,0,0,0,0,{int(click[i])},"
            f"{int(click[i]) * 9000},30000,0,0,0,0,{tab[i]}"
        )
    for at in (1200, 700, 500, 300, 300, 100):
        lines.insert(at, lines[at])
    return [
        *lines[:10],
        "1,2,20220425,0",
        *lines[10:20],
        lines[20].replace("20220425", "today"),
        f"999,{lines[21].split(',', 1)[1]}",
        ",".join([lines[22].split(",")[0], "999", *lines[22].split(",")[2:]]),
        ",".join([*lines[23].split(",")[:5], "2", *lines[23].split(",")[6:]]),
        *lines[24:],
    ]


def history(rng: np.random.Generator) -> list[str]:
    """Rows of the derived history; users from 55 on have none, user 2 saw more than is kept, user 3 saw nothing."""
    lines = []
    for u in range(55):
        length = {2: 90, 3: 0}.get(u, int(rng.integers(1, 12)))
        items = rng.integers(VIDEOS, size=min(length, 50))
        lines.append(f"{u},{length},{MIDNIGHT_MS - 86_400_000 + u},{' '.join(map(str, items))},,")
    return lines


def main() -> None:
    """Write the four files."""
    rng = np.random.default_rng(20220425)
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER / "user_features_pure.csv", USER, users(rng))
    write(FOLDER / "video_features_basic_pure.csv", VIDEO, videos(rng))
    write(FOLDER / "log_standard_4_25_to_5_08_pure.csv.gz", LOG, log(rng))
    names = "user_id,history_len,last_time_ms,watch_seq,like_seq,long_watch_seq"
    write(FOLDER / "user_history_before_4_25.csv.gz", names, history(rng))


def write(path: Path, header: str, lines: list[str]) -> None:
    """One file, gzipped without a time stamp if its name says so."""
    text = "\n".join([header, *lines, ""]).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


if __name__ == "__main__":
    main()
