import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cs3.store import VectorTable, ema_


def one_by_one(table, keys, values, decay):
    table = table.clone()
    for key, value in zip(keys.tolist(), values, strict=True):
        table[key] = decay * table[key] + (1 - decay) * value
    return table


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 500),
    rows=st.integers(1, 40),
    decay=st.sampled_from([0.0, 0.5, 0.8, 0.98]),
)
@settings(max_examples=60, deadline=None)
def test_a_batch_equals_one_write_after_the_other(seed, n, rows, decay):
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    keys = torch.randint(rows, (n,), generator=generator)
    values = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    counts = torch.ones(rows, dtype=torch.int32)
    expected = one_by_one(table, keys, values, decay)
    ema_(table, counts, keys, values, decay)
    torch.testing.assert_close(table, expected, rtol=1e-12, atol=1e-12)
    assert counts.tolist() == (1 + torch.bincount(keys, minlength=rows)).tolist()


def test_five_hundred_duplicates():
    table = torch.full((2, 4), 5.0, dtype=torch.float64)
    keys, values = torch.zeros(500, dtype=torch.int64), torch.rand(500, 4, dtype=torch.float64)
    expected = one_by_one(table, keys, values, 0.8)
    ema_(table, torch.zeros(2, dtype=torch.int32), keys, values, 0.8)
    torch.testing.assert_close(table, expected, rtol=1e-12, atol=1e-12)
    assert bool((table[1] == 5.0).all())


def test_the_weight_of_the_past_never_turns_negative():
    table = torch.full((1, 1), 5.0, dtype=torch.float64)
    ema_(table, torch.zeros(1, dtype=torch.int32), torch.zeros(20, dtype=torch.int64), torch.full((20, 1), 0.5), 0.8)
    assert float(table) == pytest.approx(0.8**20 * 5 + (1 - 0.8**20) * 0.5)


def test_splitting_a_batch_changes_nothing():
    generator = torch.Generator().manual_seed(3)
    keys, values = torch.randint(7, (300,), generator=generator), torch.randn(300, 5, generator=generator)
    whole, halves = VectorTable(7, 5, decay=0.8), VectorTable(7, 5, decay=0.8)
    whole.write(keys, values, 1)
    halves.write(keys[:101], values[:101], 1)
    halves.write(keys[101:], values[101:], 1)
    torch.testing.assert_close(whole.live, halves.live)
    assert torch.equal(whole.counts, halves.counts)


@pytest.mark.parametrize(
    ("keys", "values", "says"),
    [
        (torch.tensor([0, 4]), torch.zeros(2, 2), "keys == 0..4, must be in"),
        (torch.tensor([0, -1]), torch.zeros(2, 2), "keys == -1..0, must be in"),
        (torch.tensor([0.0, 1.0]), torch.zeros(2, 2), "must be integers"),
        (torch.tensor([[0, 1]]), torch.zeros(2, 2), "must be integers"),
        (torch.tensor([0, 1]), torch.zeros(2, 3), "values.shape == \\(2, 3\\), must be \\(2, 2\\)"),
        (torch.tensor([0, 1]), torch.zeros(1, 2), "values.shape == \\(1, 2\\), must be \\(2, 2\\)"),
        (torch.tensor([0, 1]), torch.tensor([[0.0, 1.0], [float("nan"), 1.0]]), "1 of 4 not finite"),
        (torch.tensor([0, 1]), torch.tensor([[0.0, float("inf")], [-float("inf"), 1.0]]), "2 of 4 not finite"),
    ],
)
def test_a_bad_write_is_one_clear_error_and_writes_nothing(keys, values, says):
    table = VectorTable(4, 2, decay=0.8)
    table.write(torch.tensor([0]), torch.ones(1, 2), 1)
    before = table.live.clone(), table.counts.clone(), table.last.clone()
    with pytest.raises(ValueError, match=says) as caught:
        table.write(keys, values, 2)
    assert "\n" not in str(caught.value)
    for now, then in zip((table.live, table.counts, table.last), before, strict=True):
        assert torch.equal(now, then)


def test_large_but_finite_values_are_accepted():
    table = VectorTable(1, 4, decay=0.5)
    table.write(torch.tensor([0]), torch.full((1, 4), 3e38), 1)
    assert bool((table.live == 1.5e38).all())


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"rows": 0}, "rows == 0"),
        ({"width": 0}, "width == 0"),
        ({"decay": 1.0}, "decay == 1.0"),
        ({"horizon": -1}, "horizon == -1"),
    ],
)
def test_a_bad_table_is_refused(settings_, says):
    with pytest.raises(ValueError, match=says):
        VectorTable(**{"rows": 2, "width": 2, "decay": 0.5, **settings_})


def test_cold_rows_are_zero():
    table = VectorTable(5, 3, decay=0.8)
    table.write(torch.tensor([1]), torch.ones(1, 3), 7)
    table.publish(10)
    keys = torch.tensor([0, 2, 4])
    for read in (table.read(keys), table.read(keys, torch.full((3,), 20)), table.published(keys)):
        assert torch.equal(read, torch.zeros(3, 3))
    assert table.counts.tolist() == [0, 1, 0, 0, 0]
    assert table.last.tolist() == [-1, 7, -1, -1, -1]


def test_reads_are_detached_copies():
    table = VectorTable(2, 2, decay=0.8)
    values = torch.ones(1, 2, requires_grad=True)
    table.write(torch.tensor([0]), values, 1)
    table.publish(1)
    key = torch.tensor([0])
    expected = table.read(key)
    for read in (table.read(key), table.read(key, torch.tensor([1])), table.published(key), table.published()):
        assert not read.requires_grad
        read.fill_(9.0)
    for read in (table.read(key), table.read(key, torch.tensor([1])), table.published(key)):
        assert torch.equal(read, expected)


def test_as_of_gives_the_newest_version_published_by_then():
    table = VectorTable(3, 1, decay=0.0)
    table.write(torch.tensor([0, 1]), torch.tensor([[1.0], [10.0]]), 5)
    table.publish(10)
    table.write(torch.tensor([0]), torch.tensor([[2.0]]), 15)
    table.publish(20)
    table.write(torch.tensor([0]), torch.tensor([[3.0]]), 25)
    keys = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    times = torch.tensor([9, 10, 19, 20, 99, 9, 30, 30])
    assert table.read(keys, times).squeeze(1).tolist() == [0, 1, 1, 2, 2, 0, 10, 0]
    assert table.published().squeeze(1).tolist() == [2, 10, 0]
    assert table.read(torch.tensor([0])).item() == 3


@given(seed=st.integers(0, 10_000), horizon=st.sampled_from([0, 3, 40]))
@settings(max_examples=40, deadline=None)
def test_versions_equal_full_copies(seed, horizon):
    """Against the plain way: keep a whole copy of the table at each publication."""
    generator = torch.Generator().manual_seed(seed)
    table, copies, now = VectorTable(6, 2, decay=0.7, horizon=horizon), [(-1, torch.zeros(6, 2))], 0
    for _ in range(30):
        n = int(torch.randint(0, 5, (1,), generator=generator))
        table.write(torch.randint(6, (n,), generator=generator), torch.randn(n, 2, generator=generator), now)
        now += int(torch.randint(0, 4, (1,), generator=generator))
        table.publish(now)
        copies.append((now, table.live.clone()))
        oldest = max(0, now - horizon)
        keys = torch.randint(6, (20,), generator=generator)
        times = torch.randint(oldest, now + 3, (20,), generator=generator)
        expected = [
            [c for t, c in copies if t <= time][-1][key]
            for key, time in zip(keys.tolist(), times.tolist(), strict=True)
        ]
        assert torch.equal(table.read(keys, times), torch.stack(expected))
        assert torch.equal(table.published(), table.live)


def test_history_is_bounded_by_the_horizon():
    table = VectorTable(10, 2, decay=0.8, horizon=5)
    for now in range(400):
        table.write(torch.arange(10), torch.randn(10, 2), now)
        table.publish(now)
    assert table.snapshot()["versions"]["vectors"].shape[0] < 400
    assert torch.equal(table.read(torch.arange(10), torch.full((10,), 399)), table.live)


def test_a_time_older_than_kept_is_an_error():
    table = VectorTable(2, 1, decay=0.8, horizon=10)
    for now in (0, 10, 20, 30):
        table.write(torch.tensor([0]), torch.ones(1, 1), now)
        table.publish(now)
    table.read(torch.tensor([0]), torch.tensor([20]))
    with pytest.raises(ValueError, match="as_of == 19, must be at least 20"):
        table.read(torch.tensor([0, 1]), torch.tensor([20, 19]))


def test_publications_never_go_back_in_time():
    table = VectorTable(2, 1, decay=0.8)
    table.publish(10)
    with pytest.raises(ValueError, match="now == 9, must be at least 10"):
        table.publish(9)


@pytest.mark.parametrize("as_of", [torch.tensor([1, 2, 3]), torch.tensor([1.0])])
def test_as_of_is_one_integer_a_key(as_of):
    with pytest.raises(ValueError, match="as_of =="):
        VectorTable(2, 1, decay=0.8).read(torch.tensor([0]), as_of)


def test_reset_empties_the_live_state_and_the_next_publication():
    table = VectorTable(3, 1, decay=0.0)
    table.write(torch.tensor([0, 2]), torch.ones(2, 1), 1)
    table.publish(1)
    table.reset()
    assert not table.live.any()
    assert not table.counts.any()
    assert table.published().squeeze(1).tolist() == [1, 0, 1]
    table.publish(2)
    assert not table.published().any()
    assert table.read(torch.tensor([0]), torch.tensor([1])).item() == 1


def test_restore_mid_stream_continues_bit_equal():
    generator = torch.Generator().manual_seed(0)
    batches = [
        (torch.randint(9, (40,), generator=generator), torch.randn(40, 3, generator=generator)) for _ in range(12)
    ]

    def run(table, first, last):
        for now in range(first, last):
            table.write(*batches[now], now)
            if now % 3 == 0:
                table.publish(now)

    straight = VectorTable(9, 3, decay=0.8, horizon=6)
    run(straight, 0, 7)
    state = straight.snapshot()
    run(straight, 7, 12)
    resumed = VectorTable(9, 3, decay=0.8, horizon=6)
    resumed.write(torch.tensor([0]), torch.ones(1, 3), 0)
    for _ in range(2):
        resumed.restore(state)
        run(resumed, 7, 12)
        keys, times = torch.arange(9), torch.tensor([3, 4, 5, 6, 7, 8, 9, 10, 11])
        assert torch.equal(resumed.live, straight.live)
        assert torch.equal(resumed.counts, straight.counts)
        assert torch.equal(resumed.last, straight.last)
        assert torch.equal(resumed.published(), straight.published())
        assert torch.equal(resumed.read(keys, times), straight.read(keys, times))


def test_a_snapshot_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"state.shape == \(2, 2\), must be \(2, 3\)"):
        VectorTable(2, 3, decay=0.8).restore(VectorTable(2, 2, decay=0.8).snapshot())


def test_bias_correction_gives_the_weighted_mean_and_the_count():
    table = VectorTable(3, 2, decay=0.8, bias_correct=True)
    table.write(torch.tensor([1, 1, 1]), torch.full((3, 2), 4.0), 1)
    table.publish(1)
    for read in (table.read(torch.arange(3)), table.published()):
        torch.testing.assert_close(read[1], torch.tensor([4.0, 4.0, torch.tensor(3.0).log1p().item()]))
        assert not read[0].any()
        assert read.shape == (3, table.read_width)
