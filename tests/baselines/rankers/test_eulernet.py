"""The Euler layer against complex numbers, its start, its traps; dense values as fields."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.testing import assert_close

from baselines.rankers.buckets import BUCKETS, GRID, Buckets
from baselines.rankers.eulernet import CLAMP, Euler, EulerLayer, eulernet, polar_form

M, N, E, B = 4, 3, 5, 6


@pytest.fixture
def layer() -> EulerLayer:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = EulerLayer(M, N, E).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter)
    return made


@pytest.fixture
def z() -> torch.Tensor:
    """Complex fields [B, M, E]."""
    return torch.randn(B, M, E, dtype=torch.complex128, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_against_complex_numbers(layer, z):
    real, imaginary = layer(z.real, z.imag)
    for n in range(N):
        # prod_f z_f^A_fn times exp(b1 + i b2), and one real matrix on both parts
        bias = torch.exp(torch.complex(layer.bias_modulus[n], layer.bias_phase[n]))
        product = bias * torch.stack([z[:, f] ** layer.orders[f, n] for f in range(M)]).prod(dim=0)
        rows = layer.linear[n * E : (n + 1) * E]
        explicit_real = torch.relu(z.real.flatten(1) @ rows.T) + product.real
        explicit_imaginary = torch.relu(z.imag.flatten(1) @ rows.T) + product.imag
        assert_close(real[:, n], layer.norm_real(explicit_real), rtol=1e-6, atol=1e-6)
        assert_close(imaginary[:, n], layer.norm_imaginary(explicit_imaginary), rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_shares_of_blocks_of_fields_add_up(layer, z):
    whole = layer.share(z.real, z.imag)
    parts = layer.share(z.real[:, :1], z.imag[:, :1]) + layer.share(z.real[:, 1:], z.imag[:, 1:], 1)
    assert whole.shape == (B, 4, N, E)
    assert_close(parts, whole)


def test_orders_start_as_copies():
    torch.manual_seed(0)
    assert_close(EulerLayer(4, 4, 2).orders.detach(), torch.eye(4))
    orders = EulerLayer(12, 5, 2).orders.detach()
    assert_close(orders.sum(dim=0), torch.ones(5))
    assert (orders.max(dim=0).values > 0.9).float().mean() >= 0.8


def test_no_overflow_whatever_orders_are_learned():
    torch.manual_seed(0)
    layer = EulerLayer(M, N, E)
    with torch.no_grad():
        layer.orders.fill_(1e4)
        layer.bias_modulus.zero_()
        layer.bias_phase.zero_()
    big, none = torch.full((1, M, E), 3.0), torch.zeros(1, M, E)
    modulus = torch.exp(torch.tensor(CLAMP))
    with torch.no_grad():
        shares = layer.share(big, none)
        shares[:, 2:] = 0
        layer.norm_real = torch.nn.Identity()
        layer.norm_imaginary = torch.nn.Identity()
        real, imaginary = layer.combine(shares)
    assert_close(real, modulus.expand(1, N, E))
    assert_close(imaginary, torch.zeros(1, N, E))


def test_the_gradient_at_the_origin_is_finite():
    real = torch.tensor([0.0, 0.0, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    imaginary = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    log_modulus, phase = polar_form(real, imaginary)
    assert_close(phase.detach(), torch.atan2(imaginary, real).detach())
    (log_modulus.sum() + phase.sum()).backward()
    assert torch.isfinite(real.grad).all()
    assert torch.isfinite(imaginary.grad).all()
    # elsewhere the gradients are those of log|z| and arg z
    assert_close(real.grad[1:], torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64))
    assert_close(imaginary.grad[1:], torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))


def test_a_field_whose_modulus_is_zero_learns_on(world, log):
    ranker = eulernet(world.catalog, 3, embedding=4, hidden=(8,), orders=(3,), batch=128)
    with torch.no_grad():
        ranker.model.mu.zero_()
    ranker.counters._horizon = 1 << 40
    ranker.update(log[:128])
    assert all(torch.isfinite(p).all() for p in ranker.model.parameters())
    assert ranker.model.mu.any()


def test_no_order_is_no_network(world):
    with pytest.raises(ValueError, match=r"^orders == \(\), must hold at least one positive width$"):
        eulernet(world.catalog, 3, orders=())


class TestBuckets:
    def test_static_values_fill_their_buckets_evenly(self):
        values = np.random.default_rng(0).normal(3, 7, (1600, 2)).astype(np.float32)
        codes = Buckets(values, 0)(torch.from_numpy(values)).numpy()
        assert_array_equal(np.bincount(codes.reshape(-1), minlength=2 * BUCKETS), np.full(2 * BUCKETS, 100))

    def test_online_values_against_the_grid(self):
        values = np.random.default_rng(0).normal(0, 1.5, (300, 3)).astype(np.float32)
        static = np.zeros((1, 0), dtype=np.float32)
        buckets = Buckets(static, 3)
        assert (buckets.columns, buckets.rows) == (3, 3 * BUCKETS)
        wanted = np.digitize(values, np.float32(GRID)) + np.arange(3) * BUCKETS
        assert_array_equal(buckets(torch.from_numpy(values)).numpy(), wanted)

    def test_a_constant_column_has_one_code(self):
        values = np.ones((50, 1), dtype=np.float32)
        assert len(np.unique(Buckets(values, 0)(torch.from_numpy(values)))) == 1

    def test_edges_know_no_label(self, world, log):
        ranker = eulernet(world.catalog, 3, embedding=4, hidden=(8,), orders=(3,), horizon=1 << 40)
        assert isinstance(ranker.model, Euler)
        before = [b.edges.clone() for b in (ranker.model.user_buckets, ranker.model.ad_buckets)]
        ranker.update(log[:1000])
        ranker.sync(int(log.time[1000]))
        after = [b.edges for b in (ranker.serving.user_buckets, ranker.serving.ad_buckets)]
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
        inner = np.linspace(0, 1, BUCKETS + 1)[1:-1]
        wanted = np.quantile(world.catalog.users.dense, inner, axis=0).T
        np.testing.assert_allclose(before[0][: len(wanted)].numpy(), wanted, rtol=1e-5)
