"""NaN traces: what they exclude, and which operations they must not be trusted with."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch_geometric.nn import ChebConv

from gnnseq.layers import GCN, GRU, LSTM
from gnnseq.reach import nan_propagation
from gnnseq.reach.nan_propagation import passes_nan_on, touched_by_nan

N, F = 4, 3
index = torch.tensor([[0, 1, 2], [1, 2, 3]])
lstm = torch.nn.LSTM(F, 2).double()


def neighbours(x):
    return x + torch.zeros_like(x).index_add(0, index[1], x[index[0]])


@pytest.fixture
def x():
    return torch.randn(N, F)


def test_a_trace_finds_who_reads_whom(x):
    np.testing.assert_array_equal(touched_by_nan(neighbours, x).toarray(), np.eye(N) + np.eye(N, k=-1) > 0)


def test_a_product_with_zero_counts_as_touched(x):
    assert touched_by_nan(lambda x: torch.eye(N) @ x, x).nnz == N * N


def test_functions_may_work_in_place_on_their_input(x):
    before = x.clone()
    assert touched_by_nan(lambda x: x.add_(1.0), x).nnz == N
    assert x.equal(before)


@pytest.mark.parametrize(
    "function",
    [
        neighbours,
        lambda x: functional.relu(x) @ torch.ones(F, 2),
        lambda x: x.new_zeros(N, F).scatter_reduce(0, index[1].unsqueeze(1).expand(3, F), x[index[0]], "amax"),
        lambda x: functional.layer_norm(x, (F,)),
        lambda x: x.softmax(1) * (index[0, :1] > 0),  # a comparison of the graph's numbers, not of x
        lambda x: torch.cat([x, torch.zeros(N, F)])[N - 1 :].split(1)[1].expand(N, F) + x,
        lambda x: torch.where(torch.tensor([True, False, True]), x, 0.0),
        lambda x: lstm(x.double())[0],
    ],
)
def test_operations_that_keep_nan_are_trusted(function, x):
    assert passes_nan_on(function, x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x > 0).float(),
        lambda x: x.where(x > 0, 0.0),
        lambda x: x[x.argsort(0)[:, 0]],
        lambda x: x.masked_fill(x.isnan(), 0.0),
        lambda x: x.nan_to_num() + x,
        lambda x: torch.fmax(x, x.flip(0)),
        lambda x: x.sign(),
        lambda x: x.argmax(1, keepdim=True).float(),
        lambda x: x * x.sum().item(),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x.sort(dim=0).values,
        lambda x: torch.linalg.eigvalsh(x @ x.T).unsqueeze(1),  # refuses NaN
        lambda x: functional.dropout(x, 0.5),
        lambda x: x + x[torch.randperm(N)],
    ],
)
def test_operations_that_may_swallow_nan_are_not(function, x):
    assert not passes_nan_on(function, x)


@pytest.mark.parametrize(
    "make", [lambda: GCN(2, 3), lambda: LSTM(2, 3), lambda: GRU(2, 3), lambda: ChebConv(2, 3, K=3)]
)
def test_passes_together_are_those_one_by_one(make, monkeypatch):
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8]])
    module, x = make().eval(), torch.randn(10, 2)

    def function(x):
        out = module(x, edge_index)
        return out[0] if isinstance(out, tuple) else out

    monkeypatch.setattr(nan_propagation, "TOGETHER", 4)
    with torch.no_grad():
        together = nan_propagation._together(function, x)
        alone = nan_propagation._one_by_one(function, x)
    assert [nodes.tolist() for nodes in together] == [nodes.tolist() for nodes in alone]


@pytest.mark.parametrize(
    "function", [lambda x: x if x.sum() > 0 else x + 1, torch.nan_to_num, lambda x: x + torch.rand(2)]
)
def test_what_does_not_run_together_runs_one_by_one(function):
    assert nan_propagation._together(function, torch.ones(10, 2)) is None
