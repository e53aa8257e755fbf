"""The last items of each user, folded up from events that come in order of time, a batch at a time."""

from __future__ import annotations

import numpy as np

from simulator.records import PAD, Ints, Keys


class Latest:
    """The last ``length`` items of each user so far.

    Attributes:
        items: int32 [U, length], oldest first, left-padded with -1.
        seen: int64 [U], events so far.
    """

    def __init__(self, users: int, length: int) -> None:
        self.items: Keys = np.full((users, length), PAD, dtype=np.int32)
        self.seen = np.zeros(users, dtype=np.int64)

    def add(self, user: Keys, item: Keys) -> None:
        """Events [n] in order of time, none before those added earlier."""
        length = self.items.shape[1]
        who, new, count = _last(user, item, length)
        taken = np.minimum(count, length)
        # What was there moves to the left by as many places as there are new items, which fill the right.
        column = np.arange(length)
        moved = np.minimum(column + taken[:, None], length - 1)
        old = np.take_along_axis(self.items[who], moved, axis=1)
        self.items[who] = np.where(column < length - taken[:, None], old, new)
        self.seen[who] += count


def _last(user: Keys, item: Keys, length: int) -> tuple[Keys, Keys, Ints]:
    """Users that occur [w], int32 [w, length] their last items right-aligned, and how many each had."""
    order = np.argsort(user, kind="stable")
    who, begin, count = np.unique(user[order], return_index=True, return_counts=True)
    row = np.repeat(np.arange(who.size), count)
    # How far from the user's last: 0 is the latest and goes to the right.
    back = (begin + count)[row] - 1 - np.arange(order.size)
    late = back < length
    items = np.full((who.size, length), PAD, dtype=np.int32)
    items[row[late], length - 1 - back[late]] = item[order][late]
    return who, items, count.astype(np.int64)
