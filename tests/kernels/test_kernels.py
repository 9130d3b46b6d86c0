"""Every kernel equals the readable step-by-step loop: values, final states and gradients.

A message hook makes a recurrent layer take the loop, so the same layer is run with and without one.
"""

import pytest
import torch

import reference
from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.kernels import Adjacency, aggregate
from gnnseq.layers import GRU, LSTM, RNN, MinGRU, MinLSTM
from gnnseq.schedule import packed_paths

# Sums of hundreds of terms of order 1 to 100, in another order.
CLOSE = {"rtol": 1e-11, "atol": 1e-11}
N = 120


def random_dag(seed):
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(N, (2, 3 * N), generator=generator).sort(dim=0).values
    edge_index = torch.randperm(N, generator=generator)[ends[:, ends[0] < ends[1]]]
    return edge_index, torch.randn(edge_index.size(1), dtype=torch.float64, generator=generator) / 2


def random_tree(seed):
    generator = torch.Generator().manual_seed(seed)
    parents = [-1, *(int(torch.randint(i, (), generator=generator)) for i in range(1, N))]
    return tree_graph(parents).edge_index


SCHEDULES = {
    "equal paths": lambda: packed_paths([20] * 6),
    "ragged paths": lambda: packed_paths([30, 0, 29, 28, 15, 1, 1, 3, 0, 13]),
    "shuffled paths": lambda: topological(torch.randperm(N)[random_paths()], N),
    "tree towards its root": lambda: topological(random_tree(0), N),
    "tree away from its root": lambda: topological(random_tree(1).flip(0), N),
    "dag": lambda: topological(random_dag(2)[0], N),
    "weighted dag": lambda: topological(random_dag(3)[0], N, random_dag(3)[1].requires_grad_()),
    "weighted paths": lambda: topological(random_paths(), N, torch.rand(N - 4).double().requires_grad_()),
}


def random_paths():
    cuts = torch.tensor([0, 7, 50, 51])
    starts = torch.arange(N - 1)
    return torch.stack([starts, starts + 1])[:, ~torch.isin(starts, cuts[1:] - 1)]


def everything(layer, x, schedule, state):
    h, final = layer(x, schedule, state)
    outputs = [h, *(final if isinstance(final, tuple) else (final,))]
    inputs = [x, *(state if isinstance(state, tuple) else (state,)), *layer.parameters()]
    inputs += [] if schedule.edge_weight is None else [schedule.edge_weight]
    torch.manual_seed(1)
    return outputs, torch.autograd.grad(outputs, inputs, [torch.randn_like(output) for output in outputs])


@pytest.mark.parametrize("shape", SCHEDULES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "layer_type",
    [RNN, lambda *a, **k: RNN(*a, nonlinearity="relu", **k), LSTM, GRU, MinGRU, MinLSTM],
    ids=["tanh", "relu", "lstm", "gru", "mingru", "minlstm"],
)
def test_kernels_equal_the_loop(layer_type, bias, shape):
    schedule = SCHEDULES[shape]()
    layer = layer_type(3, 5, num_layers=2, bias=bias).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 0.5  # products along 100 steps of a relu network stay of order 1
    x = torch.randn(N, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(2, len(schedule.starts), 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    state = state if isinstance(layer, LSTM) else state[0]
    fast, fast_gradients = everything(layer, x, schedule, state)
    steps = []
    handle = layer.register_message_forward_hook(lambda module, inputs, output: steps.append(1))
    slow, slow_gradients = everything(layer, x, schedule, state)
    handle.remove()
    assert len(steps) == 2 * len(schedule)
    for a, b in zip([*fast, *fast_gradients], [*slow, *slow_gradients], strict=True):
        torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.parametrize("channels", [1, 4, 65])
def test_aggregate_is_a_sparse_product(channels):
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(N, (2, 900), generator=generator)
    weight = torch.randn(900, dtype=torch.float64, generator=generator, requires_grad=True)
    x = torch.randn(N, channels, dtype=torch.float64, generator=generator, requires_grad=True)
    direction = torch.randn(N, channels, dtype=torch.float64, generator=generator)
    mine = aggregate(x, weight, Adjacency.of(edge_index, N))
    expected = reference.dense_adjacency(edge_index, N, weight) @ x
    torch.testing.assert_close(mine, expected, **CLOSE)
    gradients = torch.autograd.grad(mine, [x, weight], direction)
    for a, b in zip(gradients, torch.autograd.grad(expected, [x, weight], direction), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
