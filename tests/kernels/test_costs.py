"""What work costs, in numbers that do not wobble: operations, nodes of the graph of gradients, sizes of tensors."""

import sys

import pytest
import torch

from gnnseq import topological
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.kernels.native import functions as native
from gnnseq.layers import GCN, GRU, LSTM, RNN
from gnnseq.schedule import packed_paths
from meter import Meter

BATCH, F, H = 5, 3, 4


def train(layer, x, graph):
    h = layer(x, graph)
    (h[0] if isinstance(h, tuple) else h).sum().backward()


def operations(layer_type, schedule):
    layer, x = layer_type(F, H), torch.randn(schedule.num_nodes, F)
    train(layer, x, schedule)  # what a schedule remembers is made
    with Meter() as meter:
        train(layer, x, schedule)
    return meter.operations.total()


@pytest.mark.parametrize(("layer_type", "most"), [(RNN, 5), (GRU, 17)])
def test_operations_of_a_training_step_on_a_path(layer_type, most):
    """Forward and backward together; a product, its activation, and what they send back."""
    short, long = (operations(layer_type, packed_paths([steps] * BATCH)) for steps in (10, 20))
    assert (long - short) / 10 <= most


@pytest.mark.parametrize("layer_type", [RNN, GRU])
def test_ragged_paths_cost_little_more(layer_type):
    equal = operations(layer_type, packed_paths([20] * BATCH))
    ragged = operations(layer_type, packed_paths([20, 17, 11, 6, 2]))
    assert ragged <= equal + 3 * 4 + 1  # where paths end the gradient is copied, and h gathered once


@pytest.mark.parametrize(("layer_type", "most"), [(RNN, 2), (LSTM, 2), (GRU, 4)])
def test_a_step_of_compiled_cells_is_little_but_products(layer_type, most, monkeypatch):
    """One forward, one back, which a GRU adds to two other gradients."""
    monkeypatch.setattr(native, "LEAST_SIZE", 0)
    if not native.runs_compiled(torch.zeros(1), 1):
        pytest.skip("no C compiler")
    short, long = (operations(layer_type, packed_paths([steps] * BATCH)) for steps in (10, 20))
    assert (long - short) / 10 <= most


def test_an_lstm_runs_equal_paths_in_one_call_without_a_compiler(monkeypatch):
    monkeypatch.setattr(native, "LEAST_SIZE", 1 << 60)
    short, long = (operations(LSTM, packed_paths([steps] * BATCH)) for steps in (10, 1000))
    assert short == long


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_indices_are_looked_up(layer_type):
    """No one-hot rows and no product with the input kernel, whose gradient alone is as wide."""
    channels, schedule = 300, packed_paths([20] * BATCH)
    layer, x = layer_type(channels, H), torch.randint(channels, (schedule.num_nodes,))
    with Meter() as meter:
        train(layer, x, schedule)
    assert meter.largest <= channels * layer.cell.gates * H < channels * schedule.num_nodes


@pytest.mark.parametrize(("layer_type", "most"), [(RNN, 10), (LSTM, 42), (GRU, 23)])
def test_operations_of_a_level_of_a_tree(layer_type, most):
    def balanced(depth):
        return topological(
            tree_graph([-1, *((node - 1) // 2 for node in range(1, 2**depth - 1))]).edge_index, 2**depth - 1
        )

    shallow, deep = (operations(layer_type, balanced(depth)) for depth in (3, 8))
    assert (deep - shallow) / 5 <= most


@pytest.mark.parametrize("least_size", [0, 1 << 60])  # by compiled code where there is a compiler, and by torch's
@pytest.mark.parametrize("layer_type", [RNN, GRU])
def test_the_graph_of_gradients_does_not_grow_with_a_path(layer_type, least_size, monkeypatch):
    monkeypatch.setattr(native, "LEAST_SIZE", least_size)

    def nodes(steps):
        h, _ = layer_type(F, H)(torch.randn(steps * BATCH, F), packed_paths([steps] * BATCH))
        seen, todo = set(), [h.grad_fn]
        while todo:
            node = todo.pop()
            if node is not None and node not in seen:
                seen.add(node)
                todo += [following for following, _ in node.next_functions]
        return len(seen)

    assert nodes(1000) == nodes(2)


@pytest.mark.parametrize(("wide", "narrow"), [(16, 4), (4, 16)])
def test_gcn_makes_no_message_per_edge(wide, narrow):
    """Neither on the way forward nor back, and aggregates on the narrower side."""
    num_nodes, num_edges = 50, 2000
    edge_index = torch.randint(num_nodes, (2, num_edges))
    layer, x = GCN(wide, narrow), torch.randn(num_nodes, wide, requires_grad=True)
    train(layer, x, edge_index)
    with Meter() as meter:
        train(layer, x, edge_index)
    assert meter.largest <= num_edges + num_nodes  # the weights, and no [E, F]
    assert sum(count for name, count in meter.operations.items() if "embedding_bag" in name) == 2  # forward, backward


def calls(function):
    count = 0

    def tick(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tick)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "make",
    [
        lambda size: topological(path_graph(size).edge_index, size),
        lambda size: topological(tree_graph((torch.arange(size) - 1).div(2, rounding_mode="floor")).edge_index, size),
        lambda size: topological(torch.stack([torch.arange(size - 1) // 7 * 7, torch.arange(1, size)]), size),
        lambda size: packed_paths([3] * (size // 3)),
    ],
    ids=["path", "tree", "stars", "packed"],
)
def test_schedules_are_made_without_a_loop_over_nodes(make):
    make(100)
    few, many = (calls(lambda size=size: make(size)) for size in (1_000, 30_000))
    assert many < 2 * few + 100
