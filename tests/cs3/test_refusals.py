"""What does not fit is refused in one line that says what was found and what is wanted; nothing is written."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cs3 import CS3Config, CS3Extras, VectorTable, attach
from tests.cs3.foreign_towers import ALL, HIDDEN, ITEMS, USERS, attached, impressions, run

NAN = float("nan")


def flat(state):
    if isinstance(state, dict):
        return [leaf for key in sorted(state, key=str) for leaf in flat(state[key])]
    return [state.clone() if isinstance(state, torch.Tensor) else state]


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(one, other, strict=True)
    )


def spoiled(tensor, value, place=3):
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


BATCHES = {
    "unknown user": (lambda b: replace(b, users=spoiled(b.users, USERS)), r"keys == \d+\.\.40, must be in \[0, 40\)"),
    "unknown item": (lambda b: replace(b, items=spoiled(b.items, -1)), r"keys == -1\.\.\d+, must be in \[0, 30\)"),
    "keys of another type": (lambda b: replace(b, users=b.users.float()), r"keys == torch.float32 \(32,\), must"),
    "fewer items": (lambda b: replace(b, items=b.items[:-1]), r"items\.shape == \(31,\), must be \(32,\)"),
    "fewer labels": (lambda b: replace(b, labels=b.labels[:-1]), r"labels\.shape == \(31,\), must be \(32,\)"),
    "labels of two columns": (lambda b: replace(b, labels=torch.zeros(32, 2)), r"labels\.shape == \(32, 2\)"),
    "a label of 2": (lambda b: replace(b, labels=spoiled(b.labels, 2.0)), r"labels == .* must be \[n\] of 0 and 1"),
    "a label of NaN": (lambda b: replace(b, labels=spoiled(b.labels, NAN)), "labels == 1 of 32 not finite"),
    "no serving times": (lambda b: replace(b, as_of=None), "as_of == None, must be int64"),
    "fewer serving times": (lambda b: replace(b, as_of=b.as_of[:-1]), r"as_of == torch.int64 \(31,\), must be"),
    "a serving time too old": (lambda b: replace(b, as_of=b.as_of - 10**9), "as_of == -.*, must be at least"),
    "NaN among user features": (
        lambda b: replace(b, user_feats={**b.user_feats, "age": spoiled(b.user_feats["age"], NAN)}),
        r"user_feats\['age'\] == 1 of 32 not finite",
    ),
    "fewer item features": (
        lambda b: replace(b, item_feats={key: part[:-1] for key, part in b.item_feats.items()}),
        r"extras\.shape == \(32, 14\), must be \(31, 14\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_that_does_not_fit_teaches_nothing(case):
    """torch-rechub's towers have batch norms: their running statistics must not move either."""
    pair = attached("rechub", replace(ALL, horizon=10))  # short, so that a time can be too old
    run(pair, "rechub", 0, 4)
    before = flat(pair.snapshot())
    spoil, says = BATCHES[case]
    batch = spoil(impressions("rechub", 4).batch)
    with pytest.raises(ValueError, match=says) as caught:
        pair.train_step(batch)
    assert "\n" not in str(caught.value)
    assert same(flat(pair.snapshot()), before)


class Odd(nn.Module):
    """A tower that spoils its output when a feature says so."""

    def __init__(self):
        super().__init__()
        self.norm, self.body, self.spoil = nn.BatchNorm1d(5), nn.Linear(5, 8), None

    def forward(self, x):
        out = self.body(self.norm(x))
        return out if self.spoil is None else self.spoil(out)


@pytest.mark.parametrize("injection", ["input", "output"])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda out: out * NAN, "u == 256 of 256 not finite"),
        (lambda out: out[:-1], r"\(3[12], \d+\)"),
        (lambda out: torch.cat([out, out], 1), r"== \(32, \d+\), must be .*\(32, \d+\)"),
        (lambda out: out.reshape(-1), "tower output|extras|u.shape|output|index"),
    ],
    ids=["NaN", "fewer rows", "another width", "no columns"],
)
def test_a_tower_that_goes_wrong_teaches_nothing(spoil, says, injection):
    user, item = Odd(), nn.Sequential(nn.Linear(4, 8))
    pair = attached("sequential", CS3Config(cts=True, cms=True), pair=(user, item), injection=injection)
    run(pair, "sequential", 0, 4)
    before = flat(pair.snapshot())
    pair.user_tower.tower.spoil = spoil
    with pytest.raises(ValueError, match=says) as caught:
        pair.train_step(impressions("sequential", 4).batch)
    assert "\n" not in str(caught.value)
    assert same(flat(pair.snapshot()), before)


KEYS = torch.arange(4)
ROWS = torch.ones(4, HIDDEN)


@pytest.mark.parametrize(
    ("users", "items", "hidden", "says"),
    [
        (KEYS, KEYS + ITEMS, ROWS, r"keys == 30\.\.33, must be in \[0, 30\)"),
        (KEYS - 1, KEYS, ROWS, r"keys == -1\.\.2, must be in \[0, 40\)"),
        (KEYS, KEYS[:3], ROWS, r"values\.shape == \(4, 6\), must be \(3, 6\)"),
        (KEYS, KEYS, ROWS[:, :5], r"values\.shape == \(4, 5\), must be \(4, 6\)"),
        (KEYS, KEYS, spoiled(ROWS, NAN), "values == 6 of 24 not finite"),
        (KEYS, KEYS, spoiled(ROWS, float("inf")), "values == 6 of 24 not finite"),
        (KEYS, KEYS, None, "hidden == None, must fit cms, which is on"),
    ],
)
def test_the_ranker_s_rows_are_written_on_both_sides_or_on_none(users, items, hidden, says):
    pair = attached("sequential", ALL)
    run(pair, "sequential", 0, 4)
    before = flat(pair.snapshot())
    with pytest.raises(ValueError, match=says):
        pair.observe_ranker(users, items, hidden, 40)
    # The trainer's door, too: the cross vectors wait for the check of the ranker's.
    with pytest.raises(ValueError, match=says):
        pair.extras.observe(users, items, torch.ones(4), torch.ones(4, 8), torch.ones(4, 8), hidden, 40)
    assert same(flat(pair.snapshot()), before)


@pytest.mark.parametrize(
    ("items", "labels", "u", "says"),
    [
        (KEYS + ITEMS, torch.ones(4), torch.ones(4, 8), r"keys == 30\.\.33"),
        (KEYS, torch.ones(4), torch.ones(4, 7), r"values\.shape == \(4, 7\), must be \(4, 8\)"),
        (KEYS, torch.ones(4), spoiled(torch.ones(4, 8), NAN), "values == 8 of 32 not finite"),
        (KEYS, torch.zeros(4), spoiled(torch.ones(4, 8), NAN), "values == 8 of 32 not finite"),
        (KEYS, torch.full((4,), 0.5), torch.ones(4, 8), "labels =="),
        (KEYS, torch.ones(3), torch.ones(4, 8), r"labels\.shape == \(3,\), must be \(4,\)"),
        (KEYS[:3], torch.ones(4), torch.ones(4, 8), r"values\.shape == \(4, 8\), must be \(3, 8\)"),
    ],
)
def test_cross_rows_are_written_on_both_sides_or_on_none(items, labels, u, says):
    pair = attached("sequential", ALL)
    run(pair, "sequential", 0, 4)
    before = flat(pair.snapshot())
    with pytest.raises(ValueError, match=says):
        pair.observe(KEYS, items, labels, u, torch.ones(4, 8), 40)
    assert same(flat(pair.snapshot()), before)


def test_a_publication_before_the_last_one_changes_nothing():
    pair = attached("sequential", CS3Config(cas=True, cts=True, cms=True, cms_serving="live"))
    run(pair, "sequential", 0, 4)
    rows = impressions("sequential", 8)
    pair.train_step(rows.batch)
    pair.observe_ranker(rows.batch.users, rows.batch.items, rows.hidden, 90)  # live: published as it is written
    before = flat(pair.snapshot())
    with pytest.raises(ValueError, match="now == 85, must be at least 90"):
        pair.publish(85)
    assert same(flat(pair.snapshot()), before)


@pytest.mark.parametrize(
    ("keys", "rows", "says"),
    [
        (torch.tensor([0, USERS]), 2, r"keys == 0\.\.40, must be in \[0, 40\)"),
        (torch.tensor([0.0, 1.0]), 2, "must be integers"),
        (torch.tensor([[0], [1]]), 2, r"keys == torch.int64 \(2, 1\), must be integers \[n\]"),
        (torch.tensor([0, 1, 2]), 2, r"extras\.shape == \(3, 14\), must be \(2, 14\)"),
    ],
)
@pytest.mark.parametrize("injection", ["input", "output"])
def test_serving_refuses_unknown_keys(keys, rows, says, injection):
    pair = attached("sequential", ALL, injection=injection)
    with pytest.raises(ValueError, match=says):
        pair.encode_user(keys, torch.zeros(rows, 5))


def other(**changed):
    sizes = {"users": USERS, "items": ITEMS, "hidden": HIDDEN, "width": 8, "config": ALL, **changed}
    torch.manual_seed(1)
    user, item = (nn.Sequential(nn.Linear(n, 16), nn.ReLU(), nn.Linear(16, sizes["width"])) for n in (5, 4))
    config, width = sizes.pop("config"), sizes.pop("width")
    assert width
    return attach(user, item, config, user_feats=torch.zeros(2, 5), item_feats=torch.zeros(2, 4), **sizes)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"users": USERS + 1}, r"state\.shape == \(41, 8\), must be \(40, 8\)"),
        ({"items": ITEMS - 1}, r"state\.shape == \(29, 8\), must be \(30, 8\)"),
        ({"hidden": HIDDEN + 1}, r"live\['item\.tower\.0\.extra_weight'\] == \(16, 15\), must be \(16, 14\)"),
        ({"width": 9}, r"live\['item\.tower\.0\.extra_weight'\] == \(16, 15\), must be \(16, 14\)"),
        ({"config": CS3Config(cts=True, cms=True)}, r"live\['user\.tower\.2\..*'\] == .*, must be"),
    ],
)
def test_the_snapshot_of_another_pair_is_refused_whole(changed, says):
    pair = other()
    run(pair, "sequential", 0, 4)
    before = flat(pair.snapshot())
    with pytest.raises(ValueError, match=says) as caught:
        pair.restore(other(**changed).snapshot())
    assert "\n" not in str(caught.value)
    assert same(flat(pair.snapshot()), before)
    state = pair.snapshot()
    del state["clock"]
    with pytest.raises(ValueError, match=r"state == .*, must hold .*clock"):
        pair.restore(state)


def test_the_state_of_other_extras_is_refused_whole():
    def make(items=ITEMS):
        return CS3Extras(ALL, users=USERS, items=items, width=8, hidden=HIDDEN)

    mine, theirs = make(), make(ITEMS + 1)
    for extras in (mine, theirs):
        extras.observe(KEYS, KEYS, torch.ones(4), torch.ones(4, 8), torch.ones(4, 8), ROWS, 1)
    theirs.observe(KEYS, KEYS, torch.ones(4), torch.ones(4, 8), torch.ones(4, 8), ROWS, 2)
    before = flat(mine.snapshot())
    with pytest.raises(ValueError, match=r"state\.shape == \(31, 8\), must be \(30, 8\)"):
        mine.restore(theirs.snapshot())
    assert same(flat(mine.snapshot()), before)
    corrected = CS3Extras(replace(ALL, bias_correct=True), users=USERS, items=ITEMS, width=8, hidden=HIDDEN)
    with pytest.raises(ValueError, match=r"state\.read_width == 9, must be 8"):
        mine.restore(corrected.snapshot())
    with pytest.raises(ValueError, match=r"state == .*, must hold"):
        mine.restore({"cross": mine.snapshot()["cross"]})


@pytest.mark.parametrize(
    ("keys", "values", "says"),
    [
        (torch.tensor([0, 5]), torch.ones(2, 3), r"keys == 0\.\.5, must be in \[0, 5\)"),
        (torch.tensor([0, 1]), torch.ones(2, 4), r"values\.shape == \(2, 4\), must be \(2, 3\)"),
        (torch.tensor([0, 1]), torch.full((2, 3), NAN), "values == 6 of 6 not finite"),
        (torch.tensor([True, False]), torch.ones(2, 3), "keys == torch.bool"),
    ],
)
def test_a_table_refuses_and_stays(keys, values, says):
    table = VectorTable(5, 3, decay=0.8)
    table.write(torch.tensor([0, 1]), torch.ones(2, 3), 1)
    before = flat(table.snapshot())
    for write in (table.check, lambda *rows: table.write(*rows, 2)):
        with pytest.raises(ValueError, match=says):
            write(keys, values)
    assert same(flat(table.snapshot()), before)
