import copy
import threading

import pytest
import torch
from torch import nn

from cs3 import Batch, CosineLoss, CS3Config, WidenedLinear, attach
from cs3.cas import CASLinear

USERS, ITEMS, HIDDEN = 12, 9, 3
ALL = CS3Config(cas=True, cts=True, cms=True)


def mlp(width_in, width_out=4):
    return nn.Sequential(nn.Linear(width_in, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, width_out))


class Dictionary(nn.Module):
    """A tower in the dictionary form, whose first linear layer is not the first registered."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 4)
        self.ids = nn.Embedding(USERS, 5)
        self.body = nn.Linear(10, 8)

    def forward(self, feats):
        return self.head(self.body(torch.cat([self.ids(feats["id"]), feats["dense"]], 1)).relu())


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, tokens):
        return self.encoder(tokens).mean(1)


class Facets(nn.Module):
    def __init__(self, facets=2, width=3):
        super().__init__()
        self.body, self.shape = nn.Linear(5, facets * width), (facets, width)

    def forward(self, x):
        return self.body(x).reshape(-1, *self.shape)


class BlackBox(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 4))

    def forward(self, x):
        return x @ self.table


def make(user=None, item=None, config=ALL, seed=0, **settings):
    torch.manual_seed(seed)
    user, item = user or mlp(5), item or mlp(6)
    settings = {
        "users": USERS,
        "items": ITEMS,
        "hidden": HIDDEN,
        "user_feats": torch.randn(3, 5),
        "item_feats": torch.randn(3, 6),
        **settings,
    }
    return attach(user, item, config, **settings)


def batch(step, *, labels=None, user_feats=None):
    g = torch.Generator().manual_seed(100 + step)
    n = 16
    rows = Batch(
        users=torch.randint(USERS, (n,), generator=g),
        items=torch.randint(ITEMS, (n,), generator=g),
        user_feats=torch.randn(n, 5, generator=g) if user_feats is None else user_feats,
        item_feats=torch.randn(n, 6, generator=g),
        labels=(torch.rand(n, generator=g) < 0.4).float() if labels is None else labels,
        as_of=torch.full((n,), 10 * step - 5),
        now=10 * step,
    )
    return rows, torch.rand(n, HIDDEN, generator=g)


def run(pair, first, last):
    for step in range(first, last):
        rows, hidden = batch(step)
        pair.train_step(rows)
        if pair.extras.cascade is not None:
            pair.observe_ranker(rows.users, rows.items, hidden, rows.now)
        if step % 2:
            pair.publish(rows.now)


def encoded(pair):
    g = torch.Generator().manual_seed(7)
    users, items = torch.arange(6), torch.arange(6)
    return (
        pair.encode_user(users, torch.randn(6, 5, generator=g)),
        pair.encode_item(items, torch.randn(6, 6, generator=g)),
    )


def test_at_step_zero_nothing_changes():
    torch.manual_seed(0)
    user, item = mlp(5), mlp(6)
    x, y = torch.randn(4, 5), torch.randn(4, 6)
    expected = user(x), item(y)
    pair = make(user, item)
    run_u = pair.user_tower(x, torch.randn(4, pair.extras.user_width))
    run_v = pair.item_tower(y, torch.randn(4, pair.extras.item_width))
    assert torch.equal(run_u, expected[0])
    assert torch.equal(run_v, expected[1])
    assert torch.equal(pair.encode_user(torch.arange(4), x), expected[0])


def test_surgery_is_where_the_paper_puts_it():
    pair = make()
    assert pair.injections == ("input:0", "input:0")
    assert [type(m) for m in pair.user_tower.tower if not isinstance(m, nn.ReLU)] == [
        WidenedLinear,
        CASLinear,
        CASLinear,
    ]
    assert [type(m) for m in pair.item_tower.tower if not isinstance(m, nn.ReLU)] == [
        WidenedLinear,
        nn.Linear,
        nn.Linear,
    ]


def test_the_offline_placement_gates_the_extras_too():
    pair = make(config=CS3Config(cas=True, cts=True, cas_skip_input=False, cas_towers="both"))
    first = pair.user_tower.tower[0]
    assert type(first) is CASLinear
    assert type(first.base) is WidenedLinear
    assert first.gate_bias.shape == (5 + pair.extras.user_width,)
    run(pair, 0, 4)
    assert first.gate_weight.abs().max() > 0


def test_the_first_executed_layer_is_found_whatever_the_order_of_registration():
    tower = Dictionary()
    feats = {"id": torch.tensor([0, 1]), "dense": torch.randn(2, 5)}
    pair = make(tower, user_feats=feats)
    assert pair.injections[0] == "input:body"
    assert type(tower.head) is CASLinear


def test_a_layer_can_be_named():
    assert make(user_layer="2").injections == ("input:2", "input:0")
    with pytest.raises(
        ValueError, match=r"layer == 'heed', must be a plain nn.Linear of the tower; did you mean 'head'\?"
    ):
        make(Dictionary(), user_feats={"id": torch.tensor([0]), "dense": torch.randn(1, 5)}, user_layer="heed")


@pytest.mark.parametrize(
    "config",
    [
        CS3Config(cts=True),
        CS3Config(cms=True),
        CS3Config(cas=True),
        ALL,
        CS3Config(cts=True, bias_correct=True, read_as_of="latest"),
    ],
)
def test_training_moves_the_towers_and_their_memory(config):
    pair = make(config=config)
    before = encoded(pair)
    run(pair, 0, 6)
    assert not torch.equal(encoded(pair)[0], before[0])
    if config.cts:
        assert pair.extras.cross.users.live.any()
        assert pair.user_tower.tower[0].extra_weight.abs().max() > 0
    if config.cas:
        assert pair.user_tower.tower[2].gate_weight.abs().max() > 0


def test_the_memory_lets_towers_learn_what_their_features_do_not_say():
    """Users click on items of their own parity; the features are noise."""
    losses = {}
    for name, config in (("bare", CS3Config()), ("cts", CS3Config(cts=True, read_as_of="latest"))):
        pair = make(config=config, optimizer=lambda p: torch.optim.Adam(p, lr=1e-2))
        g, seen = torch.Generator().manual_seed(1), []
        for step in range(300):
            users, items = torch.randint(USERS, (64,), generator=g), torch.randint(ITEMS, (64,), generator=g)
            parity = (items % 2).float().unsqueeze(1).expand(-1, 6)
            rows = Batch(
                users=users,
                items=items,
                user_feats=torch.randn(64, 5, generator=g),
                item_feats=2 * parity - 1,
                labels=(users % 2 == items % 2).float(),
                as_of=torch.full((64,), step),
                now=step,
            )
            seen.append(pair.train_step(rows))
        losses[name] = sum(seen[-50:]) / 50
    assert losses["bare"] > 0.6
    assert losses["cts"] < 0.3


def test_c_is_written_from_the_forward_before_the_step():
    pair = make(config=CS3Config(cts=True))
    rows, _ = batch(1, labels=torch.cat([torch.ones(1), torch.zeros(15)]))
    pair.item_tower.eval()
    with torch.no_grad():
        v = pair.item_tower(rows.item_feats, torch.zeros(16, pair.extras.item_width))
    pair.train_step(rows)
    torch.testing.assert_close(pair.extras.cross.users.live[rows.users[0]], 0.2 * nn.functional.normalize(v[:1])[0])
    assert pair.extras.cross.users.counts.sum() == 1


def test_flipping_a_label_changes_no_read_of_its_batch_and_no_score_before_the_publication():
    rows, hidden = batch(2)
    flipped, _ = batch(2, labels=1 - rows.labels)
    results = []
    for one in (rows, flipped):
        pair = make()
        run(pair, 0, 2)
        pair.train_step(one)
        pair.observe_ranker(one.users, one.items, hidden, one.now)
        results.append((encoded(pair), pair))
    assert torch.equal(results[0][0][0], results[1][0][0])
    assert torch.equal(results[0][0][1], results[1][0][1])
    for _, pair in results:
        pair.publish(30)
    assert not torch.equal(encoded(results[0][1])[0], encoded(results[1][1])[0])


def test_serving_is_what_was_published():
    pair = make()
    run(pair, 0, 4)
    published = encoded(pair)
    rows, _ = batch(5)
    pair.train_step(rows)
    assert torch.equal(encoded(pair)[0], published[0])
    pair.publish(60)
    now = encoded(pair)
    assert not torch.equal(now[0], published[0])
    g = torch.Generator().manual_seed(7)
    direct = pair.user_tower.eval()(torch.randn(6, 5, generator=g), pair.extras.published_users(torch.arange(6)))
    assert torch.equal(now[0], direct)


def test_restore_mid_stream_continues_bit_equal():
    straight = make()
    run(straight, 0, 5)
    state = straight.snapshot()
    run(straight, 5, 9)
    resumed = make(seed=1)
    for _ in range(2):
        resumed.restore(state)
        assert resumed.clock == 40
        run(resumed, 5, 9)
        for one, other in zip(encoded(straight), encoded(resumed), strict=True):
            assert torch.equal(one, other)
        assert torch.equal(straight.extras.cross.users.live, resumed.extras.cross.users.live)


def test_a_snapshot_survives_a_file(tmp_path):
    pair = make()
    run(pair, 0, 3)
    torch.save(pair.snapshot(), tmp_path / "pair.pt")
    again = make(seed=1)
    again.restore(torch.load(tmp_path / "pair.pt"))
    assert torch.equal(encoded(again)[1], encoded(pair)[1])


def test_old_checkpoints_load_into_the_towers():
    torch.manual_seed(3)
    old = mlp(5)
    user = mlp(5)
    make(user)
    user.load_state_dict(old.state_dict())
    assert torch.equal(user[0].weight, old[0].weight)
    assert not user[0].extra_weight.any()


def test_calling_the_bare_tower_is_an_error_and_the_slot_is_empty_after_a_failure():
    pair = make()
    x = torch.randn(2, 5)
    with pytest.raises(ValueError, match="extras == None"):
        pair.user_tower.tower(x)
    with pytest.raises(RuntimeError):
        pair.user_tower(torch.randn(2, 99), torch.zeros(2, pair.extras.user_width))
    assert pair.user_tower.slot.value is None
    pair.user_tower(x, torch.zeros(2, pair.extras.user_width))
    assert pair.user_tower.slot.value is None


def test_the_slot_belongs_to_its_thread():
    pair = make()
    pair.user_tower.slot.value = torch.zeros(2, pair.extras.user_width)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(pair.user_tower.slot.value))
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_copy_has_its_own_slot():
    pair = make()
    twin = copy.deepcopy(pair.user_tower)
    x, r = torch.randn(2, 5), torch.randn(2, pair.extras.user_width)
    assert torch.equal(twin(x, r), pair.user_tower(x, r))
    assert twin.slot is not pair.user_tower.slot
    assert twin.slot is twin.tower[0].slot


def test_a_transformer_tower():
    torch.manual_seed(0)
    tower = Encoder()
    tokens = torch.randn(4, 3, 6)
    expected = tower.eval()(tokens).detach()
    tower.train()
    pair = make(tower, mlp(6, 6), user_feats=tokens[:2])
    assert pair.injections[0] == "input:encoder.layers.0.linear1"
    assert type(tower.encoder.layers[0].linear2) is CASLinear
    keys = torch.arange(4)
    torch.testing.assert_close(pair.encode_user(keys, tokens), expected)
    for step in range(4):
        rows, hidden = batch(step, user_feats=torch.randn(16, 3, 6))
        pair.train_step(rows)
        pair.observe_ranker(rows.users, rows.items, hidden, rows.now)
        if step == 1:
            pair.publish(rows.now)
    assert tower.encoder.layers[0].linear1.extra_weight.abs().max() > 0
    cold = pair.encode_user(keys, tokens)
    pair.publish(99)
    warm = pair.encode_user(keys, tokens)
    assert not torch.allclose(cold, warm)
    bare = pair.user_tower.eval()(tokens, torch.zeros(4, pair.extras.user_width))
    assert not torch.allclose(warm, bare)


def test_facets_are_stored_flat_and_read_at_their_own_width():
    pair = make(
        Facets(), config=CS3Config(cts=True), loss=lambda u, v, y: ((u.sum((1, 2)) + v.sum(1)) - y).square().mean()
    )
    assert pair.extras.cross.items.live.shape == (ITEMS, 6)
    assert pair.extras.cross.users.live.shape == (USERS, 4)
    run(pair, 0, 4)
    assert encoded(pair)[0].shape == (6, 2, 3)


@pytest.mark.parametrize(("user", "injection"), [(BlackBox, "auto"), (lambda: mlp(5), "output")])
def test_a_black_box_gets_the_output_adapter(user, injection):
    torch.manual_seed(0)
    tower = user()
    x = torch.randn(4, 5)
    expected = nn.functional.normalize(tower(x))
    pair = make(tower, config=CS3Config(cts=True, cms=True), injection=injection)
    assert pair.injections[0] == "output"
    torch.testing.assert_close(pair.user_tower(x, torch.randn(4, pair.extras.user_width)), expected)
    run(pair, 0, 5)
    assert pair.user_tower.correction.abs().max() > 0
    assert encoded(pair)[0].norm(dim=1).tolist() == pytest.approx([1.0] * 6)


def test_the_output_adapter_works_on_facets():
    pair = make(
        Facets(),
        injection="output",
        config=CS3Config(cts=True),
        loss=lambda u, v, y: (u.sum((1, 2)) - y).square().mean(),
    )
    run(pair, 0, 3)
    assert encoded(pair)[0].shape == (6, 2, 3)


def test_one_tower_for_both_sides_can_only_be_corrected_behind():
    tower = mlp(5)
    feats = torch.randn(3, 5)
    with pytest.raises(ValueError, match="must be 'output': the user tower has no linear layer of its own"):
        make(tower, tower, item_feats=feats, injection="input")
    assert make(tower, tower, item_feats=feats).injections == ("output", "output")


def test_a_tower_that_is_one_linear_layer():
    pair = make(nn.Linear(5, 4), config=CS3Config(cts=True))
    assert type(pair.user_tower.tower) is WidenedLinear
    run(pair, 0, 3)


def test_attaching_draws_from_no_generator():
    towers = mlp(5), mlp(6)
    feats = torch.randn(3, 5), torch.randn(3, 6)
    for injection in ("input", "output"):
        state = torch.get_rng_state()
        attach(
            *copy.deepcopy(towers),
            ALL,
            users=3,
            items=3,
            hidden=2,
            user_feats=feats[0],
            item_feats=feats[1],
            injection=injection,
        )
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"injection": "inputs"}, "injection == 'inputs', must be one of"),
        ({"hidden": 0}, "hidden == 0, must be the width"),
        ({"user": nn.Sequential(nn.Linear(5, 4))}, "must have a linear layer that CAS may wrap"),
        ({"user": nn.LSTM(5, 4)}, "tower output == tuple, must be a Tensor"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(settings, says):
    with pytest.raises(ValueError, match=says) as caught:
        make(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"gain": 0.0}, {"base_rate": 0.0}, {"base_rate": 1.0}])
def test_the_loss_refuses_a_bad_start(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} =="):
        CosineLoss(**settings)


def test_the_loss_starts_at_its_base_rate_and_gain():
    loss = CosineLoss(gain=10.0, base_rate=0.2)
    u, v = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 3.0], [2.0, 0.0]])
    torch.testing.assert_close(loss.logits(u, v).sigmoid()[0], torch.tensor(0.2))
    assert loss.logits(u, v).diff().item() == pytest.approx(10.0)
    with pytest.raises(ValueError, match=r"u\.shape == "):
        loss(u, torch.zeros(2, 3), torch.zeros(2))
