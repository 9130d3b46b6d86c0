"""Which kernel is chosen, one row of the table a case."""

import pytest
import torch

from gnnseq import synchronous, topological
from gnnseq.graphs import tree_graph
from gnnseq.kernels.dense_path import dense_path_sweep
from gnnseq.kernels.dispatch import choose_kernel
from gnnseq.kernels.frontier import frontier_sweep
from gnnseq.kernels.fused_path import fused_path_sweep
from gnnseq.kernels.fused_rounds import fused_rounds_sweep
from gnnseq.kernels.fused_tree import fused_tree_sweep
from gnnseq.kernels.native import functions
from gnnseq.kernels.rounds import rounds_sweep
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths

F, H = 3, 5
TREE = topological(tree_graph([2, 2, -1]).edge_index, 3)
EQUAL, RAGGED, NONE = packed_paths([4, 4]), packed_paths([5, 3]), packed_paths([])
WEIGHED = topological(torch.tensor([[0, 1], [1, 2]]), 3, torch.ones(2))
ROUNDS = synchronous(torch.tensor([[0, 1], [1, 2]]), 3)


def chosen(layer, schedule, x=None, initial=None):
    x = torch.randn(schedule.num_nodes, F, dtype=layer.weight_hh_l0.dtype) if x is None else x
    return choose_kernel(layer.cell, x, schedule, initial, layer.weights("l0"))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_compiled_code_takes_what_it_can(layer_type):
    layer = layer_type(F, H)
    graph = fused_tree_sweep if layer_type is LSTM else frontier_sweep
    assert [chosen(layer, schedule) for schedule in (EQUAL, RAGGED)] == [fused_path_sweep] * 2
    assert [chosen(layer, schedule) for schedule in (TREE, WEIGHED)] == [graph] * 2
    assert chosen(layer, NONE) is dense_path_sweep
    assert chosen(layer, ROUNDS) is (rounds_sweep if layer_type is RNN else fused_rounds_sweep)
    assert chosen(layer, EQUAL, initial=torch.zeros(2, (H + 1) * layer.cell.states)) is not fused_path_sweep
    double = layer.double()
    assert chosen(double, RAGGED) is (dense_path_sweep if layer_type is LSTM else frontier_sweep)
    assert [chosen(double, schedule) for schedule in (TREE, WEIGHED)] == [frontier_sweep] * 2


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_torch_takes_paths_that_it_is_faster_on(layer_type, monkeypatch):
    monkeypatch.setattr(functions, "LEAST_SIZE", 1 << 60)
    layer, usual = layer_type(F, H), dense_path_sweep if layer_type is LSTM else frontier_sweep
    assert [chosen(layer, schedule) for schedule in (EQUAL, RAGGED)] == [usual] * 2
    with torch.no_grad():
        assert [chosen(layer, schedule) for schedule in (EQUAL, RAGGED)] == [dense_path_sweep, usual]
    assert chosen(layer_type(H + 1, H), EQUAL, torch.zeros(8, dtype=torch.int64)) is frontier_sweep  # looked up
    assert chosen(layer_type(H, H), EQUAL, torch.zeros(8, dtype=torch.int64)) is usual


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
@pytest.mark.parametrize("schedule", [EQUAL, RAGGED, TREE, WEIGHED])
def test_under_a_transform_the_loop_is_taken(layer_type, schedule):
    layer, x, found = layer_type(F, H), torch.randn(2, schedule.num_nodes, F), []
    torch.func.vmap(lambda x: found.append(chosen(layer, schedule, x)) or x)(x)
    assert found == [None]


@pytest.mark.parametrize("kind", [torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["bias_ih_l0", "bias_hh_l0"])
def test_compiled_code_reads_no_bias_of_another_type(name, kind):
    """One-hot inputs bring no type of their own, so nothing else would notice."""
    layer, schedule = GRU(6, 40), packed_paths([20] * 8)
    getattr(layer, name).data = getattr(layer, name).data.to(kind)
    with pytest.raises(ValueError, match=f"{name} has .* type {kind}; expected"):
        layer(torch.randint(0, 6, (160,)), schedule)
