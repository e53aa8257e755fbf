"""What every vector store does, whatever holds it, and what the towers are served through it."""

from __future__ import annotations

import threading
import uuid

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from cs3 import Batch, CS3Config, CS3Extras, attach
from cs3.cms import CascadeVectors
from cs3.embedded import EmbeddedStore, EmbeddedStores, TwoSlots
from cs3.mapped import MappedStores
from cs3.store import VectorTable
from cs3.versions import EVER

ROWS, WIDTH, USERS, ITEMS, HIDDEN = 9, 4, 11, 7, 3
BACKENDS = ["embedded", "mapped", "server"]


@pytest.fixture(params=BACKENDS)
def arm(request, tmp_path):
    """Makes the stores of a new arm, or of one that was made before by its name."""

    def make(name=None, **settings_):
        name = name or uuid.uuid4().hex
        if request.param == "embedded":
            return kept.setdefault(name, EmbeddedStores())
        if request.param == "mapped":
            return MappedStores(tmp_path / name)
        from cs3.server import ServerStores

        return ServerStores(request.getfixturevalue("server_url"), name, timeout=10.0, **settings_)

    kept = {}
    make.backend = request.param
    return make


@pytest.fixture
def store(arm):
    return arm().open("cross-users", rows=ROWS, width=WIDTH)


def keys(*values):
    return torch.tensor(values, dtype=torch.int64)


def test_a_new_store_is_cold(store):
    assert store.version() == EVER
    assert torch.equal(store.fetch(torch.arange(ROWS)), torch.zeros(ROWS, WIDTH))
    assert store.fetch(keys()).shape == (0, WIDTH)


def test_what_was_put_is_fetched_and_the_rest_is_cold(store):
    store.put(keys(7, 2), torch.tensor([[7.0] * WIDTH, [2.0] * WIDTH]), 5)
    store.put(keys(2), torch.full((1, WIDTH), 2.5, dtype=torch.float64), 6)
    found = store.fetch(keys(2, 0, 7, 7, 8))
    assert found.dtype == torch.float32
    assert found[:, 0].tolist() == [2.5, 0.0, 7.0, 7.0, 0.0]
    assert store.version() == 6
    found.fill_(9.0)
    assert store.fetch(keys(7))[0, 0] == 7.0


def test_replacing_makes_the_rest_cold_and_may_go_back_in_time(store):
    store.put(keys(1, 2), torch.ones(2, WIDTH), 5)
    store.put(keys(2, 3), torch.full((2, WIDTH), 4.0), 3, replace=True)
    assert store.fetch(torch.arange(5))[:, 0].tolist() == [0, 0, 4, 4, 0]
    assert store.version() == 3
    store.put(keys(), torch.zeros(0, WIDTH), 2, replace=True)
    assert not store.fetch(torch.arange(5)).any()
    assert store.version() == 2


def test_clearing_forgets_the_version_too(store):
    store.put(keys(1), torch.ones(1, WIDTH), 5)
    store.clear()
    assert store.version() == EVER
    assert not store.fetch(torch.arange(ROWS)).any()
    store.put(keys(1), torch.ones(1, WIDTH), 1)
    assert store.fetch(keys(1)).all()


NAN = torch.tensor([[0.0, float("nan"), 0.0, float("inf")]])


@pytest.mark.parametrize(
    ("keys_", "vectors", "version", "says"),
    [
        (keys(0, 9), torch.zeros(2, WIDTH), 7, r"keys == 0..9, must be in \[0, 9\)"),
        (keys(-1), torch.zeros(1, WIDTH), 7, "keys == -1..-1, must be in"),
        (torch.tensor([1.0]), torch.zeros(1, WIDTH), 7, "keys == torch.float32 .*, must be integers"),
        (keys(3, 1, 3), torch.zeros(3, WIDTH), 7, "keys == 3 of which 2 distinct"),
        (keys(1), torch.zeros(1, 5), 7, r"vectors.shape == \(1, 5\), must be \(1, 4\)"),
        (keys(1, 2), torch.zeros(1, WIDTH), 7, r"vectors.shape == \(1, 4\), must be \(2, 4\)"),
        (keys(1), torch.zeros(1, WIDTH, dtype=torch.int64), 7, "vectors.dtype == torch.int64, must be a float"),
        (keys(1), NAN, 7, "vectors == 2 of 4 not finite"),
        (keys(1), torch.zeros(1, WIDTH), 4, "version == 4, must be at least 5"),
        (keys(1), torch.zeros(1, WIDTH), 2**63, "version == 9223372036854775808, must be an int64"),
    ],
)
def test_a_bad_publication_is_one_clear_error_and_writes_nothing(store, keys_, vectors, version, says):
    store.put(keys(1), torch.ones(1, WIDTH), 5)
    with pytest.raises(ValueError, match=says) as caught:
        store.put(keys_, vectors, version)
    assert "\n" not in str(caught.value)
    assert store.version() == 5
    assert store.fetch(torch.arange(ROWS)).sum(1).tolist() == [0, WIDTH, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("bad", [keys(0, 9), keys(-1), torch.tensor([0.5]), torch.tensor([[1]])])
def test_unknown_keys_are_refused_when_they_are_fetched(store, bad):
    with pytest.raises(ValueError, match="keys =="):
        store.fetch(bad)


@pytest.mark.parametrize(("rows", "width", "says"), [(0, 2, "rows == 0"), (2, 0, "width == 0")])
def test_a_store_has_rows_and_columns(arm, rows, width, says):
    with pytest.raises(ValueError, match=says):
        arm().open("cross-users", rows=rows, width=width)


def test_a_store_of_another_width_is_refused_and_stays(arm):
    name = uuid.uuid4().hex
    arm(name).open("cross-users", rows=ROWS, width=WIDTH).put(keys(1), torch.ones(1, WIDTH), 5)
    with pytest.raises(ValueError, match=r"== \(?.*4.*, must be .*6") as caught:
        arm(name).open("cross-users", rows=ROWS, width=6)
    assert "\n" not in str(caught.value)
    assert "cross-users" in str(caught.value)
    again = arm(name).open("cross-users", rows=ROWS, width=WIDTH)
    assert again.version() == 5
    assert again.fetch(keys(1)).all()


def test_two_arms_never_see_each_other(arm):
    one, other = arm("one" + uuid.uuid4().hex), arm("one" + uuid.uuid4().hex)
    first, second = (x.open("cascade-users", rows=ROWS, width=WIDTH, ranker="r") for x in (one, other))
    first.put(keys(1), torch.ones(1, WIDTH), 5)
    one.switch("r")
    assert not second.fetch(torch.arange(ROWS)).any()
    assert second.version() == EVER
    assert (one.ranker(), other.ranker()) == ("r", "")
    second.put(keys(1), torch.full((1, WIDTH), 2.0), 1)
    second.clear()
    assert first.fetch(keys(1))[0, 0] == 1.0


def test_a_table_of_each_ranker_and_one_step_between_them(arm):
    """The window of warming up: both rankers' vectors are written, the old one's are served."""
    stores = arm()
    old, new = (stores.open("cascade-users", rows=ROWS, width=WIDTH, ranker=r) for r in ("v1", "v2/wide é"))
    stores.switch("v1")
    for now in (5, 6):
        old.put(keys(1), torch.full((1, WIDTH), float(now)), now)
        new.put(keys(1), torch.full((1, WIDTH), -float(now)), now)
    served = stores.open("cascade-users", rows=ROWS, width=WIDTH, ranker=stores.ranker())
    assert served.fetch(keys(1))[0, 0] == 6.0
    stores.switch("v2/wide é")
    served = stores.open("cascade-users", rows=ROWS, width=WIDTH, ranker=stores.ranker())
    assert served.fetch(keys(1))[0, 0] == -6.0


def test_more_keys_than_a_command_takes(arm):
    rows = 10_000
    store = arm().open("cross-users", rows=rows, width=2)
    vectors = torch.arange(2 * rows, dtype=torch.float32).view(rows, 2)
    store.put(torch.arange(rows), vectors, 1)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(0))
    assert torch.equal(store.fetch(order), vectors[order])
    store.put(order[:5000], vectors[:5000], 2, replace=True)
    assert torch.equal(store.fetch(order[:5000]), vectors[:5000])
    assert not store.fetch(order[5000:]).any()


def test_readers_see_all_of_a_publication_or_none(arm):
    """Each publication gives all keys one value; a reader beside it never finds two."""
    name = uuid.uuid4().hex
    rows, publications = 5000, 40
    writer, reader = (arm(name).open("cross-users", rows=rows, width=8) for _ in range(2))
    writer.put(torch.arange(rows), torch.zeros(rows, 8), 0)
    done, seen = threading.Event(), []

    def read():
        while not done.is_set():
            found = reader.fetch(torch.arange(rows))
            seen.append((float(found.min()), float(found.max())))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for value in range(1, publications):
            replace = value % 8 == 0
            writer.put(torch.arange(rows), torch.full((rows, 8), float(value)), value, replace=replace)
    finally:
        done.set()
        thread.join()
    assert seen
    assert all(low == high for low, high in seen)
    assert float(reader.fetch(keys(0))[0, 0]) == publications - 1


def test_a_reader_that_was_overtaken_reads_again():
    store = EmbeddedStore(3, 1)
    slots = store._slots
    store.put(keys(0, 1), torch.ones(2, 1), 1)

    class Overtaken(TwoSlots):
        """Two publications happen between the look at the head and the look at the slots."""

        @property
        def slots(self):
            if pending:
                pending.pop()
                for version in (2, 3):
                    slots.put(keys(0, 1), torch.full((2, 1), float(version)), version, replace=False)
            return slots.slots

        @slots.setter
        def slots(self, value):
            pass

    pending = [True]
    found = Overtaken(slots.state, slots.heads, slots.slots).fetch(keys(0, 1))
    assert found.squeeze(1).tolist() == [3.0, 3.0]


def test_a_publication_that_was_cut_off_leaves_the_former_one():
    """The writer dies right before the step, at the worst place: all is written but the one number."""
    store = EmbeddedStore(4, 1)
    store.put(keys(0, 1), torch.ones(2, 1), 1)

    def die(sequence):
        raise KeyboardInterrupt

    step, store._slots.commit = store._slots.commit, die
    for replace in (False, True):
        with pytest.raises(KeyboardInterrupt):
            store.put(keys(1, 2), torch.full((2, 1), 5.0), 2, replace=replace)
        assert store.fetch(torch.arange(4)).squeeze(1).tolist() == [1, 1, 0, 0]
        assert store.version() == 1
    store._slots.commit = step
    store.put(keys(2), torch.full((1, 1), 7.0), 2)
    assert store.fetch(torch.arange(4)).squeeze(1).tolist() == [1, 1, 7, 0]


def extras(stores=None, **settings_):
    config = CS3Config(**{"cts": True, "cms": True, "horizon": 50, **settings_})
    return CS3Extras(config, users=USERS, items=ITEMS, width=WIDTH, hidden=HIDDEN, stores=stores)


def served_equal(one, other):
    some = torch.tensor([3, 0, 3, 6])
    for of in ("published_users", "published_items"):
        for rows in (None, some):
            assert torch.equal(getattr(one, of)(rows), getattr(other, of)(rows))


def step(vectors, action, seed, now):
    """One step of a stream, the same for every ``vectors``."""
    g = torch.Generator().manual_seed(seed)
    n = int(torch.randint(1, 12, (1,), generator=g))
    users, items = torch.randint(USERS, (n,), generator=g), torch.randint(ITEMS, (n,), generator=g)
    u, v, h = (torch.randn(n, width, generator=g) for width in (WIDTH, WIDTH, HIDDEN))
    labels = torch.rand(n, generator=g) < 0.5
    if action == "write":
        vectors.observe(users, items, labels, u, v, h, now)
    elif action == "ranker":
        vectors.observe_ranker(users, items, h, now)
    elif action == "adopt":
        vectors.adopt_ranker(f"v{seed % 3}")
    elif action == "warm":
        warmed = CascadeVectors(users=USERS, items=ITEMS, width=HIDDEN, horizon=50)
        warmed.write(users, items, h, now)
        vectors.adopt_ranker(f"v{seed % 3}", warmed)
    elif action == "reset":
        vectors.cross.reset()
    else:
        vectors.publish(now)


ACTIONS = ["write", "write", "ranker", "publish", "publish", "adopt", "warm", "reset", "save", "load"]


@given(
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1000)), max_size=25),
    live=st.booleans(),
    bias_correct=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_serving_through_a_store_is_bit_equal_to_the_tables(arm, actions, live, bias_correct):
    """Over any stream of writes, publications, rankers, snapshots and restores."""
    how = {"cms_serving": "live" if live else "synced", "bias_correct": bias_correct}
    plain, stored = extras(**how), extras(arm(), **how)
    saved = None
    for now, (action, seed) in enumerate(actions):
        if action == "save":
            saved = plain.snapshot(), stored.snapshot()
        elif action == "load" and saved:
            plain.restore(saved[0])
            stored.restore(saved[1])
        elif action not in ("save", "load"):
            step(plain, action, seed, now)
            step(stored, action, seed, now)
        served_equal(plain, stored)


def test_a_new_process_is_served_what_the_former_left_until_it_publishes(arm):
    name = uuid.uuid4().hex
    first = extras(arm(name))
    first.adopt_ranker("v1")
    for now, action in enumerate(["write", "publish", "write", "publish"]):
        step(first, action, now, now)
    state = first.snapshot()
    second = extras(arm(name))
    served_equal(first, second)
    assert first.published_users().any()
    second.restore(state)
    for vectors in (first, second):
        for now in range(4, 8):
            step(vectors, "write", now, now)
        vectors.publish(8)
    served_equal(first, second)
    third = extras(arm(name))
    step(third, "write", 1, 1)
    third.publish(9)
    plain = extras()
    step(plain, "write", 1, 1)
    plain.publish(9)
    served_equal(plain, third)


def test_a_new_ranker_is_served_from_its_own_store_and_the_old_one_stays(arm):
    name = uuid.uuid4().hex
    stores = arm(name)
    vectors = extras(stores)
    vectors.adopt_ranker("v1")
    step(vectors, "ranker", 1, 1)
    vectors.publish(2)
    old = vectors.published_users()
    assert stores.ranker() == "v1"
    vectors.adopt_ranker("v2")
    step(vectors, "ranker", 2, 3)
    assert stores.ranker() == "v1"
    assert torch.equal(vectors.published_users(), old)
    vectors.publish(4)
    assert stores.ranker() == "v2"
    table = vectors.cascade.users
    kept = arm(name).open("cascade-users", rows=USERS, width=HIDDEN, ranker="v1")
    assert torch.equal(kept.fetch(torch.arange(USERS)), old[:, -HIDDEN:])
    assert torch.equal(table.published(), table.live)


def test_live_s_is_written_through_at_each_write(arm):
    name = uuid.uuid4().hex
    vectors = extras(arm(name), cts=False, cms_serving="live")
    elsewhere = extras(arm(name), cts=False, cms_serving="live")
    step(vectors, "ranker", 1, 1)
    assert torch.equal(elsewhere.published_users(), vectors.cascade.users.live)
    assert vectors.cascade.users.live.any()
    assert not elsewhere.published_items().any()


def test_a_store_that_lost_its_data_gets_the_whole_table_again(arm):
    name = uuid.uuid4().hex
    vectors, plain = extras(arm(name)), extras()
    for now, action in enumerate(["write", "publish", "write"]):
        step(vectors, action, now, now)
        step(plain, action, now, now)
    for table, rows, width in (("cross-users", USERS, WIDTH), ("cascade-items", ITEMS, HIDDEN)):
        arm(name).open(table, rows=rows, width=width).clear()
    vectors.publish(5)
    plain.publish(5)
    served_equal(vectors, plain)


def test_a_store_that_fails_leaves_nothing_published_and_may_be_tried_again():
    class Failing(EmbeddedStore):
        away = True

        def put(self, *args, **kwargs):
            if self.away:
                raise ConnectionError("away")
            super().put(*args, **kwargs)

    table, store = VectorTable(ROWS, WIDTH, decay=0.5), Failing(ROWS, WIDTH)
    table.serve_from(store)
    table.write(keys(1), torch.ones(1, WIDTH), 1)
    with pytest.raises(ConnectionError):
        table.publish(2)
    assert table.published_at == EVER
    store.away = False
    table.publish(2)
    assert torch.equal(table.published(), table.live)
    assert torch.equal(table.read(keys(1), keys(2)), table.live[1:2])


def test_a_table_takes_only_a_store_of_its_shape():
    table = VectorTable(ROWS, WIDTH, decay=0.5)
    for take in (table.serve_from, table.move_to):
        with pytest.raises(ValueError, match=r"store \(rows, width\) == \(9, 5\), must be \(9, 4\)"):
            take(EmbeddedStore(ROWS, 5))
    with pytest.raises(ValueError, match=r"table.shape == \(9, 5\), must be \(9, 4\)"):
        table.take_over(VectorTable(ROWS, 5, decay=0.5))


def test_a_pair_serves_through_its_stores(arm):
    def pair(stores):
        torch.manual_seed(0)
        towers = [nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, WIDTH)) for _ in range(2)]
        config = CS3Config(cas=True, cts=True, cms=True)
        feats = torch.randn(3, 5)
        made = attach(
            *towers, config, users=USERS, items=ITEMS, user_feats=feats, item_feats=feats, hidden=HIDDEN, stores=stores
        )
        g = torch.Generator().manual_seed(1)
        for now in (10, 20, 30):
            users, items = torch.randint(USERS, (16,), generator=g), torch.randint(ITEMS, (16,), generator=g)
            made.train_step(
                Batch(
                    users=users,
                    items=items,
                    user_feats=torch.randn(16, 5, generator=g),
                    item_feats=torch.randn(16, 5, generator=g),
                    labels=(torch.rand(16, generator=g) < 0.5).float(),
                    as_of=torch.full((16,), now - 5),
                    now=now,
                )
            )
            made.observe_ranker(users, items, torch.rand(16, HIDDEN, generator=g), now)
            made.publish(now)
        return made

    plain, stored = pair(None), pair(arm())
    x = torch.randn(USERS, 5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(plain.encode_user(torch.arange(USERS), x), stored.encode_user(torch.arange(USERS), x))
    assert torch.equal(
        plain.encode_item(torch.arange(ITEMS), x[:ITEMS]), stored.encode_item(torch.arange(ITEMS), x[:ITEMS])
    )
    assert stored.extras.cross.users.store.fetch(torch.arange(USERS)).any()
