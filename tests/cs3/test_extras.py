import copy

import pytest
import torch
from torch import nn

from cs3 import CS3Config, CS3Extras, merge
from cs3.cas import CASLinear
from cs3.cms import CascadeVectors
from cs3.cts import CrossVectors
from cs3.extras import cas, cms, cs3, cts

USERS, ITEMS, WIDTH, HIDDEN = 11, 7, 4, 3


def extras(config=None, **params):
    return CS3Extras(config or cs3(**params), users=USERS, items=ITEMS, width=WIDTH, hidden=HIDDEN)


def batch(n=20, seed=0, labels=None):
    generator = torch.Generator().manual_seed(seed)
    return {
        "users": torch.randint(USERS, (n,), generator=generator),
        "items": torch.randint(ITEMS, (n,), generator=generator),
        "labels": torch.rand(n, generator=generator) < 0.5 if labels is None else labels,
        "u": nn.functional.normalize(torch.randn(n, WIDTH, generator=generator)),
        "v": nn.functional.normalize(torch.randn(n, WIDTH, generator=generator)),
        "hidden": torch.rand(n, HIDDEN, generator=generator),
    }


def cross(**settings):
    return CrossVectors(users=USERS, items=ITEMS, user_width=WIDTH, item_width=WIDTH, **settings)


def test_cross_vectors_hold_the_other_sides_positives():
    vectors, rows = cross(), batch()
    vectors.write(*(rows[name] for name in ("users", "items", "labels", "u", "v")), 5)
    c_u, c_v = torch.zeros(USERS, WIDTH), torch.zeros(ITEMS, WIDTH)
    for i in range(20):
        if rows["labels"][i]:
            c_u[rows["users"][i]] = 0.8 * c_u[rows["users"][i]] + 0.2 * rows["v"][i]
            c_v[rows["items"][i]] = 0.8 * c_v[rows["items"][i]] + 0.2 * rows["u"][i]
    torch.testing.assert_close(vectors.users.live, c_u)
    torch.testing.assert_close(vectors.items.live, c_v)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.int64])
def test_negatives_write_nothing(dtype):
    vectors, rows = cross(), batch(labels=torch.zeros(20, dtype=dtype))
    vectors.write(*(rows[name] for name in ("users", "items", "labels", "u", "v")), 5)
    assert not vectors.users.live.any()
    assert not vectors.items.counts.any()


def test_what_is_written_is_unit_so_that_norms_cannot_run_away():
    vectors, rows = cross(), batch(labels=torch.ones(20))
    vectors.write(rows["users"], rows["items"], rows["labels"], 100 * rows["u"], 0 * rows["v"], 5)
    assert vectors.items.live.norm(dim=1).max() <= 1 + 1e-6
    assert not vectors.users.live.any()


@pytest.mark.parametrize("labels", [torch.tensor([0.5, 1.0]), torch.tensor([[0, 1]])])
def test_labels_are_zero_or_one(labels):
    with pytest.raises(ValueError, match="labels =="):
        cross().write(torch.tensor([0, 1]), torch.tensor([0, 1]), labels, torch.zeros(2, 4), torch.zeros(2, 4), 1)


def test_both_sides_get_the_same_hidden_vector_whatever_the_label():
    vectors = CascadeVectors(users=USERS, items=ITEMS, width=HIDDEN)
    hidden = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float16)
    vectors.write(torch.tensor([4]), torch.tensor([2]), hidden, 5)
    torch.testing.assert_close(vectors.users.live[4], torch.tensor([0.2, 0.4, 0.6]))
    assert torch.equal(vectors.users.live[4], vectors.items.live[2])


def test_items_may_have_their_own_decay():
    vectors = CascadeVectors(users=USERS, items=ITEMS, width=HIDDEN, beta=0.5, beta_item=0.75)
    vectors.write(torch.tensor([4]), torch.tensor([2]), torch.ones(1, HIDDEN), 5)
    assert vectors.users.live[4].tolist() == [0.5] * HIDDEN
    assert vectors.items.live[2].tolist() == [0.25] * HIDDEN


def test_normed_hidden_vectors_have_no_scale():
    vectors = CascadeVectors(users=USERS, items=ITEMS, width=HIDDEN, beta=0.0, norm=True)
    vectors.write(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), 5)
    torch.testing.assert_close(vectors.users.live[0], vectors.users.live[1], rtol=1e-4, atol=1e-4)
    assert abs(float(vectors.users.live[0].mean())) < 1e-6


def test_a_new_ranker_empties_the_cascade_vectors():
    state, rows = extras(), batch()
    state.adopt_ranker("dnn-1")
    state.observe(**rows, now=1)
    state.adopt_ranker("dnn-1")
    assert state.cascade.users.live.any()
    state.adopt_ranker("dnn-2")
    assert not state.cascade.users.live.any()
    assert not state.cascade.items.counts.any()
    assert state.cross.users.live.any()


@pytest.mark.parametrize("config", [cs3(), cas(), cts(), cms(), cts(bias_correct=True)])
def test_widths_are_those_of_what_is_read(config):
    state, keys = extras(config), torch.tensor([0, 3])
    expected = WIDTH * config.cts + HIDDEN * config.cms + config.bias_correct
    assert state.user_width == state.item_width == expected
    read_u, read_v = state.read(keys, keys, torch.tensor([1, 1]))
    assert read_u.shape == (2, expected)
    assert read_v.shape == (2, expected)
    assert state.published_users(keys).shape == (2, expected)
    assert state.published_items(keys).shape == (2, expected)
    assert state.published_items().shape == (ITEMS, expected)
    state.observe(**batch(), now=1)
    state.publish(2)


def test_sides_of_different_width():
    state = CS3Extras(cs3(), users=USERS, items=ITEMS, width=4, hidden=3, item_vector_width=6)
    assert (state.user_width, state.item_width) == (6 + 3, 4 + 3)


@pytest.mark.parametrize("read_as_of", ["serve", "latest"])
def test_training_reads_what_was_published_at_serving_or_the_live_state(read_as_of):
    state, rows = extras(read_as_of=read_as_of), batch()
    state.observe(**rows, now=5)
    state.publish(10)
    state.observe(**batch(seed=1), now=15)
    served = state.read(rows["users"], rows["items"], torch.full((20,), 12))
    published = state.published_users(rows["users"]), state.published_items(rows["items"])
    live = torch.cat([state.cross.users.live, state.cascade.users.live], 1)[rows["users"]]
    if read_as_of == "serve":
        assert torch.equal(served[0], published[0])
        assert torch.equal(served[1], published[1])
        assert not state.read(rows["users"], rows["items"], torch.full((20,), 9))[0].any()
    else:
        assert torch.equal(served[0], live)
        assert not torch.equal(served[0], published[0])
        assert torch.equal(served[0], state.read(rows["users"], rows["items"], None)[0])


def test_as_of_is_needed_to_read_as_served():
    with pytest.raises(ValueError, match="as_of == None"):
        extras().read(torch.tensor([0]), torch.tensor([0]), None)


@pytest.mark.parametrize("read_as_of", ["serve", "latest"])
def test_no_read_sees_a_write_of_its_own_batch(read_as_of):
    state, rows = extras(read_as_of=read_as_of), batch()
    reads = state.read(rows["users"], rows["items"], torch.zeros(20, dtype=torch.int64))
    kept = [r.clone() for r in reads]
    state.observe(**rows, now=1)
    state.publish(2)
    assert all(torch.equal(a, b) for a, b in zip(reads, kept, strict=True))
    assert not reads[0].any()


def test_serving_sees_nothing_before_it_is_published():
    state, rows = extras(), batch()
    state.observe(**rows, now=5)
    assert not state.published_users(rows["users"]).any()
    assert not state.published_items().any()
    state.publish(6)
    assert state.published_users(rows["users"]).any()
    assert state.published_items().any()


def test_live_cascade_vectors_reach_the_user_tower_at_once_and_the_index_at_the_next_build():
    state, rows = extras(cms_serving="live"), batch()
    state.publish(8)
    # The rows are older than the last sync, as they are after a label wait.
    state.observe(**rows, now=5)
    users = state.published_users(rows["users"])
    assert not users[:, :WIDTH].any()
    assert torch.equal(users[:, WIDTH:], state.cascade.users.live[rows["users"]])
    assert not state.published_items().any()
    before = state.read(rows["users"], rows["items"], torch.full((20,), 7))[0]
    after = state.read(rows["users"], rows["items"], torch.full((20,), 8))[0]
    assert not before.any()
    assert torch.equal(after, users)
    state.publish(9)
    assert state.published_items().any()


def test_hidden_must_be_there_for_cms_and_only_for_it():
    rows = {**batch(), "hidden": None}
    extras(cts()).observe(**rows, now=1)
    with pytest.raises(ValueError, match="hidden == None, must fit cms, which is on"):
        extras(cms()).observe(**rows, now=1)
    with pytest.raises(ValueError, match="hidden == given, must fit cms, which is off"):
        extras(cts()).observe_ranker(rows["users"], rows["items"], torch.zeros(20, HIDDEN), 1)


def towers():
    return [nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)) for _ in range(2)]


@pytest.mark.parametrize(
    ("config", "user", "item"),
    [
        (cs3(), 1, 0),
        (cas(cas_towers="item"), 0, 1),
        (cas(cas_towers="both", cas_skip_input=False), 2, 2),
        (cts(), 0, 0),
    ],
)
def test_wrap_puts_cas_where_the_config_says(config, user, item):
    pair = towers()
    state = torch.get_rng_state()
    extras(config).wrap(*pair)
    assert torch.equal(torch.get_rng_state(), state)
    assert [sum(isinstance(m, CASLinear) for m in tower.modules()) for tower in pair] == [user, item]


def test_a_tower_without_a_layer_for_cas_is_refused():
    with pytest.raises(ValueError, match="user_tower == Sequential, must have a linear layer"):
        extras().wrap(nn.Sequential(nn.Linear(5, 4)), towers()[0])


def test_restore_mid_stream_continues_bit_equal():
    def run(state, first, last):
        for step in range(first, last):
            state.observe(**batch(seed=step), now=10 * step)
            if step % 2:
                state.publish(10 * step + 1)

    straight = extras()
    straight.adopt_ranker(3)
    run(straight, 0, 5)
    state = copy.deepcopy(straight.snapshot())
    run(straight, 5, 9)
    resumed = extras()
    resumed.restore(state)
    assert resumed.cascade.ranker == 3
    run(resumed, 5, 9)
    keys, times = torch.arange(7), torch.tensor([0, 11, 20, 31, 60, 72, 90])
    for one, other in zip(straight.read(keys, keys, times), resumed.read(keys, keys, times), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(straight.published_items(), resumed.published_items())
    assert torch.equal(straight.cross.users.live, resumed.cross.users.live)


def test_a_snapshot_of_other_mechanisms_is_refused():
    with pytest.raises(ValueError, match=r"state == \['cross'\], must hold \['cascade', 'cross'\]"):
        extras().restore(extras(cts()).snapshot())


def test_a_snapshot_survives_a_file(tmp_path):
    state = extras()
    state.observe(**batch(), now=1)
    state.publish(2)
    torch.save(state.snapshot(), tmp_path / "state.pt")
    again = extras()
    again.restore(torch.load(tmp_path / "state.pt"))
    assert torch.equal(again.published_items(), state.published_items())


def test_factories_turn_their_own_mechanism_on():
    assert [(c.cas, c.cts, c.cms) for c in (cs3(), cas(), cts(), cms(), cs3(cts=False))] == [
        (True, True, True),
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (True, False, True),
    ]


def test_an_unknown_parameter_gets_the_nearest_name():
    with pytest.raises(ValueError, match=r"parameter == 'betta', must be .* did you mean 'beta'\?"):
        cs3(betta=0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("alpha", 1.0), ("beta", -0.1), ("beta_item", 2.0), ("cas_towers", "users"), ("read_as_of", "now"),
     ("cms_serving", "sync"), ("cycles", 0), ("horizon", -1)],
)  # fmt: skip
def test_a_bad_setting_is_one_clear_error(name, value):
    with pytest.raises(ValueError, match=f"{name} == .*{value}.*, must be") as caught:
        CS3Config(**{name: value})
    assert "\n" not in str(caught.value)


def test_merge_is_the_union():
    merged = merge([cas(cycles=2), cts(), cms(beta=0.9)])
    assert merged == cs3(cycles=2, beta=0.9)
    assert merge([cts()]) == cts()
    assert merge([cas(), cts(), cms()]) == cs3()


@pytest.mark.parametrize("configs", [[], [cts(alpha=0.5), cms(alpha=0.6)]])
def test_merge_refuses_nothing_and_contradictions(configs):
    with pytest.raises(ValueError, match="must"):
        merge(configs)
