"""Compiled, exported, moved, distributed: the same numbers."""

import subprocess
import sys

import pytest
import torch
from torch import nn, optim
from torch.distributed import destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from cs3 import Batch, CS3Config, attach, gather_rows
from tests.cs3.foreign_towers import ALL, TOWERS, attached, encoded, features, impressions, run


@pytest.fixture(params=TOWERS)
def name(request):
    return request.param


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def trained(name, config=ALL):
    pair = attached(name, config)
    run(pair, name, 0, 6)
    return pair


def test_compiled_in_one_graph_serving_and_training_give_the_same(name):
    eager, compiled = trained(name), trained(name)
    compiled.compile(backend="aot_eager", fullgraph=True)
    for one, other in zip(encoded(eager, name), encoded(compiled, name), strict=True):
        torch.testing.assert_close(one, other)
    assert run(compiled, name, 6, 10) == pytest.approx(run(eager, name, 6, 10), rel=1e-4)
    # Published weights reach the compiled towers.
    for one, other in zip(encoded(eager, name), encoded(compiled, name), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    before = encoded(compiled, name)
    run(compiled, name, 10, 12)
    assert not torch.equal(encoded(compiled, name)[0], before[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_default_compiler_gives_the_same():
    pair = trained("sequential")
    tower, keys = pair.serving_user(), torch.arange(12)
    r, feats = pair.extras.published_users(keys), features("sequential", keys, keys)[0]
    # Scalar code in this process: to ask what the machine's vector units can do costs the compiler half a minute.
    compiled = torch.compile(tower, fullgraph=True, options={"cpp.vec_isa_ok": False, "compile_threads": 1})
    try:
        with torch.no_grad():
            out = compiled(feats, r)
    except torch._inductor.exc.InvalidCxxCompiler:
        pytest.skip("no C++ compiler on this machine")
    torch.testing.assert_close(out, pair.encode_user(keys, feats))


def rows_first(feats, rows):
    return {key: {0: rows} for key in feats} if isinstance(feats, dict) else {0: rows}


def test_exported_towers_give_the_same_for_any_number_of_rows(name, tmp_path):
    pair = trained(name)
    keys = torch.arange(5)
    sample = features(name, keys, keys)
    sides = {
        "user": (pair.serving_user(), sample[0], pair.extras.published_users),
        "item": (pair.serving_item(), sample[1], pair.extras.published_items),
    }
    for place, (side, (tower, feats, read)) in enumerate(sides.items()):
        rows = torch.export.Dim("rows", min=2)
        shapes = {"feats": rows_first(feats, rows), "extras": {0: rows}}
        program = torch.export.export(tower, (feats, read(keys)), dynamic_shapes=shapes)
        torch.export.save(program, tmp_path / f"{side}.pt2")
        loaded = torch.export.load(tmp_path / f"{side}.pt2").module()
        for n in (2, 5, 12):
            some = torch.arange(n)
            expected = tower(features(name, some, some)[place], read(some))
            for ready in (program.module(), loaded):
                torch.testing.assert_close(ready(features(name, some, some)[place], read(some)), expected)
        # r is an input of the program, not a constant of its trace.
        some = torch.arange(12)
        served = features(name, some, some)[place]
        assert not torch.allclose(loaded(served, read(some)), loaded(served, torch.zeros_like(read(some))), atol=1e-4)


def test_an_exported_tower_runs_without_this_package(tmp_path):
    pair = trained("sequential")
    keys = torch.arange(4)
    feats, r = features("sequential", keys, keys)[0], pair.extras.published_users(keys)
    torch.export.save(torch.export.export(pair.serving_user(), (feats, r)), tmp_path / "user.pt2")
    torch.save((feats, r, pair.encode_user(keys, feats)), tmp_path / "case.pt")
    code = (
        "import sys, torch; sys.modules['cs3'] = None\n"
        "feats, r, expected = torch.load(sys.argv[2])\n"
        "torch.testing.assert_close(torch.export.load(sys.argv[1]).module()(feats, r), expected)\n"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "user.pt2"), str(tmp_path / "case.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_shipped_tower_is_a_copy():
    pair = trained("sequential")
    keys = torch.arange(4)
    feats, r = features("sequential", keys, keys)[0], pair.extras.published_users(keys)
    tower = pair.serving_user()
    before = tower(feats, r)
    assert torch.equal(before, pair.encode_user(keys, feats))
    run(pair, "sequential", 6, 10)
    assert torch.equal(tower(feats, r), before)
    assert not tower.training
    assert not any(parameter.requires_grad for parameter in tower.parameters())


def as_double(feats):
    if isinstance(feats, dict):
        return {key: as_double(part) for key, part in feats.items()}
    return feats.double() if feats.is_floating_point() else feats


def test_in_double_precision_towers_train_and_tables_stay_float32_on_the_cpu():
    pair = trained("sequential").to(torch.float64)
    assert {p.dtype for p in pair.user_tower.parameters()} == {torch.float64}
    moments = [s["exp_avg"] for s in pair.optimizer.state.values()]
    assert moments
    assert {m.dtype for m in moments} == {torch.float64}
    rows = impressions("sequential", 6)
    batch = Batch(**{**vars(rows.batch), "user_feats": as_double(rows.batch.user_feats),
                     "item_feats": as_double(rows.batch.item_feats)})  # fmt: skip
    weights = [p.clone() for p in pair.user_tower.parameters()]
    pair.train_step(batch)
    pair.publish(batch.now)
    assert any(not torch.equal(p, was) for p, was in zip(pair.user_tower.parameters(), weights, strict=True))
    assert pair.extras.cross.users.live.dtype == torch.float32
    keys = torch.arange(3)
    assert pair.encode_user(keys, as_double(features("sequential", keys, keys)[0])).dtype == torch.float64
    single = trained("sequential")
    pair = trained("sequential").to(torch.float64).to(torch.float32)
    assert run(pair, "sequential", 6, 9) == run(single, "sequential", 6, 9)


@pytest.mark.parametrize("injection", ["auto", "output"])
def test_on_another_device_reads_follow_the_tower(injection):
    """The meta device holds shapes only, but refuses to meet a tensor of the CPU like any other device."""
    pair = attached("rechub", ALL, injection=injection).to("meta")
    keys = torch.arange(3)
    feats, item_feats = features("rechub", keys, keys)
    out = pair.encode_user(keys, {key: part.to("meta") for key, part in feats.items()})
    assert out.device.type == "meta"
    assert out.shape == (3, 8)
    assert pair.encode_item(keys, {key: part.to("meta") for key, part in item_feats.items()}).device.type == "meta"
    assert pair.extras.cross.users.live.device.type == "cpu"
    live = {id(p) for tower in (pair.user_tower, pair.item_tower, pair.loss) for p in tower.parameters()}
    assert {id(p) for group in pair.optimizer.param_groups for p in group["params"]} == live
    assert {p.device.type for group in pair.optimizer.param_groups for p in group["params"]} == {"meta"}


def test_optimiser_state_follows_parameters_that_are_made_anew():
    pair = trained("sequential").to("meta")
    live = {p for tower in (pair.user_tower, pair.item_tower, pair.loss) for p in tower.parameters()}
    assert set(pair.optimizer.state) == live
    assert {s["exp_avg"].device.type for s in pair.optimizer.state.values()} == {"meta"}


# Two processes on the loopback ----------------------------------------------------------------------------------------

STEPS, ROWS = 5, 32
CUTS = {"even": (0, 16, 32), "uneven": (0, 20, 32)}


def towers_without_batch_norm():
    torch.manual_seed(0)
    return attached("sequential", ALL, optimizer=lambda p: optim.SGD(p, lr=0.1))


def shard(batch, first, last):
    parts = {key: part[first:last] for key, part in vars(batch).items() if isinstance(part, torch.Tensor)}
    return Batch(**{**vars(batch), **parts})


def train_shards(pair, cuts, rank, gather):
    """Each rank learns from its piece of each batch, and writes what all ranks saw."""
    for step in range(STEPS):
        rows = impressions("sequential", step, ROWS)
        batch = shard(rows.batch, cuts[rank], cuts[rank + 1])
        out = pair.learn(batch)
        whole = [gather(part) for part in (batch.users, batch.items, batch.labels, out.u, out.v)]
        pair.observe(*whole, batch.now)
        hidden = gather(rows.hidden[cuts[rank] : cuts[rank + 1]])
        pair.observe_ranker(*whole[:2], hidden, batch.now)
        if step % 2:
            pair.publish(batch.now)
    return pair


def work(rank, folder):
    torch.set_num_threads(1)
    init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        for kind, cuts in CUTS.items():
            pair = towers_without_batch_norm()
            pair.parallel(DistributedDataParallel)
            train_shards(pair, cuts, rank, gather_rows)
            torch.save(pair.snapshot(), f"{folder}/{kind}-{rank}.pt")
    finally:
        destroy_process_group()


def flat(state):
    if isinstance(state, dict):
        return [leaf for key in sorted(state, key=str) for leaf in flat(state[key])]
    return [state] if isinstance(state, torch.Tensor) else []


def test_two_ranks_with_gathered_rows_are_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    torch.multiprocessing.spawn(work, args=(str(tmp_path),), nprocs=2)
    for kind in CUTS:
        ranks = [flat(torch.load(tmp_path / f"{kind}-{rank}.pt")) for rank in range(2)]
        assert len(ranks[0]) > 20
        assert all(torch.equal(a, b) for a, b in zip(*ranks, strict=True))
    # Gradients are averaged over ranks: only shards of one size weigh their rows as one process does.
    alone = train_shards(towers_without_batch_norm(), (0, ROWS), 0, lambda rows: rows)
    state = torch.load(tmp_path / "even-0.pt")
    for mine, theirs in zip(flat(alone.snapshot()), flat(state), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert state["extras"]["cross"]["users"]["counts"].sum() > 0


def test_a_rank_never_writes_its_own_rows_only():
    pair = trained("sequential")
    pair.parallel(lambda towers: nn.Sequential(towers))
    before = flat(pair.snapshot())
    with pytest.raises(ValueError, match="must be learn and observe under parallel"):
        pair.train_step(impressions("sequential", 6).batch)
    assert all(torch.equal(a, b) for a, b in zip(flat(pair.snapshot()), before, strict=True))


def test_learn_and_observe_are_train_step():
    whole, halves = (attached("sequential", CS3Config(cts=True)) for _ in range(2))
    for step in range(4):
        batch = impressions("sequential", step).batch
        loss = whole.train_step(batch)
        before = halves.extras.cross.users.live.clone()
        out = halves.learn(batch)
        assert torch.equal(halves.extras.cross.users.live, before)
        assert out.loss == loss
        halves.observe(batch.users, batch.items, batch.labels, out.u, out.v, batch.now)
    assert all(torch.equal(a, b) for a, b in zip(flat(whole.snapshot()), flat(halves.snapshot()), strict=True))


def test_two_pairs_share_nothing():
    """No hidden global state: pairs trained in turns are what each is alone."""
    alone = [trained("sequential"), trained("rechub")]
    together = [attached("sequential", ALL), attached("rechub", ALL)]
    for step in range(6):
        for name, pair in zip(("sequential", "rechub"), together, strict=True):
            run(pair, name, step, step + 1)
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(flat(one.snapshot()), flat(other.snapshot()), strict=True))


def test_the_default_pair_compiles_without_any_mechanism():
    torch.manual_seed(0)
    tower = nn.Sequential(nn.Linear(3, 4))
    pair = attach(
        tower,
        nn.Sequential(nn.Linear(2, 4)),
        CS3Config(),
        users=3,
        items=3,
        user_feats=torch.randn(2, 3),
        item_feats=torch.randn(2, 2),
    )
    pair.compile(backend="eager", fullgraph=True)
    x = torch.randn(2, 3)
    torch.testing.assert_close(pair.encode_user(torch.tensor([0, 1]), x), tower(x))
