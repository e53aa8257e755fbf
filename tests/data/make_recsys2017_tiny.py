"""Make the tiny made-up log in the layout of the RecSys Challenge 2017: same files and columns, no row of the real one.

Run ``python -m tests.data.make_recsys2017_tiny`` from the root to write it again; the bytes are the same each time.
Some rows are duplicates and some are malformed on purpose; ``EXPECTED`` says which.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.data.make_kuairand_tiny import write

FOLDER = Path(__file__).parent / "recsys2017-tiny"
USERS, ITEMS, ROWS, DAYS = 50, 30, 900, 42
MIDNIGHT = 1_483_228_800
"""1 January 2017, 00:00 UTC."""
PREFIX = "recsyschallenge_v2017_interactions_final_anonym_training_export."
LOG = "\t".join(PREFIX + name for name in ("user_id", "item_id", "interaction_type", "created_at"))
USER = "\t".join(
    "recsyschallenge_v2017_users_final_anonym_export_unique." + name
    for name in (
        "id", "jobroles", "career_level", "discipline_id", "industry_id", "country", "region",
        "experience_n_entries_class", "experience_years_experience", "experience_years_in_current", "edu_degree",
        "edu_fieldofstudies", "wtcj", "premium",
    )
)  # fmt: skip
ITEM = "\t".join(
    (
        "id", "title", "career_level", "discipline_id", "industry_id", "country", "is_payed", "region", "latitude",
        "longitude", "employment", "tags", "created_at",
    )
)  # fmt: skip
DUPLICATES = 2
EXPECTED = {
    "wrong number of columns": (12,),
    "not a whole number": (22,),
    "unknown user_id": (32,),
    "unknown item_id": (42,),
    "interaction_type not 0 to 5": (52,),
    "created_at not in 20100101 to 20201231": (62,),
}
"""Malformed rows of the log: kind -> lines."""


def users(rng: np.random.Generator) -> list[str]:
    """Rows of the users; lists of ids, some empty."""
    lines = []
    for u in range(USERS):
        roles = ",".join(map(str, rng.integers(1, 20, size=u % 4)))
        study = ",".join(map(str, rng.integers(1, 9, size=u % 3)))
        numbers = rng.integers(0, 5, size=7)
        cells = [10 + u * 3, roles, *numbers[:3], ("de", "at", "ch", "non_dach")[u % 4], *numbers[3:], u % 5, study]
        lines.append("\t".join(map(str, [*cells[:10], cells[10], cells[11], u % 2, u % 2])))
    return lines


def items(rng: np.random.Generator) -> list[str]:
    """Rows of the items; item 3 has no place and no date."""
    lines = []
    for i in range(ITEMS):
        known = i != 3
        title, tags = (",".join(map(str, rng.integers(1, 30, size=n))) for n in (1 + i % 4, i % 3))
        cells = [
            700 + i, title, i % 7, i % 6, i % 9, "de", i % 2, i % 16, f"{48 + i / 10:.1f}" if known else "NULL",
            f"{-1 + i / 5:.1f}" if known else "NULL", i % 6, tags, MIDNIGHT - i * 86_400 if known else "null",
        ]  # fmt: skip
        lines.append("\t".join(map(str, cells)))
    return lines


def log(rng: np.random.Generator) -> list[str]:
    """Rows of the log: impressions; clicks soon after some, late after some, of pairs never shown; 4 and 5."""
    second = MIDNIGHT + np.sort(rng.integers(DAYS * 86_400 - 90_000, size=ROWS))
    user, item = rng.integers(USERS, size=ROWS), rng.integers(ITEMS, size=ROWS)
    lines = []
    for i in range(ROWS):
        pair = f"{10 + user[i] * 3}\t{700 + item[i]}"
        lines.append(f"{pair}\t0\t{second[i]}")
        luck = rng.random()
        if luck < 0.2:
            lines.append(f"{pair}\t{rng.integers(1, 4)}\t{second[i] + rng.integers(1_500)}")
        elif luck < 0.25:
            lines.append(f"{pair}\t1\t{second[i] + 80_000}")
        elif luck < 0.3:
            lines.append(f"{10 + rng.integers(USERS) * 3}\t{700 + rng.integers(ITEMS)}\t1\t{second[i]}")
        elif luck < 0.35:
            lines.append(f"{pair}\t{rng.integers(4, 6)}\t{second[i] + 60}")
    rng.shuffle(lines)
    bad = [
        "10\t700",
        f"10\tx\t0\t{MIDNIGHT}",
        f"11\t700\t0\t{MIDNIGHT}",
        f"10\t1\t0\t{MIDNIGHT}",
        f"10\t700\t6\t{MIDNIGHT}",
        "10\t700\t0\t1",
    ]
    for i, line in enumerate(bad):
        lines.insert(10 + 10 * i, line)
    return [*lines, lines[100], lines[200]]


def main() -> None:
    """Write the three files that are read."""
    rng = np.random.default_rng(2017)
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER / "users.csv", USER, users(rng))
    write(FOLDER / "items.csv", ITEM, items(rng))
    write(FOLDER / "interactions.csv.gz", LOG, log(rng))


if __name__ == "__main__":
    main()
