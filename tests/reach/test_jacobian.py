"""Blocks of the Jacobian against torch.func.jacrev, in chunks and one by one."""

import numpy as np
import pytest
import torch

from gnnseq.reach import jacobian as jacobian_module
from gnnseq.reach.jacobian import Jacobian

N, F, C = 5, 3, 2
weight = torch.linspace(-1, 1, F * C, dtype=torch.float64).view(F, C)


def mixing(x):
    """Every node reads those before it."""
    return torch.tanh(x.cumsum(0)) @ weight


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad):
        return torch.from_numpy(grad.numpy()) * 2 * ctx.saved_tensors[0]  # no batching rule reaches numpy


def dense_norms(function, x):
    blocks = torch.func.jacrev(function)(x)  # [N, C, N, F]
    return blocks.pow(2).sum(dim=(1, 3)).sqrt().numpy()


@pytest.fixture
def x():
    return torch.randn(N, F, dtype=torch.float64)


@pytest.mark.parametrize("chunk_bytes", [2**28, 1])
def test_norms_equal_the_whole_jacobian(x, monkeypatch, chunk_bytes):
    monkeypatch.setattr(jacobian_module, "CHUNK_BYTES", chunk_bytes)
    jacobian = Jacobian(mixing, x)
    assert jacobian.batched == (chunk_bytes > 1)
    nodes = np.array([1, 4])
    np.testing.assert_allclose(jacobian.norms(nodes), dense_norms(mixing, x)[nodes], rtol=1e-12, atol=1e-12)


def test_functions_without_batching_rule_go_one_by_one(x):
    jacobian = Jacobian(lambda x: mixing(Square.apply(x)), x)
    assert not jacobian.batched
    expected = dense_norms(lambda x: mixing(x**2), x)
    np.testing.assert_allclose(jacobian.norms(np.arange(N)), expected, rtol=1e-12, atol=1e-12)


def test_touches_are_the_blocks_that_are_not_zero(x):
    found = Jacobian(mixing, x).touches([np.array([v]) for v in range(N)], torch.Generator())
    np.testing.assert_array_equal(found.toarray(), np.tril(np.ones((N, N), dtype=bool)))


@pytest.mark.parametrize("power", [0, -250, -300])
def test_numbers_whose_squares_underflow_are_not_lost(x, power):
    jacobian = Jacobian(lambda x: mixing(x) * 10.0**power, x)
    expected = dense_norms(mixing, x)
    np.testing.assert_allclose(jacobian.norms(np.arange(N)) / 10.0**power, expected, rtol=1e-12, atol=1e-12)
    assert jacobian.touches([np.arange(N)], torch.Generator()).nnz == N


def test_nan_and_constants_touch_nothing(x):
    assert Jacobian(lambda x: x * torch.nan, x).touches([np.arange(N)], torch.Generator()).nnz == 0
    constant = Jacobian(lambda x: torch.zeros(N, C), x)
    assert constant.constant
    assert constant.touches([np.arange(N)], torch.Generator()).nnz == 0
    assert not constant.norms(np.arange(N)).any()


def test_functions_may_work_in_place_on_their_input(x):
    np.testing.assert_allclose(Jacobian(lambda x: x.mul_(3.0), x).norms(np.arange(N)), 3 * np.eye(N) * np.sqrt(F))


def test_a_deep_graph_does_not_overflow_the_stack(monkeypatch):
    def deep(x):
        for _ in range(50_000):
            x = x.neg()
        return x

    monkeypatch.setattr(Jacobian, "_can_batch", lambda self: False)
    jacobian = Jacobian(deep, torch.ones(1, 1))
    assert jacobian.cost > 50_000
    del jacobian  # freed as torch does it, this ends the process
